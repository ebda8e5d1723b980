"""What a table and its columns are called: in messages, by the user, and but for capitals and spaces."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.cells import opened
from subspace_illusion.tasks.completed import OPTIONAL, REQUIRED
from subspace_illusion.tasks.quoting import quoted


@dataclass(frozen=True)
class Naming:
    """What a table and its columns are called.

    Attributes:
        name: What messages call the table.
        columns: By our name of a column the one that the table has for it, where the user says so; of a mapping's key
            with its column and a dot before it.
        counterfactual: Which of several kinds of counterfactual the user wants.
        say: Told in a line what the table was taken for, and what was assumed.
    """

    name: str
    columns: Mapping[str, str] = field(default_factory=dict)
    counterfactual: str | None = None
    say: Callable[[str], object] = lambda line: None


def renamed(table: pd.DataFrame, naming: Naming, known: tuple[str, ...] = REQUIRED + OPTIONAL) -> pd.DataFrame:
    """A table with our names for the columns of which the user says what they are; one may be several of ours.

    Args:
        table: The table.
        naming: How it is read.
        known: Our columns.

    Raises:
        InputError: If there is no such column, in the table or among ours.
    """
    inner = {theirs: _inside(table, theirs) for theirs in naming.columns.values() if theirs not in table}
    table = table.assign(**{theirs: cells for theirs, cells in inner.items() if cells is not None})
    found = [str(column) for column in table.columns]
    for ours, theirs in naming.columns.items():
        if ours not in known:
            raise InputError(
                f"{naming.name}: {quoted(ours)}, which is to be {quoted(theirs)}, is none of the columns that a table "
                f"of pairs has: {', '.join(known)}"
            )
        if theirs not in found:
            raise InputError(
                f"{naming.name} has no column {quoted(theirs)}, which is to be its '{ours}'; found are "
                f"{', '.join(found)}"
            )
    rest = table[[column for column in found if column not in {*naming.columns, *naming.columns.values()}]]
    return rest.assign(**{ours: table[theirs] for ours, theirs in naming.columns.items()})


def _inside(table: pd.DataFrame, path: str) -> pd.Series | None:
    """What the mappings of a column have under a key, for the column's name, a dot and the key; ``None`` where one has
    no such key."""
    column, _, key = path.partition(".")
    cells = table[column].map(opened) if column in table else pd.Series()
    if not len(cells) or not all(isinstance(cell, dict) and key in cell for cell in cells):
        return None
    return cells.map(lambda cell: cell[key])


def plain_name(column: str) -> str:
    """A column's name in small letters, with ``_`` for what stands between its words."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.strip())
    return re.sub(r"[\s_-]+", "_", apart).lower()


def plainly_named(table: pd.DataFrame, naming: Naming, known: Collection[str] | None = None) -> pd.DataFrame:
    """A table whose columns have their plain names, and says so; not where another has that name too.

    Args:
        table: The table.
        naming: What messages call it.
        known: The plain names that count; ``None``: all.
    """
    found = [str(column) for column in table.columns]
    plain = [plain_name(column) for column in found]
    names = {
        column: name
        for column, name in zip(found, plain, strict=True)
        if column != name and plain.count(name) == 1 and (known is None or name in known)
    }
    if names:
        said = ", ".join(f"{quoted(column)} for '{name}'" for column, name in names.items())
        naming.say(f"{naming.name}: columns are taken by their names in small letters: {said}")
    return table.rename(columns=names)
