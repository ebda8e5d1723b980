"""Answers that a table gives as ids of tokens: what they are in words, once the model's tokenizer is known."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import DIRECT
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import at, quoted

IDS = {"base_answer": "base_answer_id", "source_answer": "source_answer_id"}
"""By answer the column of a raw table with its id. Until it is in words, the answer is called after the id."""


def id_columns(ids: Mapping[str, pd.Series], naming: Naming) -> dict[str, pd.Series]:
    """The columns of a raw table for answers that are given as ids of tokens, tuples where there are several.

    Args:
        ids: By answer what the table gives: numbers, or what is read as one.
        naming: What messages call the table.

    Raises:
        InputError: If one is no id.
    """
    found = {answer: [_listed(cell) for cell in given] for answer, given in ids.items()}
    columns: dict[str, pd.Series] = {}
    for answer, given in ids.items():
        for index, cell, listed in zip(given.index, given, found[answer], strict=True):
            if not listed:
                raise InputError(
                    f"{at(naming.name, index)}: '{given.name}' is {quoted(cell)}, which is no id of a token"
                )
        named = [[f"token {number}" for number in listed] for listed in found[answer]]
        columns |= {
            "joined": pd.Series(DIRECT, given.index, dtype=object),
            IDS[answer]: pd.Series([_one_or_all(listed) for listed in found[answer]], given.index, dtype=object),
            answer: pd.Series([_one_or_all(texts) for texts in named], given.index, dtype=object),
        }
    return columns


def _one_or_all(listed: Sequence[Any]) -> Any:
    """A cell of what is listed, each once: a tuple where there are several."""
    once = tuple(dict.fromkeys(listed))
    return once[0] if len(once) == 1 else once


def _listed(cell: object) -> list[int]:
    """The ids that a cell lists, or the one that it is; none if it is none."""
    try:
        read = json.loads(cell) if isinstance(cell, str) else cell
    except ValueError:
        return []
    listed = read if isinstance(read, list) else [read]
    numbers = [number for number in listed if type(number) is int and number >= 0]
    return numbers if len(numbers) == len(listed) else []


def in_words(raw: pd.DataFrame, tokenizer: Tokenizer, name: str) -> pd.DataFrame:
    """A raw table whose answers are all texts.

    Args:
        raw: A raw table of pairs, which may have the columns of ``id_columns``.
        tokenizer: That of the model; that of the ids is taken to be the same.
        name: What messages call the table.

    Raises:
        InputError: If the tokenizer has no such id, or its text is another token behind the prompt.
    """
    for answer, column in IDS.items():
        if column in raw:
            rows = zip(raw.index, raw[answer.removesuffix("_answer")], raw[column], strict=True)
            texts = [_words(prompt, ids, tokenizer, at(name, index)) for index, prompt, ids in rows]
            raw = raw.assign(**{answer: pd.Series(texts, raw.index, dtype=object)}).drop(columns=column)
    return raw


def _words(prompt: str, ids: Any, tokenizer: Tokenizer, where: str) -> str | tuple[str, ...]:
    """The text of a token behind its prompt, or of several."""
    if isinstance(ids, tuple):
        return tuple(_word(prompt, int(number), tokenizer, where) for number in ids)
    return _word(prompt, int(ids), tokenizer, where)


def _word(prompt: str, number: int, tokenizer: Tokenizer, where: str) -> str:
    """The text of a token behind its prompt.

    Raises:
        InputError: If it has none there.
    """
    if number >= len(tokenizer.hf):
        raise InputError(f"{where}: the tokenizer has no token {number}; is the table made for another model?")
    text = tokenizer.hf.decode([number])
    if tokenizer.encode(prompt + text) != [*tokenizer.encode(prompt), number]:
        raise InputError(
            f"{where}: token {number} is {quoted(text)}, which is not read as that token behind {quoted(prompt)}; is "
            "the table made for another model? If not, give the answers as texts"
        )
    return text
