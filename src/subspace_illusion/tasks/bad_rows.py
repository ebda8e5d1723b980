"""The rows of a table that are wrong: all of them counted and said at once, or left out where that is asked for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.quoting import at

_NUMBERED = 20
"""Rows of one kind that are numbered; of more it is said how many there are."""
_QUOTED = re.compile(r"'.*?'|\".*?\"|[0-9]+")


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
        """All of it, in one line: of what is wrong with several rows, the first, and which they are."""
        kinds: dict[str, list[int]] = {}
        for index, what in sorted(self.said.items()):
            kinds.setdefault(_QUOTED.sub("", what), []).append(index)
        return "; ".join(self._of_a_kind(*rows) for rows in kinds.values())

    def _of_a_kind(self, first: int, *others: int) -> str:
        """What is wrong with a row, and which others have the like."""
        numbers = ", ".join(str(index + 1) for index in others[:_NUMBERED])
        more = f" and {len(others) - _NUMBERED} more" if len(others) > _NUMBERED else ""
        likewise = f" (likewise row{'s' if others[1:] else ''} {numbers}{more})" if others else ""
        return f"row {first + 1}{self.said[first]}{likewise}"

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
