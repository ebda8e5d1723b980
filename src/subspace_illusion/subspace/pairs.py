"""Pairs of prompts with everything that patching them takes, read from the cache of activations."""

from collections.abc import Callable, Mapping

import pandas as pd
import torch

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import Tail
from subspace_illusion.core.sites import Site
from subspace_illusion.files import ACTIVATIONS, PAIRS, column, read_table
from subspace_illusion.subspace.das import Examples
from subspace_illusion.subspace.patching import Change, Key, along, patch_outcomes
from subspace_illusion.tasks.table import chosen


class Pairs:
    """The pairs of one split and some kinds, at most ``most`` of them."""

    def __init__(self, model: Model, split: str, *kinds: str, most: int | None = None) -> None:
        self.model = model
        self.cached = Activations(ACTIVATIONS)
        self.table: pd.DataFrame = chosen(read_table(PAIRS), split, *kinds)[:most]
        self.bases = self.table["base"].to_numpy()
        self.sources = self.table["source"].to_numpy()
        self.io, self.s = column(self.table, "io_id"), column(self.table, "s_id")
        self.ld_clean = self.cached.index["ld"].loc[self.bases].to_numpy(dtype=float)

    def __len__(self) -> int:
        return len(self.table)

    def base(self, site: Site) -> torch.Tensor:
        """Activations of the bases at a site, ``[n, d]``."""
        return self.cached.at(site, self.bases)

    def source(self, site: Site) -> torch.Tensor:
        """Activations of the sources at a site, ``[n, d]``."""
        return self.cached.at(site, self.sources)

    def tail(self, site: Site) -> Callable[[torch.Tensor], Tail]:
        """Gives the tail of the bases of some of the pairs, from the first block that a change at the site touches."""
        return lambda rows: self.cached.tail(site.start, self.model.n_blocks, self.bases[rows.numpy()])

    def along(self, site: Site, frame: torch.Tensor | None) -> Change:
        """What patching along a subspace of the site adds; along all of it where the frame is ``None``."""
        return along(self.base(site), self.source(site), frame)

    def patch(
        self, site: Site, changes: Mapping[Key, Change], batch: int, on_patch: Callable[[int], None]
    ) -> dict[Key, Outcome]:
        """Makes one change at the site after the other in every pair."""
        return patch_outcomes(
            self.model, site, changes, self.tail(site), self.io, self.s, batch=batch, on_patch=on_patch
        )

    def examples(self, site: Site) -> Examples:
        """The pairs as DAS learns from them."""
        target = column(self.table, "target_id")
        return Examples(self.base(site), self.source(site), target, self.io + self.s - target, self.tail(site))
