"""What a report is made of: sections with tables and pictures, every number taken from the result tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.words import shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, table: pd.DataFrame, columns: Mapping[str, str], measures: Collection[str] = ()) -> "Grid":
        """Columns of a data frame, by their name in it, under headings in words; measures with intervals."""

        def cell(row: Mapping[str, Any], name: str) -> str:
            if name not in measures:
                return in_words(row[name])
            estimate = Estimate.of(row, name)
            return with_ends(estimate)

        rows = [[cell(row, name) for name in columns] for row in table.to_dict("records")]
        return cls(list(columns.values()), rows)

    @property
    def markdown(self) -> str:
        """It as a table of Markdown."""
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


@dataclass(frozen=True)
class Picture:
    """A picture: the name of its file without the ending, what it shows in words, and itself."""

    name: str
    alt: str
    figure: Figure


@dataclass(frozen=True)
class Section:
    """One experiment.

    Attributes:
        title: Its name, with the number of the experiment.
        asks: The question that it asks.
        answer: What this run answers, in one sentence.
        reading: How that was measured and how to read it.
        pictures: Its pictures.
        grids: Its tables.
    """

    title: str
    asks: str
    answer: str
    reading: str
    pictures: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()


def in_words(value: Any) -> str:
    """A cell of a table."""
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{round(value, 3) + 0.0:.3f}"
    if isinstance(value, SubspaceKey):
        return shown(value)
    if isinstance(value, list):
        return "(" + ", ".join(f"{x:g}" for x in value) + ")"
    return str(value)
