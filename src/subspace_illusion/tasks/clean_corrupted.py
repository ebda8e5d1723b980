"""Tables of clean prompts and corrupted ones: EAP-IG's, and others whose columns are called alike."""

from collections.abc import Collection
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.cells import Wrong
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.token_ids import NAMED_IDS, are_ids, id_columns, say_ids

_WORDS = ("", "_prompt", "_text", "_input", "_sentence")
CLEAN = *(f"clean{word}" for word in _WORDS), *(word[1:] for word in _WORDS[1:])
CORRUPTED = tuple(f"{side}{word}" for side in ("corrupted", "corrupt") for word in _WORDS)
"""The columns of prompts; what is called by the word alone is clean beside what is corrupted."""
_ANSWERS = ("answer", "answers", "correct", "correct_answer", "correct_answers", "label", "target")
"""How columns are called, but for the side, whose answers are texts."""
_OF_PROMPTS = (
    *("prompt", "text", "input", "sentence", "token", "row", "pair", "example", "sample", "template", "item", "group"),
    *("question", "story"),
)
"""Whose ids are none of answers: numbers of rows, and the tokens of prompts."""


def is_clean_corrupted(found: Collection[str]) -> bool:
    """Whether a table with these columns has clean prompts and corrupted ones."""
    return any(column in found for column in CLEAN) and any(column in found for column in CORRUPTED)


def with_answers(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table with our columns of answers, as far as it tells them: as texts, as ids of tokens, or in one column for
    the clean prompts, where every corrupted prompt is a clean one too, in another row.

    What should be an id and is none is ``Wrong``, and so is the answer to a corrupted prompt that is nowhere clean.

    Raises:
        InputError: If no corrupted prompt has an answer where clean ones have, or answers may be ids or texts.
    """
    named = _answer_columns([str(column) for column in table.columns], naming.name)
    taken = {answer: table[column] for answer, column in named.items() if answer not in table}
    if taken and are_ids({named[answer]: column for answer, column in taken.items()}, naming.name):
        say_ids([named[answer] for answer in taken], naming)
        taken = id_columns(taken)
    elif taken:
        naming.say(f"answers are its {' and '.join(quoted(named[answer]) for answer in taken)}")
    table = table.assign(**taken).drop(columns=[named[answer] for answer in named if answer in taken])
    clean, corrupted = (next(column for column in names if column in table) for names in (CLEAN, CORRUPTED))
    if "base_answer" in table and "source_answer" not in table:
        own: dict[str, list[Any]] = {}
        for prompt, answer in zip(table[clean], table["base_answer"], strict=True):
            own.setdefault(prompt, []).extend(answer if isinstance(answer, list | tuple) else [answer])
        if not table[corrupted].isin(own).any():
            raise InputError(
                f"{naming.name} has clean prompts and corrupted ones, as EAP-IG's tables do, and says what answers the "
                f"clean ones alone ({quoted(named.get('base_answer', 'base_answer'))}); a pair needs the answer to the "
                "corrupted one too: add a column, and name it in columns (source_answer=...)"
            )
        naming.say("a corrupted prompt's answer is that of the row in which it is the clean one")
        unknown = Wrong(": the corrupted prompt is the clean one of no row, which would say its answer; add such a row")
        answers = pd.Series([own.get(prompt, unknown) for prompt in table[corrupted]], table.index, dtype=object)
        table = table.assign(source_answer=answers)
    return table


def _answer_columns(found: Collection[str], name: str) -> dict[str, str]:
    """The columns that tell the answers: texts before ids, of both sides before those of one.

    Raises:
        InputError: If several may, and none is called so.
    """
    both = {column: _other_side(column, found) for column in found}
    sides = [(column, other) for column, other in both.items() if other]
    texts = [side for side in sides if side[0].removeprefix("clean_") in _ANSWERS]
    ids = [(side, match["of"]) for side in sides if (match := NAMED_IDS.fullmatch(side[0])) and match["of"]]
    alone = [(column,) for name in _ANSWERS for column in (f"clean_{name}", name) if column in found]
    of_answers = [side for side, whose in ids if whose in _ANSWERS]
    others = [side for side, whose in ids if whose not in _OF_PROMPTS]
    best: tuple[str, ...] = next(iter([*texts, *of_answers, *alone, *others]), ())
    if best in others[:1] and len(others) > 1:
        listed = " or ".join(quoted(column) for column, _ in others)
        raise InputError(
            f"{name} has several columns that may be the answers, {listed}; say which in columns (base_answer="
            f"{best[0]},source_answer={best[1]})"
        )
    return dict(zip(("base_answer", "source_answer"), best, strict=False))


def _other_side(column: str, found: Collection[str]) -> str | None:
    """The column that tells of the corrupted prompt what one tells of the clean one."""
    plain = column.removeprefix("clean_")
    others = [f"{side}_{plain}" for side in ("corrupted", "corrupt", "wrong", "incorrect")]
    others += [f"in{column}", column.replace("correct", "wrong", 1)]
    return next((other for other in others if other in found and other != column), None)
