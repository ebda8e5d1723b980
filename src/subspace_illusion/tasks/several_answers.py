"""Several right answers of a pair, as tables have them: listed in a cell, or in several rows of the same pair."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.tasks.answer_sets import Answers, plain, spelled
from subspace_illusion.tasks.cells import Wrong, opened
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.token_ids import IDS

ANSWERS = ("base_answer", "source_answer", "foil")
"""The columns that hold answers."""
_VALUES = ("value", "source_value")
PLACE = ("base", "source", "position", "source_position")
"""The columns that tell pairs apart."""
_SHOWN = 3
"""How many rows that become one pair are numbered."""
_ALIKE = ("value", "source_value", "group", "split", "template", "kind", "joined")
"""In what rows of one pair must be alike."""


def with_sets(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table whose cells list several right answers as tuples, and whose values are then called after them.

    Args:
        table: With our columns.
        naming: How it is read.
    """
    for column in [column for column in ANSWERS if column in table]:
        found = [_listed(cell, column) for cell in table[column]]
        cells = zip(table[column], found, strict=True)
        if written := sum(isinstance(cell, str) and isinstance(read, tuple) for cell, read in cells):
            naming.say(f"{written} cells of {column!r} are lists, written as text: each answer that they list is right")
        table = table.assign(**{column: pd.Series(found, table.index, dtype=object)})
    for column in [column for column in _VALUES if column in table]:
        listed = [_listed(cell, column) for cell in table[column]]
        named = [spelled(cell) if isinstance(cell, tuple) else cell for cell in listed]
        table = table.assign(**{column: pd.Series(named, table.index, dtype=object)})
    return table


def _listed(cell: Any, column: str) -> Any:
    """What a cell says: a tuple where it lists several texts, the text where it lists one, else the cell; ``Wrong``
    where an answer is a list of numbers as text: answers, ids, or that text."""
    listed = opened(cell)
    if not (isinstance(listed, list | tuple) and listed):
        return cell
    if all(isinstance(text, str) and text for text in listed):
        return _as_cell(listed)
    are_numbers = isinstance(listed, list) and all(isinstance(number, int | float) for number in listed)
    if column not in ANSWERS or not isinstance(cell, str) or not are_numbers:
        return cell
    return Wrong(
        f": '{column}' is {quoted(cell)}, a list of numbers; put each into quotes, or the whole cell in a list of one "
        '(["..."]) if the answer is this text; ids of tokens stand in columns whose names end in _idx'
    )


def _as_cell(texts: Iterable[str]) -> Answers:
    """Texts as a cell holds them, each once."""
    once = tuple({plain(text): text for text in reversed([*texts])}.values())[::-1]
    return once[0] if len(once) == 1 else once


def merged(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table in which rows of the same base, source and positions that give other answers are one pair with all of
    them, where at least half of the pairs have several such rows. Rows that say the same twice stay, and so does a row
    that repeats a pair where few do: it is rather a slip.

    Args:
        table: Answers are texts or tuples, and whatever is given as ids of tokens has its columns of these.
        naming: How it is read.
    """
    gathered = {column: table[column].tolist() for column in (*ANSWERS, *IDS.values()) if column in table}
    alike = [column for column in _ALIKE if column in table]
    first: dict[tuple[str, ...], int] = {}
    said: dict[tuple[str, ...], set[tuple]] = {}
    joins: list[tuple[int, int]] = []
    for here, key in enumerate(_keys(table, [column for column in PLACE if column in table])):
        before = first.setdefault(key, here)
        answers = tuple(cells[here] for cells in gathered.values())
        seen = said.setdefault(key, set())
        if here != before and answers not in seen and _are_alike(table, alike, before, here):
            joins.append((before, here))
        seen.add(answers)
    if not joins or 2 * len({before for before, _ in joins}) < len(first):
        return table
    for before, here in joins:
        for cells in gathered.values():
            cells[before] = _both(cells[before], cells[here])
    shown = ", ".join(f"row {table.index[b] + 1} with row {table.index[a] + 1}" for a, b in joins[:_SHOWN])
    naming.say(
        f"{len(joins)} of {len(table)} rows give a pair of an earlier row other answers: all of them are right "
        f"({shown}{', ...' if len(joins) > _SHOWN else ''})"
    )
    columns = {column: pd.Series(cells, table.index, dtype=object) for column, cells in gathered.items()}
    return table.assign(**columns)[~np.isin(np.arange(len(table)), [here for _, here in joins])]


def _keys(table: pd.DataFrame, columns: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(table[column].map(str) for column in columns), strict=True)


def _are_alike(table: pd.DataFrame, columns: Sequence[str], one: int, other: int) -> bool:
    return all(str(table[column].iloc[one]) == str(table[column].iloc[other]) for column in columns)


def _both(one: Any, other: Any) -> Any:
    """What two cells list together; ids of tokens likewise."""
    if one is None or other is None:
        return other if one is None else one
    listed = [*(one if isinstance(one, tuple) else (one,)), *(other if isinstance(other, tuple) else (other,))]
    if all(isinstance(cell, str) for cell in listed):
        return _as_cell(listed)
    once = tuple(dict.fromkeys(listed))
    return once[0] if len(once) == 1 else once
