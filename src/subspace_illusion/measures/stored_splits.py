"""How the subspaces of a residual vector are split by their readers, for the score: asked before, or found here.

The stage split_directions does it in full for the components that it is asked about, with v_true's readers. For every
other residual vector the readers are its own, and the model is opened when the first one comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.core.model import open_model
from subspace_illusion.core.sites import Site
from subspace_illusion.files import MODEL, read_table
from subspace_illusion.measures.own_readers import can_be_read, split_by_own_readers
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import Pairs, cached_pairs
from subspace_illusion.tasks.table import DIFFERENT, SPLITS


@dataclass(frozen=True)
class Splits:
    """Splits of the pipeline's components.

    Attributes:
        done: The folder with those that the stage has made.
        asked: The components that it was asked about.
        n_blocks: Blocks of the model.
        most: Pairs of either half that readers are found and parts patched on, at most.
        tolerance: As for ``split_by_own_readers``.
        resamples: Likewise.
        seed: Likewise.
        batch: Likewise.
    """

    done: Path
    asked: Sequence[str]
    n_blocks: int
    most: int
    tolerance: float
    resamples: int
    seed: int
    batch: int

    @cached_property
    def _halves(self) -> tuple[Pairs, Pairs]:
        """Pairs to find readers on, and held-out ones, read when the first component asks."""
        model = open_model(MODEL)
        train, test = (cached_pairs(model, half, DIFFERENT, most=self.most) for half in SPLITS)
        return train, test

    def of(self, name: str, site: Site, bases: Mapping[SubspaceKey, torch.Tensor]) -> pd.DataFrame | None:
        """What the readers see of a component's subspaces, pair for pair; ``None`` where no attention reads it.

        Args:
            name: The component.
            site: Where it is.
            bases: Its subspaces, ``[d_model, k]``.
        """
        if name in self.asked:
            return read_table(self.done / f"{name}_by_pair.csv")
        if not can_be_read(site, self.n_blocks):  # asked here too, for else the model would be opened in vain
            return None
        return split_by_own_readers(
            *self._halves,
            site,
            bases,
            tolerance=self.tolerance,
            resamples=self.resamples,
            seed=self.seed,
            batch=self.batch,
        )
