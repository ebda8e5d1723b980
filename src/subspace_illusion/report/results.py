"""The results of a run, read from where the stages left them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.files import DATA, RESULTS, read_json, read_table
from subspace_illusion.statistics import POOLED


@dataclass(frozen=True)
class Results:
    """The results of a run, read as they are asked for.

    Attributes:
        model: Name of the model.
        components: The components, in order.
        v_true: The one whose trained direction is v_true.
        v_mlp: The one whose trained direction is v_mlp.
        experiments: The components that the costlier experiments ran for, by the experiment's name.
        folder: Where the results are.
        data: Where the larger tables are.
    """

    model: str
    components: Sequence[str]
    v_true: str
    v_mlp: str
    experiments: Mapping[str, Sequence[str]]
    folder: Path = RESULTS
    data: Path = DATA

    def table(self, name: str, text: Sequence[str] = ()) -> pd.DataFrame:
        """A result table by its file's name; ``text`` names columns that hold text and look like numbers."""
        return read_table(self.folder / name, text)

    def json(self, name: str) -> Any:
        """A result that is no table, by its file's name."""
        return read_json(self.folder / name)

    def large(self, name: str) -> pd.DataFrame:
        """A table that is not kept in git, by its path in the data folder."""
        return read_table(self.data / name)

    @cached_property
    def _effects(self) -> pd.DataFrame:
        return self.table("effects.csv", text=("seed",))

    @property
    def effects(self) -> pd.DataFrame:
        """What patching did, by component and subspace; the rows that pool the seeds."""
        return self._effects[self._effects["seed"] == POOLED].set_index(["component", "subspace"])

    def by_seed(self, component: str, subspace: str, measure: str) -> tuple[float, ...]:
        """A measure of the single training seeds, in their order; empty where no seed trained the subspace."""
        rows = self._effects
        rows = rows[(rows["component"] == component) & (rows["subspace"] == subspace) & (rows["seed"] != POOLED)]
        return tuple(rows[measure].astype(float))
