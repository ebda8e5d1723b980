"""The rows of a table that are wrong: all of them counted and said at once, or left out where that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.quoting import at

_SAID = 5
"""Rows of which it is said what is wrong; the others are numbered."""


@dataclass(frozen=True)
class BadRows:
    """What is wrong with rows of a table.

    Attributes:
        name: What messages call the table.
        rows: How many rows it has.
        said: What is wrong, by the row's index; it goes on from the row's name, with a colon or a verb.
    """

    name: str
    rows: int
    said: Mapping[int, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """All of it, in one line."""
        listed = sorted(self.said.items())
        shown = "; ".join(f"row {index + 1}{what}" for index, what in listed[:_SAID])
        more = ", ".join(str(index + 1) for index, _ in listed[_SAID:])
        return f"{shown}; and rows {more}" if more else shown

    def and_also(self, said: Mapping[int, str]) -> "BadRows":
        """With what is wrong with more rows."""
        return BadRows(self.name, self.rows, {**said, **self.said})

    def refuse(self, remedy: str) -> None:
        """Refuses the table if anything is wrong with it.

        Args:
            remedy: How they are left out, where that can be asked for.

        Raises:
            InputError: If a row is wrong.
        """
        if not self.said:
            return
        ((index, what), *others) = sorted(self.said.items())
        way_out = f"; {remedy}" if remedy and self.rows > len(self.said) else ""
        if not others:
            raise InputError(f"{at(self.name, index)}{what}{way_out}")
        raise InputError(f"{self.name}: {len(self.said)} of {self.rows} rows are wrong: {self}{way_out}")
