"""What can be wrong with a raw table of pairs before anything is made tokens."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answer_sets import common
from subspace_illusion.tasks.answers import JOINED
from subspace_illusion.tasks.bad_rows import BadRows
from subspace_illusion.tasks.cells import Wrong, opened
from subspace_illusion.tasks.completed import MAY_BE_BLANK, OPTIONAL, REQUIRED, values
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.quoting import at, quoted
from subspace_illusion.tasks.several_answers import ANSWERS, PLACE, merged
from subspace_illusion.tasks.table import OTHER_SPLITS, PAIR_KINDS, SAME, SPLITS

OnBad = Callable[[int, str], object]
"""Told of a row that is wrong: its index, and what is wrong, which goes on from the row's name."""
_TEXTS = ("base", "source", *ANSWERS)
_POSITIONS = ("position", "source_position")
_LABELS = ("value", "source_value", "group", "split", "template", "kind")
"""The columns that are only compared and shown, so that a number will do."""
_MISSING = ("nan", "NaN", "<NA>", "NaT")
"""What pandas makes of a missing cell where it makes everything text."""
_LISTED = re.compile(r"""\s*(\[\s*['"].*\]|\{\s*'.*\})\s*""", re.DOTALL)
"""What a list that begins with a text, or a mapping of Python's, looks like as text."""


def checked(table: pd.DataFrame, naming: Naming, on_bad: OnBad | None = None) -> pd.DataFrame:
    """A raw table of pairs in which nothing is missing and text is text, labels made text and blank cells ``None``;
    rows that give a pair other answers are one.

    Args:
        table: The columns ``REQUIRED``, any of ``OPTIONAL``, and others; the index is the row's number, from 0.
        naming: What messages call it.
        on_bad: Told of each row that is wrong, which is left out then; by default such a table is refused.

    Raises:
        InputError: If rows are wrong, all of them in one line; if a group is in both splits.
    """
    name, rows, bad = naming.name, table.index.nunique(), dict[int, str]()
    for column in {*MAY_BE_BLANK} & {*table.columns}:
        table[column] = table[column].where(table[column].notna() & (table[column] != ""), None)
    for check in (_values, _words, _foils, _twice):
        found = dict(reversed([*check(table)]))  # what is said of a row is the first that is wrong with it
        bad |= found
        table = table[~table.index.isin(found)]
        if check is _values:
            labels = [column for column in _LABELS if column in table]
            table = table.assign(**{column: table[column].map(lambda label: str(label).strip()) for column in labels})
            table = merged(table, naming)
    if on_bad is None:
        BadRows(name, rows, bad).refuse("")
    else:
        for index, said in bad.items():
            on_bad(index, said)
    _check_groups(table, name)
    return table


def _cells(table: pd.DataFrame, *columns: str) -> Iterator[tuple[int, str, Any]]:
    """Row, column and value of each cell of some columns, as far as the table has them; row by row."""
    present = [column for column in columns if column in table]
    for index, *row in table[present].itertuples(name=None):
        yield from ((index, column, value) for column, value in zip(present, row, strict=True))


def _values(table: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Cells that are empty, or hold something else than they must."""
    for index, column, value in _cells(table, *REQUIRED, *OPTIONAL):
        if isinstance(value, Wrong):
            yield index, value.said
            continue
        blank = value is None or value == "" or value != value
        if blank and column not in MAY_BE_BLANK:
            remedy = "fill it in" + ("" if column in REQUIRED else ", or leave the column out")
            yield index, f": '{column}' is missing; {remedy}"
            continue
        is_prompt = column in ("base", "source")
        if isinstance(value, str) and (value in _MISSING or (is_prompt and not value.strip())):
            remedy = "leave it empty" if column in MAY_BE_BLANK else "fill it in"
            yield index, f": '{column}' is {quoted(value)}, which says that it is missing; {remedy}"
            continue
        if is_prompt and _are_messages(value):
            yield (
                index,
                f": '{column}' is {quoted(value)}, messages of a chat; give what the user says as text, which chat "
                "(--chat) puts into the model's template, or all of it as the template writes it",
            )
            continue
        number = isinstance(value, int) and not isinstance(value, bool)
        fits = (
            blank
            or isinstance(value, str)
            or (column in ANSWERS and isinstance(value, tuple))
            or (column in _POSITIONS and number)
            or (column in _LABELS and not isinstance(value, list | dict))
        )
        if not fits:
            several = "text, or a list of texts" if column in ANSWERS else "text"
            wanted = "a text or a whole number" if column in _POSITIONS else several
            yield index, f": '{column}' is {quoted(value)}, of type {type(value).__name__}; it must be {wanted}"
        elif column in _TEXTS and isinstance(value, str) and _LISTED.fullmatch(value):
            yield (
                index,
                f": '{column}' is {quoted(value)}, a list or mapping written as text; give the text alone",
            )


def _are_messages(cell: Any) -> bool:
    """Whether a cell holds messages of a chat, also where they are written as text."""
    listed = opened(cell)
    messages = listed if isinstance(listed, list) else [listed]
    return bool(messages) and all(isinstance(said, dict) and {"role", "content"} <= {*said} for said in messages)


def _words(table: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Splits, kinds and ways to be joined that are none of those that there are."""
    for index, _, split in _cells(table, "split"):
        if split.lower() in OTHER_SPLITS:
            yield (
                index,
                f": the split is {quoted(split)}, and only train and test are used; remove such rows, or call them "
                "train or test",
            )
        elif split not in SPLITS:
            yield index, f": the split is {quoted(split)}; it must be train or test"
    for index, _, kind in _cells(table, "kind"):
        if kind not in PAIR_KINDS:
            yield index, f": the kind is {quoted(kind)}; it must be one of {', '.join(PAIR_KINDS)}"
    for index, _, way in _cells(table, "joined"):
        if way is not None and way not in JOINED:
            yield index, f": 'joined' is {quoted(way)}; it must be {' or '.join(JOINED)}"


def _foils(table: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Foils that a row gives, or what stands for them where the values differ, that are its answer."""
    both = values(table)
    differ = table["kind"] != SAME if "kind" in table else both["value"] != both["source_value"]
    foils = table["foil"] if "foil" in table else pd.Series(None, table.index, dtype=object)
    rows = zip(table.index, differ, table["base_answer"], table["source_answer"], foils, strict=True)
    for index, different, answer, source_answer, given in rows:
        foil = source_answer if pd.isna(given) and different else given
        same = None if pd.isna(foil) else common(foil, answer)
        if same is not None:
            yield (
                index,
                f": the answer and its foil are both {quoted(same)}; give the wrong answer that it is compared with in "
                "a column 'foil'",
            )


def _twice(table: pd.DataFrame) -> Iterator[tuple[int, str]]:
    """Rows with the base, source and positions of an earlier one."""
    keys = [column for column in PLACE if column in table]
    answers = [column for column in ANSWERS if column in table]
    first: dict[tuple, tuple[int, tuple]] = {}
    for index, *cells in table[keys + answers].itertuples(name=None):
        key, said = tuple(map(str, cells[: len(keys)])), tuple(map(str, cells[len(keys) :]))
        if key not in first:
            first[key] = index, said
            continue
        before, earlier = first[key]
        other = said != earlier
        remedy = "list both in one cell if both are right, or remove one" if other else "remove one of them"
        with_another = ", with another answer" if other else ""
        yield index, f" is the same pair as row {before + 1} (base {quoted(cells[0])}){with_another}; {remedy}"


def _check_groups(table: pd.DataFrame, name: str) -> None:
    """Makes sure that no group is in both splits.

    Raises:
        InputError: If one is.
    """
    if not {"group", "split"} <= {*table.columns}:
        return
    first: dict[str, tuple[str, int]] = {}
    for index, group, split in table[["group", "split"]].itertuples(name=None):
        known, before = first.setdefault(group, (split, index))
        if known != split:
            raise InputError(
                f"{at(name, before, index)}: the group {quoted(group)} is in both splits; put it in one, or leave out "
                "the column 'split'"
            )
