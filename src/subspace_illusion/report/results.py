"""The results of a run, read from where the stages left them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from subspace_illusion.files import read_json, read_table
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.tasks.table import IOI


class Asked(Protocol):
    """What a run asks of one component."""

    @property
    def train(self) -> bool:
        """Whether a subspace of it is trained."""

    @property
    def subspaces(self) -> Mapping[str, object]:
        """The user's own subspaces of it, by label."""


@dataclass(frozen=True)
class Results:
    """The results of a run, read as they are asked for.

    Files of an experiment that has not run may be missing, or left over from another run: ask ``ran`` first.

    Attributes:
        model: Name of the model.
        components: The components, in order.
        v_true: The one whose trained subspace is v_true.
        v_mlp: The one whose trained subspace is v_mlp, ``None`` where there is none.
        experiments: What each optional experiment ran for, by the experiment's name: components, or one name of its own
            where it is about none; empty where it was left out.
        folder: Where the results are.
        data: Where the larger tables are.
        task: Name of the task.
        untrained: The components of which no subspace was trained.
        own: The labels of the user's own subspaces, by component.
        spell: The text of some token ids; without it examples show no tokens.
    """

    model: str
    components: Sequence[str]
    v_true: str
    v_mlp: str | None
    experiments: Mapping[str, Sequence[str]]
    folder: Path
    data: Path
    task: str = IOI
    untrained: Sequence[str] = ()
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    spell: Callable[[Sequence[int]], str] | None = None

    @classmethod
    def of_run(
        cls,
        model: str,
        task: str,
        components: Mapping[str, Asked],
        v_true: str,
        v_mlp: str | None,
        experiments: Mapping[str, Sequence[str]],
        folder: Path,
        data: Path,
        spell: Callable[[Sequence[int]], str] | None = None,
    ) -> "Results":
        """The results of a run of the pipeline.

        Args:
            model: As the attribute.
            task: Likewise.
            components: What was asked of each component.
            v_true: As the attribute.
            v_mlp: Likewise.
            experiments: Likewise.
            folder: Likewise.
            data: Likewise.
            spell: Likewise.
        """
        untrained = [name for name, asked in components.items() if not asked.train]
        own = {name: list(asked.subspaces) for name, asked in components.items()}
        return cls(model, list(components), v_true, v_mlp, experiments, folder, data, task, untrained, own, spell)

    def ran(self, experiment: str) -> Sequence[str]:
        """What an optional experiment ran for; empty where it was left out."""
        return self.experiments.get(experiment, ())

    @property
    def trained(self) -> list[str]:
        """The components of which a subspace was trained."""
        return [name for name in self.components if name not in self.untrained]

    @property
    def roles(self) -> dict[str, str]:
        """The components of the roles that there are."""
        named = dict(v_true=self.v_true, v_mlp=self.v_mlp)
        return {role: name for role, name in named.items() if name is not None}

    @property
    def own_subspaces(self) -> list[SubspaceKey]:
        """The user's own subspaces."""
        return [SubspaceKey.user(label, name) for name in self.components for label in self.own.get(name, ())]

    def table(self, name: str, text: Sequence[str] = ()) -> pd.DataFrame:
        """A result table by its file's name; ``text`` names columns that hold text and look like numbers."""
        return read_table(self.folder / name, text)

    def json(self, name: str) -> Any:
        """A result that is no table, by its file's name."""
        return read_json(self.folder / name)

    def large(self, name: str) -> pd.DataFrame:
        """A table of the data folder, by its path there."""
        return read_table(self.data / name)

    def summary(self, key: SubspaceKey) -> pd.DataFrame:
        """The decomposition of one subspace: one row a training seed."""
        summary = self.large(f"decompositions/{key.component}/summary.parquet")
        return summary[summary["subspace"] == key.subspace]

    @cached_property
    def prompts(self) -> pd.DataFrame:
        """The table of prompts."""
        return self.large("prompts.parquet")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The table of pairs with their clean LD, whether the model gets them right and whether they are kept."""
        return self.large("activations/pairs.parquet")

    def controls(self, component: str) -> pd.DataFrame | None:
        """What the controls of a component, and the random model in its place, did; ``None`` where neither ran."""
        folders = [folder for folder in ("controls", "random_model") if component in self.ran(folder)]
        tables = [self.table(f"{folder}/{component}.csv") for folder in folders]
        return pd.concat(tables, ignore_index=True) if tables else None

    @cached_property
    def n_blocks(self) -> int:
        """How many blocks the model has, by what ``localise`` found in each."""
        return int(self.table("localise/components.csv")["block"].max()) + 1

    @property
    def at_end(self) -> bool:
        """Whether components are read and patched at END."""
        return bool((self.prompts["position"] == self.prompts["end"]).all())

    @cached_property
    def _effects(self) -> dict[SubspaceKey, dict[Any, Any]]:
        rows = self.table("effects.csv", text=("seed",)).to_dict("records")
        return {SubspaceKey.read(row["subspace"], row["seed"], row["component"]): row for row in rows}

    @cached_property
    def effects(self) -> dict[SubspaceKey, dict[Any, Any]]:
        """What patching each subspace of each component did: the rows that pool the seeds."""
        return {key: row for key, row in self._effects.items() if key.seed is None}

    def by_seed(self, key: SubspaceKey, measure: str) -> tuple[float, ...]:
        """A measure of the single training seeds, in their order; empty where no seed trained the subspace."""
        single = {other: row for other, row in self._effects.items() if other.pooled == key != other}
        return tuple(float(row[measure]) for row in single.values())
