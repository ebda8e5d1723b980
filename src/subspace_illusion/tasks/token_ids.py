"""Answers that a table gives as ids of tokens: what they are in words, once the model's tokenizer is known."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import DIRECT
from subspace_illusion.tasks.cells import Wrong, opened
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.phrasing import Phrasing, phrased
from subspace_illusion.tasks.quoting import quoted

IDS = {"base_answer": "base_answer_id", "source_answer": "source_answer_id", "foil": "foil_answer_id"}
"""By answer the column of a raw table with its id. Until it is in words, the answer is called after the id."""
NAMED_IDS = re.compile(r"(?:clean_)?(?:(?P<of>.*?)_)?(?:idx|ids|id|(?P<token>token))")
"""How columns are called whose answers are ids of tokens, and what is said of whose; of a token it may be the text."""
_BEHIND = {"base_answer": ("base",), "source_answer": ("base", "source"), "foil": ("base",)}
"""The prompts that an answer is put behind."""


def are_ids(columns: Mapping[str, pd.Series], name: str) -> bool:
    """Whether columns hold ids of tokens, by their names and by what stands in them.

    Args:
        columns: Columns of answers, by what they are called in the table.
        name: What messages call the table.

    Raises:
        InputError: If they may be ids or texts.
    """
    named = [NAMED_IDS.fullmatch(column) for column in columns]
    cells = [cell for column in columns.values() for cell in column]
    if not all(named) or not any(_listed(cell) for cell in cells):
        return False
    if not any(match and match["token"] for match in named):
        return True
    if all(isinstance(cell, str) and _listed(cell) for cell in cells):
        raise InputError(
            f"{name}: {' and '.join(map(quoted, columns))} hold numbers, which may be ids of tokens or their texts; "
            "let the names of the columns end in _idx for ids, in _answer for texts"
        )
    return all(_listed(cell) for cell in cells)


def id_columns(ids: Mapping[str, pd.Series]) -> dict[str, pd.Series]:
    """The columns of a raw table for answers that are given as ids of tokens, tuples where there are several; what is
    no id is ``Wrong``.

    Args:
        ids: By answer what the table gives: numbers, or what is read as one.
    """
    columns: dict[str, pd.Series] = {}
    for answer, given in ids.items():
        found = [_listed(cell) for cell in given]
        texts = [
            _one_or_all([f"token {number}" for number in listed])
            if listed
            else Wrong(f": {quoted(given.name)} is {quoted(cell)}, which is no id of a token")
            for cell, listed in zip(given, found, strict=True)
        ]
        columns |= {
            "joined": pd.Series(DIRECT, given.index, dtype=object),
            IDS[answer]: pd.Series([_one_or_all(listed) for listed in found], given.index, dtype=object),
            answer: pd.Series(texts, given.index, dtype=object),
        }
    return columns


def with_named_ids(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table whose answers that the user names are ids of tokens where their columns hold such.

    Args:
        table: With our names for the columns that the user names.
        naming: How it is read.

    Raises:
        InputError: If they may be ids or texts.
    """
    answers = [ours for ours in naming.columns if ours in IDS]
    named = {ours: table[ours].rename(naming.columns[ours]) for ours in answers}
    ids = {ours: column for ours, column in named.items() if are_ids({str(column.name): column}, naming.name)}
    if ids:
        say_ids([str(column.name) for column in ids.values()], naming)
    return table.assign(**id_columns(ids))


def say_ids(columns: Iterable[str], naming: Naming) -> None:
    """Says which columns hold ids."""
    listed = " and ".join(map(quoted, dict.fromkeys(columns)))
    naming.say(f"answers are its {listed}, ids of tokens, taken to be those of the model's own tokenizer")


def check_all_are_ids(table: pd.DataFrame, name: str) -> None:
    """Makes sure that no answer is a text where others are ids, for nothing says how such a text is joined.

    Raises:
        InputError: If one is.
    """
    ids = [answer for answer, column in IDS.items() if column in table]
    texts = [answer for answer in IDS if answer in table and answer not in ids and table[answer].notna().any()]
    if ids and texts:
        raise InputError(
            f"{name}: '{ids[0]}' is given as ids of tokens and '{texts[0]}' as text; give both as ids, in columns "
            "whose names end in _idx, or both as texts"
        )


def _one_or_all(listed: Sequence[Any]) -> Any:
    """A cell of what is listed, each once: a tuple where there are several, ``None`` where there is nothing."""
    once = tuple(dict.fromkeys(listed))
    return once[0] if len(once) == 1 else once or None


def _listed(cell: object) -> list[int]:
    """The ids that a cell lists, or the one that it is; none if it is none."""
    read = float(cell) if isinstance(cell, str) and re.fullmatch(r"\s*[0-9]{1,15}(?:\.0*)?\s*", cell) else opened(cell)
    listed = read if isinstance(read, list) else [read]
    # pandas makes fractions of whole numbers where another row has none
    numbers = [int(number) for number in listed if type(number) in (int, float) and number >= 0 and number % 1 == 0]
    return numbers if len(numbers) == len(listed) else []


def in_words(raw: pd.DataFrame, tokenizer: Tokenizer, phrasing: Phrasing) -> tuple[pd.DataFrame, dict[int, str]]:
    """A raw table whose answers are all texts.

    Args:
        raw: A raw table of pairs, which may have the columns of ``id_columns``.
        tokenizer: That of the model; that of the ids is taken to be the same.
        phrasing: How prompts are put to it.

    Returns:
        The table without the rows of which the tokenizer has no such id, or one whose text is another token behind the
        prompt; and what is wrong with those, by their index.
    """
    given = [answer for answer, column in IDS.items() if column in raw]
    wrong: dict[int, str] = {}
    texts: list[list[Any]] = []
    for index, row in zip(raw.index, raw.to_dict("records") if given else [], strict=False):
        try:
            prompts = {side: phrased(side, row[side], phrasing, tokenizer).text for side in ("base", "source")}
            behind = {answer: [prompts[side] for side in _BEHIND[answer]] for answer in given}
            texts.append([_words(behind[answer], row[IDS[answer]], tokenizer) for answer in given])
        except InputError as error:
            wrong.setdefault(index, f": {error}")
            texts.append([None] * len(given))
    words = pd.DataFrame(texts, raw.index, given, dtype=object) if given else pd.DataFrame(index=raw.index)
    table = raw.drop(columns=[IDS[answer] for answer in given]).assign(**words)
    return table[~table.index.isin(wrong)], wrong


def _words(prompts: Sequence[str], ids: Any, tokenizer: Tokenizer) -> str | tuple[str, ...] | None:
    """The text of a token behind prompts, or of several."""
    if isinstance(ids, tuple):
        return tuple(_word(prompts, int(number), tokenizer) for number in ids)
    return None if pd.isna(ids) else _word(prompts, int(ids), tokenizer)


def _word(prompts: Sequence[str], number: int, tokenizer: Tokenizer) -> str:
    """The text of a token behind prompts.

    Raises:
        InputError: If it has none there.
    """
    if number >= len(tokenizer.hf):
        raise InputError(f"the tokenizer has no token {number}; is the table made for another model?")
    text = tokenizer.hf.decode([number])
    for prompt in prompts:
        if tokenizer.encode(prompt + text) != [*tokenizer.encode(prompt), number]:
            raise InputError(
                f"token {number} is {quoted(text)}, which is not read as that token behind {quoted(prompt)}; is the "
                "table made for another model? If not, give the answers as texts"
            )
    return text
