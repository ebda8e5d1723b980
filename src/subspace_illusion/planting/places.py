"""The places of a block that signals are planted in (E14), and what a component holds there with each dose."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from subspace_illusion.core.mlps import mlp_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.random_mlp import RandomMlp, draw_random_mlp
from subspace_illusion.core.sites import Site, mlp_input, mlp_output, residual_after
from subspace_illusion.planting.plant import (
    Mediator,
    Signal,
    behind_norm,
    gain,
    plant,
    stream_before,
    stream_behind,
    writes_as,
)
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.pairs import Pairs

RANDOM_MLP, BETWEEN = "random MLP", "stream between"
PLACES = {
    "MLP": "mlp.hook_post",
    RANDOM_MLP: "mlp.hook_post",
    "attention": "attn.hook_z",
    "one head": "attn.hook_z.0",
    "attention's output": "hook_attn_out",
    "MLP's output": "hook_mlp_out",
    "stream before": "hook_resid_pre",
    BETWEEN: "hook_resid_mid",
    "stream after": "hook_resid_post",
}
"""Where a signal is planted in a block, and the hook; a random MLP stands beside the block's own."""


@dataclass(frozen=True)
class Place:
    """A component that a signal is planted in, in training and held-out pairs.

    Attributes:
        name: What tables call it, such as one of ``PLACES``.
        site: The component.
        signal: The signal.
        mediator: What carries it.
        drawn: The random MLP, where it is one.
    """

    name: str
    site: Site
    signal: Signal
    mediator: Mediator
    drawn: RandomMlp | None

    @classmethod
    def of(cls, name: str, site: Site, direction: torch.Tensor, train: Pairs, seed: int) -> "Place":
        """A place.

        Args:
            name: What tables call it.
            site: The component.
            direction: The signal's, ``[d_model]``.
            train: Training pairs.
            seed: Of the random MLP, which the place is where its name says so.

        Raises:
            InputError: If the component does not write along the direction.
        """
        model, block, before = train.model, site.block, stream_before(train.model, site)
        drawn = None
        if name == RANDOM_MLP:
            drawn = draw_random_mlp(mlp_of(model, block), train.base(mlp_input(block)), seed, "planted", block)
        readout = model.readout(site) if drawn is None else drawn.readout
        if readout is None:
            return cls(name, site, Signal(direction, before), Mediator(direction, instead=True), drawn)
        mediator = Mediator(writes_as(direction, readout * gain(train, site)), instead=False)
        held = torch.cat([train.base(before), train.source(before)]) @ direction
        return cls(name, site, Signal(direction, before, float(held.mean())), mediator, drawn)

    def at(self, pairs: Pairs, dose: float, batch: int) -> Component:
        """The component with the signal planted to a dose."""
        if self.drawn is None:
            return Component.of(plant(pairs, self.site, self.signal, self.mediator, dose, batch), self.site)
        sides = (pairs.base_prompts.tolist(), pairs.source_prompts.tolist())
        held = [self.drawn.hidden(pairs.prompts.at(mlp_input(self.site.block), side)) for side in sides]
        carried = [self.signal.at(pairs.prompts, side) for side in sides]
        base, source = (x + self.mediator.added(x, s, dose) for x, s in zip(held, carried, strict=True))
        return Component(pairs, mlp_output(self.site.block), base, source, self.drawn.readout)

    def moves(self, pairs: Pairs, dose: float) -> torch.Tensor:
        """How far the mediator really moves from base to source, ``[n]``."""
        base, source = (
            self.signal.at(pairs.prompts, side.tolist()) for side in (pairs.base_prompts, pairs.source_prompts)
        )
        return dose * (source - base) * self.mediator.vector.norm()


def places_of(model: Model, places: Sequence[str]) -> list[str]:
    """Those of the places that a model has: there is no stream between attention and MLP where they are parallel."""
    return [name for name in places if not (model.parallel_blocks and name == BETWEEN)]


def sites_of(model: Model, site: Site) -> list[Site]:
    """What has to be recorded to plant in a component."""
    return [site, stream_before(model, site), stream_behind(model, site), *(behind_norm(site) if site.readout else ())]


def sites_read(model: Model, block: int, places: Sequence[str]) -> list[Site]:
    """What has to be recorded for some places of a block."""
    sites = [residual_after(block), mlp_input(block)]
    for name in places_of(model, places):
        sites += sites_of(model, site_of(name, block))
    return list(dict.fromkeys(sites))


def site_of(name: str, block: int) -> Site:
    """The component of a block that one of ``PLACES`` names."""
    return Site.parse(f"blocks.{block}.{PLACES[name]}")
