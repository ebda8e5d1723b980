"""A component in some pairs: what it holds, and what changes of it do, wherever it stands.

Most components are a site of the model. One that stands beside the model, such as a random MLP, holds what is worked
out from the model's activations, and writes through a matrix of its own to a site.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from subspace_illusion.core.on_device import kept
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.das import Examples
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change, Key, along


@dataclass(frozen=True)
class Component:
    """What one component holds in some pairs.

    Attributes:
        pairs: The pairs.
        site: Where the model is changed.
        base: What it holds in the base prompts, ``[n, d]``.
        source: In the sources, ``[n, d]``.
        through: The matrix through which it writes to the site, ``[d, d_site]``; ``None`` where it is the site.
        by_token: Where spans are patched token by token, what it holds at each token of base and source, each
            ``[n, longest span, d]``; ``base`` and ``source`` are the means over them.
    """

    pairs: Pairs
    site: Site
    base: torch.Tensor
    source: torch.Tensor
    through: torch.Tensor | None = None
    by_token: tuple[torch.Tensor, torch.Tensor] | None = None

    @classmethod
    def of(cls, pairs: Pairs, site: Site) -> "Component":
        """A site of the model."""
        every = torch.arange(len(pairs))
        ends = [end[every] for end in pairs.ends(site)] if pairs.token_by_token else []
        return cls(pairs, site, pairs.base(site), pairs.source(site), by_token=(ends[0], ends[1]) if ends else None)

    @property
    def readout(self) -> torch.Tensor | None:
        """What the residual stream sees it through, ``[d, d_model]``; ``None`` where it is a vector of the stream."""
        return self.pairs.model.readout(self.site) if self.through is None else self.through

    @property
    def ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What it holds in base and source as it is patched, each ``[n, d]``, or token by token."""
        return (self.base, self.source) if self.by_token is None else self.by_token

    @property
    def moves(self) -> torch.Tensor:
        """What a patch of all of it adds, ``[n, d]``, or token by token."""
        base, source = self.ends
        return source - base

    @property
    def change(self) -> torch.Tensor:
        """Source less base, ``[n, d]``."""
        return self.source - self.base

    def along(self, basis: torch.Tensor | None) -> Change:
        """Patching along a subspace, or of all of it."""
        return along(*self.ends, basis)

    def patch(self, changes: Mapping[Key, Change], batch: int, top1: bool = True) -> dict[Key, Outcome]:
        """Makes every change, ``[m, d]``, alone, in every pair; ``top1`` as for ``patching.patch_outcomes``."""
        written = {key: self._written(change) for key, change in changes.items()}
        return self.pairs.patch(self.site, written, batch, top1=top1)

    def _written(self, change: Change) -> Change:
        through = self.through
        return change if through is None else lambda rows: change(rows) @ through

    @property
    def examples(self) -> Examples:
        """The pairs as DAS learns from them."""
        tail = kept(self.pairs.tail(self.site.start), len(self.pairs), self.pairs.model.device)
        return Examples(*self.ends, *self.pairs.targets, tail, token_by_token=self.by_token is not None)
