"""Cases whose mediated share is known (E13, E14): a signal planted in a component to a dose, subspaces found there in
every way, and what patches of each do.

The *mediated share* of a subspace is the effect of moving the component's mediator alone as far as the patch moves it,
and no further than it really moves, over the effect of the patch. Both are run. So it is a fact of the direction, for
every dose, place, way of finding it and size of effect, and it takes no arithmetic of null and row parts. Where the
rest of a patch works against the mediator it exceeds 1, and is counted as 1.

The unit is the block of a task in a model: its places share the signal and the pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.basis import random_basis, split_by
from subspace_illusion.core.mlps import mlp_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.random_mlp import RandomMlp, draw_random_mlp
from subspace_illusion.core.sites import Site, mlp_input, mlp_output, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.ablation import ablated, mean_held, steered
from subspace_illusion.measures.controls import placebo
from subspace_illusion.measures.own_difference import gradients, moved_alone, own_difference, what_acts
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
from subspace_illusion.planting.ways import found_in, trained_at_once
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import PROBE, TRAINED
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change
from subspace_illusion.verdict.estimate import kind_of

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
        evidence: Whether the evidence in common use is patched beside.
    """

    places: Sequence[str]
    doses: Sequence[float]
    mixtures: int
    das: Mapping[str, Any]
    batch: int
    tolerance: float
    seed: int
    evidence: bool = True


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


def cases_of_block(train: Pairs, test: Pairs, block: int, plan: Plan) -> pd.DataFrame:
    """Every case of a block.

    Args:
        train: Training pairs, those of equal values among them.
        test: Held-out pairs of different values.
        block: The block.
        plan: What is planted and tried.

    Returns:
        A row a case: ``block``, and what ``cases_of_place`` gives.
    """
    after = residual_after(block)
    # By another seed than the directions that are tried: with the same one, DAS finds the mediator itself.
    signal = train_das(train.model, after, train.examples(after), rank=1, seeds=[plan.seed + 1], **plan.das)
    rows: list[dict[str, Any]] = []
    for name in places_of(train.model, plan.places):
        try:
            place = Place.of(name, site_of(name, block), signal.bases[0].squeeze(1), train, plan.seed)
        except InputError:  # a head may have nothing to write along the direction with
            continue
        learnt = {dose: place.at(train, dose, plan.batch) for dose in plan.doses}
        trained, arbitrary = (
            trained_at_once(list(learnt.values()), plan.das, plan.seed, tossed) for tossed in (False, True)
        )
        for (dose, component), basis, by_heart in zip(learnt.items(), trained, arbitrary, strict=True):
            rows += cases_of_dose(place, component, test, dose, {TRAINED: basis}, plan, by_heart)
    cases = pd.DataFrame(rows).assign(block=block)
    return cases.assign(by_itself=of_no_dose(cases))


def of_no_dose(cases: pd.DataFrame) -> pd.Series:
    """What each case's component does without the signal: what it does whole at dose 0."""
    nothing = cases[cases["dose"] == 0].groupby("place")["whole"].first()
    return cases["place"].map(nothing)


def cases_of_dose(
    place: Place,
    component: Component,
    test: Pairs,
    dose: float,
    given: Mapping[str, torch.Tensor],
    plan: Plan,
    arbitrary: torch.Tensor | None = None,
) -> Iterator[dict[str, Any]]:
    """Every case of a place with one dose.

    Args:
        place: The place.
        component: It with the dose, in training pairs.
        test: Held-out pairs of different values.
        dose: The dose.
        given: Directions ``[d, 1]`` that are tried, besides those that are found here.
        plan: What is tried.
        arbitrary: What DAS learns there from arbitrary labels, ``[d, 1]``, evidence too.

    Yields:
        ``place, hook, kind, dose, found``, and what patches do, as shares of the clean LD: ``effect`` of the subspace,
        ``mediated`` of the mediator alone, ``own`` of the own difference alone, and, where the plan has the evidence,
        ``kept`` of the row part (NaN where nothing is unread), ``placebo``, ``ablated`` (its mean put along the
        subspace) and ``steered`` (the mean change added to every prompt); ``whole`` of the component and, where it was
        given, ``arbitrary`` of that direction; ``accuracy``, the interchange accuracy; ``probe_cosine``, with the
        probe's direction.
    """
    held_out, different = place.at(test, dose, plan.batch), _different(component)
    pulls, u = gradients(different, plan.batch), place.mediator.unit
    acts = what_acts(different, plan.tolerance, plan.batch, pulls)
    draws: dict[str, Any] = dict(mixtures=plan.mixtures, seed=plan.seed, labels=(place.site.name, place.name, dose))
    found = found_in(component, different, pulls, u, given, **draws, tolerance=plan.tolerance)
    own = own_difference(different, acts)
    changes: dict[tuple[str, str], Change] = {("", "whole"): held_out.along(None)}
    if arbitrary is not None:
        changes["", "arbitrary"] = held_out.along(arbitrary)
    mean, moves = mean_held(different), place.moves(test, dose)
    own_moves = (held_out.change @ own).squeeze(1)
    for label, basis in found.items():
        changes |= {
            (label, "effect"): held_out.along(basis),
            (label, "mediated"): moved_alone(held_out, basis, u, moves),
            (label, "own"): moved_alone(held_out, basis, own, own_moves),
        }
        if not plan.evidence:
            continue
        changes |= {
            (label, "placebo"): placebo(held_out.base, held_out.source, basis, random_basis(*basis.shape, plan.seed)),
            (label, "ablated"): ablated(held_out, basis, mean),
            (label, "steered"): steered(held_out, basis),
        }
        if acts is not None and held_out.readout is not None:
            row = split_by(basis, acts.double()).row
            changes |= {} if row is None else {(label, "kept"): held_out.along(row)}
    outcomes = held_out.patch({key: change for key, change in changes.items() if key[1] == "effect"}, plan.batch)
    rest = {key: change for key, change in changes.items() if key not in outcomes}
    outcomes |= held_out.patch(rest, plan.batch, top1=False)
    clean = test.ld_clean
    done = {key: float((clean - outcome.ld[0]).mean() / clean.mean()) for key, outcome in outcomes.items()}
    of_all = {what: value for (key, what), value in done.items() if not key}
    for label, basis in found.items():
        of_label = {what: value for (key, what), value in done.items() if key == label}
        yield dict(
            place=place.name,
            hook=place.site.hook,
            kind=kind_of(place.site),
            dose=dose,
            found=label,
            **of_label,
            **of_all,
            accuracy=float(outcomes[label, "effect"].top1_foil.mean()),
            flipped=float((outcomes[label, "effect"].ld < 0).mean()),
            probe_cosine=float((basis.mT @ found[PROBE]).norm()),
        )


def _different(component: Component) -> Component:
    """The component in the pairs whose values differ."""
    rows = (component.pairs.table["base_value"] != component.pairs.table["source_value"]).to_numpy(copy=True)
    return replace(
        component, pairs=component.pairs.among(rows), base=component.base[rows], source=component.source[rows]
    )
