"""Cases whose mediated share is known (E13, E14): a signal planted in a component to a dose, subspaces found there in
every way and mixtures of them, and what patches of each do.

The *mediated share* of a subspace is the effect of moving the component's mediator alone as far as the patch moves it,
and no further than it really moves, over the effect of the patch. Both are run. So it is a fact of the direction, for
every dose, place, way of finding it and size of effect, and it takes no arithmetic of null and row parts. Where the
rest of a patch works against the mediator it exceeds 1, and is counted as 1.

The unit is the block of a task in a model: its places share the signal and the pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import SMALLEST_PART, mean_difference, orthonormal, random_basis, split_by
from subspace_illusion.core.mlps import mlp_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.random_mlp import RandomMlp, draw_random_mlp
from subspace_illusion.core.replay import Planted, Tail
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site, mlp_input, mlp_output, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.controls import placebo
from subspace_illusion.measures.own_difference import gradients, moved_alone, own_difference, what_acts
from subspace_illusion.planting.cases import probe
from subspace_illusion.planting.plant import (
    Mediator,
    PromptsWithSignal,
    Signal,
    behind_norm,
    gain,
    plant,
    stream_before,
    stream_behind,
    unread,
    writes_as,
)
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import Examples, train_das
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, OFF_ROUTE, PROBE, TRAINED
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change

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
MIXTURE = "mixture"
NOISE = 0.3
"""How much of a random direction a mixture has at most, beside the directions that were found."""


@dataclass(frozen=True)
class Plan:
    """What is planted and tried in every place.

    Attributes:
        places: Some of ``PLACES``.
        doses: What share of the signal is planted.
        mixtures: How many mixtures of the directions that were found, at every dose.
        das: How a DAS run goes.
        batch: Pairs at a time.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        seed: Of DAS and the draws.
    """

    places: Sequence[str]
    doses: Sequence[float]
    mixtures: int
    das: Mapping[str, Any]
    batch: int
    tolerance: float
    seed: int


@dataclass(frozen=True)
class Place:
    """A component that a signal is planted in, in training and held-out pairs.

    Attributes:
        name: One of ``PLACES``.
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
    def of(cls, name: str, block: int, direction: torch.Tensor, train: Pairs, seed: int) -> "Place":
        """A place of a block.

        Args:
            name: One of ``PLACES``.
            block: The block.
            direction: The signal's, ``[d_model]``.
            train: Training pairs.
            seed: Of the random MLP.

        Raises:
            InputError: If the component does not write along the direction.
        """
        model, site = train.model, Site.parse(f"blocks.{block}.{PLACES[name]}")
        drawn = None
        if name == RANDOM_MLP:
            drawn = draw_random_mlp(mlp_of(model, block), train.base(mlp_input(block)), seed, "planted", block)
        readout = model.readout(site) if drawn is None else drawn.readout
        if readout is None:
            mediator = Mediator(direction, instead=True)
        else:
            mediator = Mediator(writes_as(direction, readout * gain(train, site)), instead=False)
        return cls(name, site, Signal(direction, stream_before(model, site)), mediator, drawn)

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


def sites_read(model: Model, block: int, places: Sequence[str]) -> list[Site]:
    """What has to be recorded for some places of a block."""
    sites = [residual_after(block), mlp_input(block)]
    for name in places_of(model, places):
        site = Site.parse(f"blocks.{block}.{PLACES[name]}")
        sites += [site, stream_before(model, site), stream_behind(model, site)]
        sites += behind_norm(site) if site.readout else []
    return list(dict.fromkeys(sites))


def cases_of_block(train: Pairs, test: Pairs, block: int, plan: Plan) -> pd.DataFrame:
    """Every case of a block.

    Args:
        train: Training pairs, those of equal values among them.
        test: Held-out pairs of different values.
        block: The block.
        plan: What is planted and tried.

    Returns:
        A row a case: ``block, place, dose, found``, and what patches do, as shares of the clean LD: ``effect`` of the
        subspace, ``mediated`` of the mediator alone, ``own`` of the own difference alone, ``kept`` of the row part (NaN
        where nothing is unread), ``placebo``, ``ablated`` (its mean put along the subspace) and ``steered`` (the mean
        change added to every prompt); ``whole`` of the component, ``by_itself`` of the component without the signal;
        ``accuracy``, the interchange accuracy; ``probe_cosine``, with the probe's direction.
    """
    after = residual_after(block)
    # By another seed than the directions that are tried: with the same one, DAS finds the mediator itself.
    trained = train_das(train.model, after, train.examples(after), rank=1, seeds=[plan.seed + 1], **plan.das)
    rows: list[dict[str, Any]] = []
    for name in places_of(train.model, plan.places):
        try:
            place = Place.of(name, block, trained.bases[0].squeeze(1), train, plan.seed)
        except InputError:  # a head may have nothing to write along the direction with
            continue
        rows += cases_of_place(place, train, test, plan)
    return pd.DataFrame(rows).assign(block=block)


def cases_of_place(place: Place, train: Pairs, test: Pairs, plan: Plan) -> Iterator[dict[str, Any]]:
    """Every case of a place, as ``cases_of_block`` describes them."""
    learnt = {dose: place.at(train, dose, plan.batch) for dose in plan.doses}
    trained = dict(zip(learnt, _trained(list(learnt.values()), plan), strict=True))
    clean, by_itself = test.ld_clean, np.nan
    for dose, component in learnt.items():
        held_out, different = place.at(test, dose, plan.batch), _different(component)
        acts = what_acts(different, plan.tolerance, plan.batch)
        found = _found(place, component, different, trained[dose], dose, plan)
        own = own_difference(component, acts)
        changes: dict[tuple[str, str], Change] = {("", "whole"): held_out.along(None)}
        mean = torch.cat([component.base, component.source]).mean(0)
        turned, moves = _turned(held_out), place.moves(test, dose)
        own_moves = (held_out.change @ own).squeeze(1)
        elsewhere = random_basis(*own.shape, plan.seed)
        for label, basis in found.items():
            of_patch = held_out.along(basis)
            step = (turned * (held_out.change @ basis)).mean()
            changes |= {
                (label, "effect"): of_patch,
                (label, "mediated"): moved_alone(held_out, basis, place.mediator.unit, moves),
                (label, "own"): moved_alone(held_out, basis, own, own_moves),
                (label, "placebo"): placebo(held_out.base, held_out.source, basis, elsewhere),
                (label, "ablated"): _ablated(held_out, basis, mean),
                (label, "steered"): _steered(turned * step, basis),
            }
            if acts is not None and held_out.readout is not None:
                row = split_by(basis, acts.double()).row
                changes |= {} if row is None else {(label, "kept"): held_out.along(row)}
        outcomes = held_out.patch(changes, plan.batch)
        done = {key: float((clean - outcome.ld[0]).mean() / clean.mean()) for key, outcome in outcomes.items()}
        whole = done["", "whole"]
        by_itself = whole if dose == 0 else by_itself
        for label, basis in found.items():
            of_label = {what: value for (key, what), value in done.items() if key == label}
            yield dict(
                place=place.name,
                dose=dose,
                found=label,
                **of_label,
                whole=whole,
                by_itself=by_itself,
                accuracy=_accuracy(outcomes[label, "effect"]),
                probe_cosine=float((basis.mT @ found[PROBE]).abs()),
            )


def _found(
    place: Place,
    component: Component,
    different: Component,
    trained: torch.Tensor,
    dose: float,
    plan: Plan,
) -> dict[str, torch.Tensor]:
    """Directions ``[d, 1]`` by how they were found: each way, and mixtures of them with random and unread ones."""
    both, values = torch.cat([component.base, component.source]), torch.cat(component.pairs.values)
    u = place.mediator.unit
    gradient = gradients(different, plan.batch).mean(0)[:, None]
    found = {
        TRAINED: trained,
        MEAN_DIFFERENCE: mean_difference(both, values),
        PROBE: probe(both, values),
        GRADIENT: orthonormal(gradient),
    }
    off = trained - u @ (u.mT @ trained)
    if off.norm() > SMALLEST_PART:  # else DAS has found the mediator, and what is left over is rounding
        found[OFF_ROUTE] = orthonormal(off)
    turned, change = _turned(different), different.change
    signed = [basis * torch.sign((turned * (change @ basis)).mean()) for basis in found.values()]
    draw = torch_generator(plan.seed, "mixtures", place.site.name, place.name, dose)
    readout = component.readout
    nothing = None if readout is None else unread(readout, plan.seed, plan.tolerance)
    for number in range(plan.mixtures):
        weights = torch.randn(len(signed), generator=draw).abs() * (torch.rand(len(signed), generator=draw) < 0.5)
        weights[number % len(signed)] += 0.5  # each way is in some, and none is empty
        random = orthonormal(torch.randn(len(u), 1, generator=draw)) * NOISE * torch.rand(1, generator=draw)
        beside = random if nothing is None or number % 3 else random + nothing[:, None]
        mixed = torch.stack([w * basis for w, basis in zip(weights, signed, strict=True)]).sum(0)
        found[f"{MIXTURE} {number}"] = orthonormal(mixed + beside)
    return found


def _trained(components: Sequence[Component], plan: Plan) -> torch.Tensor:
    """What DAS finds at each dose, all in one batch, ``[doses, d, 1]``."""
    first, doses = components[0], len(components)
    readout = None if first.through is None else first.through.expand(doses, -1, -1)
    return train_das(
        first.pairs.model,
        first.site,
        _examples(components),
        rank=1,
        seeds=[plan.seed] * doses,
        readout=readout,
        **plan.das,
    ).bases


def _examples(components: Sequence[Component]) -> Examples:
    """The same pairs once for every dose; each run learns from its own."""
    first, n = components[0], len(components[0].pairs)
    planted = [
        c.pairs.prompts.planted_in(c.pairs.base_prompts.tolist())
        for c in components
        if isinstance(c.pairs.prompts, PromptsWithSignal)
    ]
    everything, tail = Planted.cat(planted) if planted else None, first.pairs.tail(first.site.start)

    def tail_of(rows: torch.Tensor) -> Tail:
        return replace(tail(rows % n), planted=None if everything is None else everything.rows(rows))

    doses = len(components)
    target, other, differs = (ids.repeat(doses) for ids in first.pairs.targets)
    base, source = (torch.cat([getattr(c, side) for c in components]) for side in ("base", "source"))
    own = torch.arange(doses * n).view(doses, n)
    return Examples(base, source, target, other, differs, tail_of, own)


def _different(component: Component) -> Component:
    """The component in the pairs whose values differ."""
    rows = (component.pairs.table["base_value"] != component.pairs.table["source_value"]).to_numpy(copy=True)
    return replace(
        component, pairs=component.pairs.among(rows), base=component.base[rows], source=component.source[rows]
    )


def _turned(component: Component) -> torch.Tensor:
    """Which way each pair goes, from an earlier value to a later one or back, ``[n, 1]`` of ones and minus ones."""
    base, source = component.pairs.values
    return torch.sign((source - base).float())[:, None]


def _ablated(component: Component, basis: torch.Tensor, mean: torch.Tensor) -> Change:
    return lambda rows: (mean - component.base[rows]) @ basis @ basis.mT


def _steered(step: torch.Tensor, basis: torch.Tensor) -> Change:
    return lambda rows: step[rows] * basis.mT


def _accuracy(outcome: Outcome) -> float:
    return float(outcome.top1_foil.mean())
