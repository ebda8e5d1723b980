"""Tables of clean prompts and corrupted ones: EAP-IG's, and others whose columns are called alike."""

from collections.abc import Collection
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.token_ids import id_columns

_WORDS = ("", "_prompt", "_text", "_input", "_sentence")
CLEAN = tuple(f"clean{word}" for word in _WORDS)
CORRUPTED = tuple(f"{side}{word}" for side in ("corrupted", "corrupt") for word in _WORDS)
"""The columns of prompts."""
_ANSWERS = ("answer", "answers", "correct", "label", "target")
"""How columns are called, but for the side, whose answers are texts."""
_IDS = ("_idx", "_ids", "_id", "_token")
"""How the names of columns end whose answers are ids of tokens."""


def is_clean_corrupted(found: Collection[str]) -> bool:
    """Whether a table with these columns has clean prompts and corrupted ones."""
    return any(column in found for column in CLEAN) and any(column in found for column in CORRUPTED)


def with_answers(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table with our columns of answers, as far as it tells them: as texts, as ids of tokens, or in one column for
    the clean prompts, where every corrupted prompt is a clean one too, in another row.

    Raises:
        InputError: If what should be an id is none, or a corrupted prompt has no answer where the clean one has.
    """
    named = _answer_columns([str(column) for column in table.columns])
    taken = {answer: column for answer, column in named.items() if answer not in table}
    ids = {answer: table[column] for answer, column in taken.items() if column.endswith(_IDS)}
    texts = {answer: table[column] for answer, column in taken.items() if answer not in ids}
    if taken:
        what = ", ids of tokens, taken to be those of the model's own tokenizer" if ids else ""
        naming.say(f"answers are its {' and '.join(map(quoted, taken.values()))}{what}")
    table = table.assign(**texts, **id_columns(ids, naming)).drop(columns=list(taken.values()))
    clean, corrupted = (next(column for column in names if column in table) for names in (CLEAN, CORRUPTED))
    if "base_answer" in table and "source_answer" not in table:
        own: dict[str, list[Any]] = {}
        for prompt, answer in zip(table[clean], table["base_answer"], strict=True):
            own.setdefault(prompt, []).extend(answer if isinstance(answer, list | tuple) else [answer])
        if not table[corrupted].isin(own).all():
            raise InputError(
                f"{naming.name} has clean prompts and corrupted ones, as EAP-IG's tables do, and says what answers the "
                f"clean ones alone ({quoted(named.get('base_answer', 'base_answer'))}); a pair needs the answer to the "
                "corrupted one too: add a column, and name it in columns (source_answer=...)"
            )
        naming.say("a corrupted prompt's answer is that of the row in which it is the clean one")
        table = table.assign(source_answer=[own[prompt] for prompt in table[corrupted]])
    return table


def _answer_columns(found: Collection[str]) -> dict[str, str]:
    """The columns that tell the answers: texts before ids, of both sides before those of one."""
    both = {column: _other_side(column, found) for column in found}
    sides = [(column, other) for column, other in both.items() if other]
    texts = [side for side in sides if side[0].removeprefix("clean_") in _ANSWERS]
    ids = [side for side in sides if side[0].endswith(_IDS)]
    alone = [(column,) for name in _ANSWERS for column in (f"clean_{name}", name) if column in found]
    best: tuple[str, ...] = next(iter([*texts, *ids, *alone]), ())
    return dict(zip(("base_answer", "source_answer"), best, strict=False))


def _other_side(column: str, found: Collection[str]) -> str | None:
    """The column that tells of the corrupted prompt what one tells of the clean one."""
    plain = column.removeprefix("clean_")
    others = [f"{side}_{plain}" for side in ("corrupted", "corrupt", "wrong", "incorrect")]
    others += [f"in{column}", column.replace("correct", "wrong", 1)]
    return next((other for other in others if other in found and other != column), None)
