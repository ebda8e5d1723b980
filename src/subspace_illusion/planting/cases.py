"""Planted cases (E14): subspaces of components made to carry a signal to a known dose, and what tells of them.

A case is a dose, a component, a way of finding a direction and, where it is trained, a seed. Everything that a verdict
rests on is measured of it, and what others rest theirs on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import mean_difference, orthonormal, random_basis, row_space, split_by
from subspace_illusion.core.mlps import mlp_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome, logit_difference
from subspace_illusion.core.random_mlp import draw_random_mlp
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site, mlp_input, mlp_output, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.controls import arbitrary_labels, placebo
from subspace_illusion.planting.plant import stream_before
from subspace_illusion.planting.reroute import Route
from subspace_illusion.statistics import Bootstrap, interval, ratio, summarise, table
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import (
    ARBITRARY_LABELS,
    GRADIENT,
    MEAN_DIFFERENCE,
    OFF_ROUTE,
    PROBE,
    RANDOM,
    ROW,
    TRAINED,
    WHOLE,
    SubspaceKey,
)
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.subspace.patching import Change, along
from subspace_illusion.tasks.table import DIFFERENT, chosen, mark_kept
from subspace_illusion.verdict.score import leaves_unread, of_activations, score_of

MLP, RANDOM_MLP, ATTENTION = "MLP", "random MLP", "attention"
CARRIER_KINDS = (MLP, RANDOM_MLP, ATTENTION)
"""The components that signals are rerouted through: a block's own MLP, a random one beside it, its heads together."""
RECORDED = 32
"""Prompts in one forward pass while they are recorded."""
PLACEBO_PATCH = "placebo"
"""Its name in columns, and what tells its random direction from others."""


@dataclass(frozen=True)
class OtherPatch:
    """A patch of a carrier that is not along a subspace by itself.

    Attributes:
        what: ``placebo`` or ``ablated``.
        beside: The subspace that it is a placebo of; ``None`` where it is of the whole carrier.
    """

    what: str
    beside: SubspaceKey | None = None


ABLATED = OtherPatch("ablated")
Patch = SubspaceKey | OtherPatch


@dataclass(frozen=True)
class Side:
    """Pairs of one split and what a component holds in them, before any dose.

    Attributes:
        pairs: The pairs.
        base: The component's activations in the base prompts, ``[n, d]``.
        source: In the sources, ``[n, d]``.
        base_stream: The residual stream before the component in the base prompts, ``[n, d_model]``.
        source_stream: In the sources, ``[n, d_model]``.
    """

    pairs: Pairs
    base: torch.Tensor
    source: torch.Tensor
    base_stream: torch.Tensor
    source_stream: torch.Tensor

    def dosed(self, route: Route, plant: "Dose") -> tuple[torch.Tensor, torch.Tensor]:
        """The activations of base prompts and sources once the component carries the signal to a dose."""
        return (
            self.base + route.added(self.base_stream, plant.dose, plant.null),
            self.source + route.added(self.source_stream, plant.dose, plant.null),
        )


@dataclass(frozen=True, order=True)
class Dose:
    """How much of the signal a component is made to carry, and in what.

    Attributes:
        dose: lambda.
        null: Beside the vector that writes the signal, the signal runs in this many times as long a one that nothing
            reads: a null part that a direction of a true carrier may share.
    """

    dose: float
    null: float = 0.0


@dataclass(frozen=True)
class Carrier:
    """A component through which a signal is rerouted.

    Attributes:
        kind: One of ``CARRIER_KINDS``.
        output: Where what it writes is added.
        stream: The residual stream before it.
        readout: ``[d, d_model]``.
        route: The signal's way through it.
        train: The training pairs.
        test: The held-out pairs.
    """

    kind: str
    output: Site
    stream: Site
    readout: torch.Tensor
    route: Route
    train: Side
    test: Side


@dataclass(frozen=True)
class Plan:
    """What is tried at every carrier.

    Attributes:
        doses: What is planted.
        seeds: Training seeds of DAS.
        arbitrary: The doses, without a null part, at which DAS is trained on arbitrary labels too.
        off_route: Likewise, where it is also trained on what the component holds beside the carrying vector: directions
            without a part in what the component was made to carry, in the very component that carries it.
        settings: How a DAS run goes.
        batch: Pairs at a time in an evaluation.
        resamples: Draws of the bootstrap.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        seed: Seed of draws and controls.
    """

    doses: Sequence[Dose]
    seeds: Sequence[int]
    arbitrary: Sequence[float]
    off_route: Sequence[float]
    settings: Mapping[str, Any]
    batch: int
    resamples: int
    tolerance: float
    seed: int


def both_splits(
    model: Model, prompts: pd.DataFrame, pairs: pd.DataFrame, sites: Sequence[Site], of_training: Sequence[str]
) -> tuple[Pairs, Pairs]:
    """The pairs of both splits that the model gets right, their prompts run now.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: The pairs.
        sites: What to record.
        of_training: The kinds of pair that are trained on.

    Raises:
        InputError: If the model lacks a site, or gets no pair right.
    """
    for site in sites:
        model.check(site)
    everything = recorded_pairs(model, prompts, pairs, sites, min(site.start for site in sites), RECORDED)
    marked = mark_kept(everything.table, filter_incorrect=True)
    right = replace(everything, table=marked).among(marked["kept"].to_numpy())
    train, test = (
        right.among(right.table.index.isin(chosen(right.table, split, *kinds).index))
        for split, kinds in (("train", of_training), ("test", (DIFFERENT,)))
    )
    return train, test


def sites_read(model: Model, blocks: Sequence[int]) -> list[Site]:
    """What has to be recorded for the carriers of some blocks."""
    sites = []
    for block in blocks:
        hidden, z = Site(block, "mlp.hook_post"), Site(block, "attn.hook_z")
        sites += [hidden, z, mlp_input(block), residual_after(block), *(stream_before(model, at) for at in (hidden, z))]
    return list(dict.fromkeys(sites))


def carriers(
    train: Pairs, test: Pairs, block: int, v_true: torch.Tensor, kinds: Sequence[str], seed: int
) -> Iterator[Carrier]:
    """Components of one block as carriers of a signal.

    Args:
        train: Pairs to train on.
        test: Held-out pairs.
        block: The block.
        v_true: The signal's direction in the residual stream, ``[d_model, 1]``.
        kinds: Some of ``CARRIER_KINDS``.
        seed: Seed of the random MLP.

    Raises:
        InputError: If a component is not added to the residual stream as a matrix gives it.
    """
    model = train.model
    for kind in kinds:
        site = Site(block, "attn.hook_z" if kind == ATTENTION else "mlp.hook_post")
        output = Site(block, "attn.hook_out") if kind == ATTENTION else mlp_output(block)
        readout, stream = model.readout(site), stream_before(model, site)
        if readout is None or not model.adds_straight(output):
            raise InputError(
                f"{site.name}: what it writes goes through a norm before it is added, so that no signal can be "
                "rerouted through it; calibrate on a model without such norms"
            )
        if kind == RANDOM_MLP:
            drawn = draw_random_mlp(mlp_of(model, block), train.base(mlp_input(block)), seed, "planted", block)
            readout, hidden = drawn.readout, drawn.hidden
            sides = [_side(pairs, stream, mlp_input(block), hidden) for pairs in (train, test)]
        else:
            sides = [_side(pairs, stream, site, lambda x: x) for pairs in (train, test)]
        yield Carrier(kind, output, stream, readout, Route.of(v_true, readout, seed), *sides)


def _side(pairs: Pairs, stream: Site, site: Site, hidden: Callable[[torch.Tensor], torch.Tensor]) -> Side:
    """A split of the pairs, the component's activations worked out from what a site holds."""
    return Side(pairs, hidden(pairs.base(site)), hidden(pairs.source(site)), pairs.base(stream), pairs.source(stream))


def probe(activations: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A probe's direction, ``[d, 1]``: the weights of a logistic regression that tells two values apart.

    Args:
        activations: ``[n, d]``.
        values: Each value as its place in the list of all, ``[n]``.
    """
    from sklearn.linear_model import LogisticRegression

    centred = (activations - activations.mean(0)).double().numpy()
    scale = np.sqrt((centred**2).sum(1).mean())  # one number, so that the direction is the weights' own
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit(centred / scale, values.numpy())
    return orthonormal(torch.tensor(fitted.coef_[-1:].T, dtype=torch.float32))


def mean_gradient(pairs: Pairs, site: Site, batch: int) -> torch.Tensor:
    """The mean gradient of LD with respect to a site, from an earlier value to a later one, ``[d, 1]``."""
    total = torch.zeros(pairs.model.width(site))
    later = pairs.table["source_value"] > pairs.table["base_value"]
    turned = torch.tensor(np.where(later, 1.0, -1.0), dtype=torch.float32)
    tail = pairs.tail(site.start)
    for rows in torch.arange(len(pairs)).split(batch):
        change = torch.zeros(len(rows), len(total), requires_grad=True)
        logits = replay(pairs.model, tail(rows), {site: change}).logits.cpu()
        ld = logit_difference(logits, pairs.answer[rows], pairs.foil[rows])
        (gradient,) = torch.autograd.grad((ld * turned[rows]).sum(), change)
        total += gradient.sum(0)
    return (total / len(pairs))[:, None]


Found = Mapping[tuple[Dose, SubspaceKey], torch.Tensor]
"""Bases ``[d, 1]`` by what was planted and how they were found."""


def find(carrier: Carrier, plan: Plan, gradient: torch.Tensor) -> Found:
    """Finds directions of a carrier in every way.

    Args:
        carrier: The component.
        plan: What is tried.
        gradient: Of LD with respect to what the component writes, ``[d_model, 1]``.
    """
    doses = [dose for dose in plan.doses if not (dose.null and carrier.route.unread is None)]
    dosed = {dose: carrier.train.dosed(carrier.route, dose) for dose in doses}
    values = torch.cat(carrier.train.pairs.values)
    found = {}
    for dose, sides in dosed.items():
        found[dose, SubspaceKey(MEAN_DIFFERENCE)] = mean_difference(torch.cat(sides), values)
        found[dose, SubspaceKey(PROBE)] = probe(torch.cat(sides), values)
        found[dose, SubspaceKey(GRADIENT)] = orthonormal(carrier.readout @ gradient)
        random = random_basis(len(carrier.readout), 1, plan.seed, "planted", dose.dose, dose.null)
        found[dose, SubspaceKey(RANDOM)] = random
    first = plan.seeds[:1]
    runs = [(dose, SubspaceKey(TRAINED, seed=seed)) for dose in doses for seed in plan.seeds]
    runs += [(Dose(dose), SubspaceKey(OFF_ROUTE, seed=seed)) for dose in plan.off_route for seed in first]
    # What is learnt by heart is learnt late.
    by_heart = [(Dose(dose), SubspaceKey(ARBITRARY_LABELS, seed=seed)) for dose in plan.arbitrary for seed in first]
    trained = _train(carrier, runs, dosed, plan.settings)
    trained += _train(carrier, by_heart, dosed, dict(plan.settings) | dict(min_gain=0.0))
    return found | dict(zip([*runs, *by_heart], trained, strict=True))


def _train(
    carrier: Carrier,
    runs: Sequence[tuple[Dose, SubspaceKey]],
    dosed: Mapping[Dose, tuple[torch.Tensor, torch.Tensor]],
    settings: Mapping[str, Any],
) -> list[torch.Tensor]:
    """Bases ``[d, 1]`` that DAS finds, all runs in one batch."""
    if not runs:
        return []
    seeds = [key.seed for _, key in runs if key.seed is not None]
    route = orthonormal(carrier.route.hidden[:, None])

    def beside(x: torch.Tensor, key: SubspaceKey) -> torch.Tensor:
        """Rows ``[n, d]`` without what lies along the carrying vector, where the run is off the route."""
        return x - (x @ route) @ route.mT if key.method == OFF_ROUTE else x

    base, source = (torch.stack([beside(dosed[dose][side], key) for dose, key in runs]) for side in (0, 1))
    readout = torch.stack([beside(carrier.readout.mT, key).mT for _, key in runs])
    examples = carrier.train.pairs.examples(carrier.stream)
    tossed = arbitrary_labels(examples, seeds)
    arbitrary = torch.tensor([key.method == ARBITRARY_LABELS for _, key in runs])[:, None]
    of_runs = replace(
        examples,
        base=base,
        source=source,
        target_id=torch.where(arbitrary, tossed.target_id, examples.target_id),
        other_id=torch.where(arbitrary, tossed.other_id, examples.other_id),
        changes=torch.where(arbitrary, tossed.changes, examples.changes),
    )
    bases = train_das(
        carrier.train.pairs.model,
        carrier.output,
        of_runs,
        rank=1,
        seeds=seeds,
        readout=readout,
        **settings,
    ).bases
    return [orthonormal(beside(basis.mT, key).mT) for basis, (_, key) in zip(bases, runs, strict=True)]


def measure(
    carrier: Carrier,
    plan: Plan,
    found: Found,
    residual: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """Patches the held-out pairs along every direction: one row a case.

    Args:
        carrier: The component.
        plan: What is tried.
        found: The directions.
        residual: LD with the whole residual stream after the component's block patched, ``[n]``.
    """
    pairs, through = carrier.test.pairs, carrier.readout
    bootstrap = Bootstrap.of(pairs.groups, plan.resamples, plan.seed)
    clean = bootstrap.means(pairs.ld_clean)
    elsewhere, seen = random_basis(len(through), 1, plan.seed, PLACEBO_PATCH), row_space(through, plan.tolerance)
    for dose in dict.fromkeys(dose for dose, _ in found):
        base, source = carrier.test.dosed(carrier.route, dose)
        of_dose = {key: basis for (at, key), basis in found.items() if at == dose}
        outcomes = _patch(carrier, of_dose, dose, seen, elsewhere, plan)
        whole, ablated = (outcomes[what].ld[0] for what in (WHOLE, ABLATED))
        of_carrier = interval("whole_fldd", ratio(clean - bootstrap.means(whole), clean))
        of_carrier |= dict(ablated_fldd=float((clean - bootstrap.means(ablated))[0] / clean[0]))
        for key, basis in of_dose.items():
            done, row_done = outcomes[key], outcomes.get(key.of_part(ROW))
            row_ld = None
            if leaves_unread(seen):
                row_ld = pairs.ld_clean if row_done is None else row_done.ld[0]
            more = of_activations(base, source, pairs.values, [basis], through, seen, bootstrap)
            score = score_of(pairs.ld_clean, done.ld[0], whole, row_ld, residual, bootstrap, more)
            about = dict(dose=dose.dose, null=dose.null, kind=carrier.kind, way=key.method, seed=key.seed)
            row = about | summarise(done, pairs.ld_clean, bootstrap)
            beside: dict[str, Patch] = {}
            if key.method != ARBITRARY_LABELS:
                beside[PLACEBO_PATCH] = OtherPatch(PLACEBO_PATCH, key)
            if key.method == TRAINED:
                beside["arbitrary_labels"] = replace(key, method=ARBITRARY_LABELS)
            for name, other in beside.items():
                if (outcome := outcomes.get(other)) is not None:
                    row |= interval(f"{name}_fldd", ratio(clean - bootstrap.means(outcome.ld[0]), clean))
                    row |= interval(f"{name}_accuracy", bootstrap.means(outcome.top1_foil))
            yield row | of_carrier | score.row()


def _patch(
    carrier: Carrier,
    bases: Mapping[SubspaceKey, torch.Tensor],
    dose: Dose,
    seen: torch.Tensor,
    elsewhere: torch.Tensor,
    plan: Plan,
) -> dict[Patch, Outcome]:
    """What every patch at one dose does: the whole carrier, the signal's part of it ablated,
    each direction, its row part and its placebo."""
    base, source = carrier.test.dosed(carrier.route, dose)
    streams = carrier.test.base_stream, carrier.test.source_stream
    carried, of_sources = (carrier.route.added(stream, dose.dose, dose.null) for stream in streams)
    mean = torch.cat([carried, of_sources]).mean(0)
    changes: dict[Patch, Change] = {
        WHOLE: along(base, source, None),
        ABLATED: lambda rows: mean - carried[rows],
    }
    for key, basis in bases.items():
        changes[key] = along(base, source, basis)
        changes[OtherPatch(PLACEBO_PATCH, key)] = placebo(base, source, basis, elsewhere)
        if (row := split_by(basis, seen).row) is not None:
            changes[key.of_part(ROW)] = along(base, source, row)
    written = {what: _through(change, carrier.readout) for what, change in changes.items()}
    return carrier.test.pairs.patch(carrier.output, written, plan.batch)


def _through(change: Change, readout: torch.Tensor) -> Change:
    return lambda rows: change(rows) @ readout


def signal(train: Pairs, block: int, plan: Plan) -> torch.Tensor:
    """v_true after a block, as DAS finds it there with the first seed: ``[d_model, 1]``."""
    site = residual_after(block)
    trained = train_das(train.model, site, train.examples(site), rank=1, seeds=list(plan.seeds[:1]), **plan.settings)
    return trained.bases[0]


def plant(
    train: Pairs,
    test: Pairs,
    block: int,
    kinds: Sequence[str],
    plan: Plan,
) -> pd.DataFrame:
    """Every case of one block.

    Args:
        train: Pairs to train on, those of equal values among them.
        test: Held-out pairs of different values.
        block: The block.
        kinds: Some of ``CARRIER_KINDS``.
        plan: What is tried.

    Returns:
        ``block, dose, null, kind, way, seed``; ``cos_v_true``, the cosine of what is planted with v_true; ``reference``
        and ``reference_accuracy``, the effect and the interchange accuracy of patching the whole residual stream after
        the block; the measures of ``summarise``; ``whole_fldd``, the whole component's effect; ``ablated_fldd``, that
        of setting what the component carries of the signal to its mean; ``placebo_...`` and ``arbitrary_labels_...``;
        the columns of ``Score.row``. Effects are shares of the clean LD.
    """
    v_true, after = signal(train, block, plan), residual_after(block)
    patched = test.patch(after, {WHOLE: test.along(after, None)}, plan.batch)[WHOLE]
    residual = patched.ld[0]
    reference = dict(
        reference=float((test.ld_clean - residual).mean() / test.ld_clean.mean()),
        reference_accuracy=float(patched.top1_foil.mean()),
    )
    rows = []
    for carrier in carriers(train, test, block, v_true, kinds, plan.seed):
        about = dict(block=block, cos_v_true=float(carrier.route.direction @ v_true.squeeze(1))) | reference
        gradient = mean_gradient(train.different, carrier.output, plan.batch)
        found = find(carrier, plan, gradient)
        rows += [about | row for row in measure(carrier, plan, found, residual)]
    return table(rows).astype({"seed": "Int64"})
