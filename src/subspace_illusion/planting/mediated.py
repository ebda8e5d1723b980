"""Cases whose mediated share is known (E13, E14): a signal planted in a component to a dose, subspaces found there in
every way, and what patches of each do.

The *mediated share* of a subspace is the effect of moving the component's mediator alone as far as the patch moves it,
and no further than it really moves, over the effect of the patch. Both are run. So it is a fact of the direction, for
every dose, place, way of finding it and size of effect, and it takes no arithmetic of null and row parts. Where the
rest of a patch works against the mediator it exceeds 1, and is counted as 1.

The unit is the block of a task in a model: its places share the signal and the pairs. What could not count is not
worked for: where a component does so much by itself that no truth can be known there (``verdict.known``), nothing is
trained or mixed; what a small effect is made of is not asked. The evidence in common use is measured of directions that
are found by themselves, where the truth is known.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import random_basis, split_by
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.ablation import ablated, mean_held, steered
from subspace_illusion.measures.controls import placebo
from subspace_illusion.measures.own_difference import gradients, moved_alone, own_difference, what_acts
from subspace_illusion.planting.places import Place, places_of, site_of
from subspace_illusion.planting.ways import by_heart, found_in, is_found_by_itself, trained_at_once
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import PROBE, TRAINED
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change
from subspace_illusion.verdict.estimate import kind_of
from subspace_illusion.verdict.known import is_known

BY_HEART = ("MLP", "MLP's output", "stream after")
"""One place of each kind, in which DAS is trained on arbitrary labels too: that takes as long as a dose of the signal,
and gives one number a place."""


@dataclass(frozen=True)
class Plan:
    """What is planted and tried in every place.

    Attributes:
        places: Some of ``PLACES``.
        doses: What share of the signal is planted, from none to all of it.
        mixtures: How many mixtures of the directions that were found, at every dose.
        das: How a DAS run goes.
        batch: Pairs at a time.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        smallest_effect: Share of the clean LD that a large effect exceeds, to either side.
        seed: Of DAS and the draws.
        evidence: Whether the evidence in common use is patched beside.
    """

    places: Sequence[str]
    doses: Sequence[float]
    mixtures: int
    das: Mapping[str, Any]
    batch: int
    tolerance: float
    smallest_effect: float
    seed: int
    evidence: bool = True


@dataclass(frozen=True)
class Whole:
    """What the whole component does, as shares of the clean LD.

    Attributes:
        with_dose: By the dose that it holds, from none on.
    """

    with_dose: Mapping[float, float]

    @property
    def by_itself(self) -> float:
        """Without the signal."""
        return next(iter(self.with_dose.values()))

    @property
    def carried(self) -> float:
        """What the full dose adds to that."""
        return list(self.with_dose.values())[-1] - self.by_itself

    def known(self, effect: float, smallest_effect: float) -> bool:
        """Whether the truth of a subspace with such an effect is known; of an infinite one, whether any could be."""
        return bool(is_known(self.by_itself, self.carried, effect, smallest_effect))


def cases_of_block(train: Pairs, test: Pairs, block: int, plan: Plan) -> pd.DataFrame:
    """Every case of a block.

    Args:
        train: Training pairs, those of equal values among them.
        test: Held-out pairs of different values.
        block: The block.
        plan: What is planted and tried.

    Returns:
        A row a case: ``block``, and what ``cases_of_dose`` gives.
    """
    after = residual_after(block)
    # By another seed than the directions that are tried: with the same one, DAS finds the mediator itself.
    signal = train_das(train.model, after, train.examples(after), rank=1, seeds=[plan.seed + 1], **plan.das)
    parts = []
    for name in places_of(train.model, plan.places):
        try:
            place = Place.of(name, site_of(name, block), signal.bases[0].squeeze(1), train, plan.seed)
        except InputError:  # a head may have nothing to write along the direction with
            continue
        parts.append(cases_of_place(place, train, test, plan))
    return pd.concat(parts, ignore_index=True).assign(block=block)


def cases_of_place(
    place: Place, train: Pairs, test: Pairs, plan: Plan, given: Mapping[str, torch.Tensor] | None = None
) -> pd.DataFrame:
    """Every case of a place.

    Args:
        place: The place.
        train: Training pairs.
        test: Held-out pairs of different values.
        plan: What is tried.
        given: Directions ``[d, 1]`` that are tried with every dose, besides those that are found there; if ``None``,
            what DAS finds with each.

    Returns:
        A row a case, as ``cases_of_dose`` gives it.
    """
    learnt, held_out = ({dose: place.at(pairs, dose, plan.batch) for dose in plan.doses} for pairs in (train, test))
    whole = Whole({dose: whole_of(component, plan.batch) for dose, component in held_out.items()})
    trained: dict[float, Mapping[str, torch.Tensor]] = {}
    arbitrary: dict[float, torch.Tensor] = {}
    if not whole.known(np.inf, plan.smallest_effect):
        plan = replace(plan, mixtures=0)
    elif given is None:
        bases = trained_at_once(list(learnt.values()), plan.das, plan.seed)
        trained = {dose: {TRAINED: basis} for dose, basis in zip(plan.doses, bases, strict=True)}
        if plan.evidence and place.name in BY_HEART:
            arbitrary[plan.doses[-1]] = by_heart(list(learnt.values()), plan.das, plan.seed)
    rows: list[dict[str, Any]] = []
    for dose in plan.doses:
        components, moves = (learnt[dose], held_out[dose]), place.moves(test, dose)
        found = trained.get(dose, given or {}), arbitrary.get(dose)
        rows += cases_of_dose(place, *components, dose, moves, whole, plan, *found)
    return pd.DataFrame(rows)


def whole_of(component: Component, batch: int) -> float:
    """What patching all of a component does to its pairs, as a share of the clean LD."""
    outcomes = component.patch({"whole": component.along(None)}, batch, top1=False)
    return _share_of_clean(component, outcomes["whole"])


def cases_of_dose(
    place: Place,
    component: Component,
    held_out: Component,
    dose: float,
    moves: torch.Tensor,
    whole: Whole,
    plan: Plan,
    given: Mapping[str, torch.Tensor],
    arbitrary: torch.Tensor | None = None,
) -> Iterator[dict[str, Any]]:
    """Every case of a place with one dose.

    Args:
        place: The place.
        component: It with the dose, in training pairs.
        held_out: It in held-out pairs of different values.
        dose: The dose.
        moves: How far the mediator really moves in these pairs, ``[n]``.
        whole: What the whole component does.
        plan: What is tried.
        given: Directions ``[d, 1]`` that are tried, besides those that are found here.
        arbitrary: What DAS learns there from arbitrary labels, ``[d, 1]``, evidence too.

    Yields:
        ``place, hook, kind, dose, found``, and what patches do, as shares of the clean LD: ``effect`` of the subspace;
        where that is large, else NaN, ``mediated`` of the mediator alone and ``own`` of the own difference alone; and
        where the truth is known too, it was found by itself, and the plan has the evidence, ``kept`` of the row part
        (NaN where nothing is unread), ``placebo``, ``ablated`` (its mean put along the subspace) and ``steered`` (the
        mean change added to every prompt); likewise, and where it was given, ``arbitrary`` of that direction; ``whole``
        of the component, ``by_itself`` without the signal, and what the full dose adds, ``carried``; ``accuracy``, the
        interchange accuracy; ``flipped``, the share of pairs whose LD is below 0; ``probe_cosine``, with the probe's
        direction.
    """
    different, u = _different(component), place.mediator.unit
    pulls = gradients(different, plan.batch)
    acts = what_acts(different, plan.tolerance, plan.batch, pulls)
    draws: dict[str, Any] = dict(mixtures=plan.mixtures, seed=plan.seed, labels=(place.site.name, place.name, dose))
    found = found_in(component, different, pulls, u, given, **draws, tolerance=plan.tolerance)
    patched = held_out.patch({label: held_out.along(basis) for label, basis in found.items()}, plan.batch)
    effects = {label: _share_of_clean(held_out, outcome) for label, outcome in patched.items()}

    own, mean = own_difference(different, acts), mean_held(different)
    own_moves = (held_out.change @ own).squeeze(1)
    changes: dict[tuple[str, str], Change] = {}
    for label, basis in found.items():
        if not abs(effects[label]) > plan.smallest_effect:
            continue
        changes |= {
            (label, "mediated"): moved_alone(held_out, basis, u, moves),
            (label, "own"): moved_alone(held_out, basis, own, own_moves),
        }
        known = whole.known(effects[label], plan.smallest_effect)
        if not (plan.evidence and known and is_found_by_itself(label)):
            continue
        changes |= {
            (label, "placebo"): placebo(held_out.base, held_out.source, basis, random_basis(*basis.shape, plan.seed)),
            (label, "ablated"): ablated(held_out, basis, mean),
            (label, "steered"): steered(held_out, basis),
        }
        if acts is not None and held_out.readout is not None:
            row = split_by(basis, acts.double()).row
            changes |= {} if row is None else {(label, "kept"): held_out.along(row)}
    if arbitrary is not None:
        changes["", "arbitrary"] = held_out.along(arbitrary)
    outcomes = held_out.patch(changes, plan.batch, top1=False)
    done = {key: _share_of_clean(held_out, outcome) for key, outcome in outcomes.items()}
    measured = ("mediated", "own", *(("placebo", "ablated", "steered", "kept", "arbitrary") if plan.evidence else ()))
    for label, basis in found.items():
        of_label = {what: done.get((label, what), np.nan) for what in measured}
        if ("", "arbitrary") in done and is_found_by_itself(label):
            of_label["arbitrary"] = done["", "arbitrary"]
        yield dict(
            place=place.name,
            hook=place.site.hook,
            kind=kind_of(place.site),
            dose=dose,
            found=label,
            effect=effects[label],
            **of_label,
            whole=whole.with_dose[dose],
            by_itself=whole.by_itself,
            carried=whole.carried,
            accuracy=float(patched[label].top1_foil.mean()),
            flipped=float((patched[label].ld < 0).mean()),
            probe_cosine=float((basis.mT @ found[PROBE]).norm()),
        )


def _share_of_clean(component: Component, outcome: Outcome) -> float:
    """The mean effect of a patch over the mean clean LD of the component's pairs."""
    clean = component.pairs.ld_clean
    return float((clean - outcome.ld[0]).mean() / clean.mean())


def _different(component: Component) -> Component:
    """The component in the pairs whose values differ."""
    rows = (component.pairs.table["base_value"] != component.pairs.table["source_value"]).to_numpy(copy=True)
    return replace(
        component, pairs=component.pairs.among(rows), base=component.base[rows], source=component.source[rows]
    )
