"""One component looked at: what DAS trains beside the user's subspaces, parts, effects, distances, cases planted there,
controls."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from subspace_illusion.auditing.findings import PLANTED, Findings
from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.proof import TRIED, prove
from subspace_illusion.auditing.settings import (
    BATCH,
    DOSES,
    HALVINGS,
    MIXTURES,
    RANDOM_BASELINES,
    RANDOM_DIRECTIONS,
    TOLERANCE,
    Settings,
)
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.controls import measure_controls
from subspace_illusion.measures.decompose import Decomposition, classes, decompose
from subspace_illusion.measures.effects import by_pair, effects
from subspace_illusion.measures.off_distribution import distances_of_component
from subspace_illusion.planting.local import cases_here, patches_here, sites_here
from subspace_illusion.planting.mediated import Plan
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import prompts_of, values_of
from subspace_illusion.verdict.in_memory import look_in_memory
from subspace_illusion.verdict.rule import SMALLEST_EFFECT

REPLAYED = 6
"""How often a dose replays every prompt besides its patches: as it is and with the signal, and there and back for
gradients."""


@dataclass(frozen=True)
class Halves:
    """The pairs of an audit.

    Attributes:
        train: Those that mean difference, DAS and readers are from, of every kind that DAS trains on.
        test: Held-out pairs of every kind.
        prompts: The table of prompts.
    """

    train: Pairs
    test: Pairs
    prompts: pd.DataFrame


def look_at(
    site: Site, halves: Halves, users: Mapping[SubspaceKey, torch.Tensor], settings: Settings, progress: Progress
) -> Findings:
    """Looks at one component.

    Args:
        site: The component.
        halves: The pairs.
        users: The user's bases ``[d, k]``.
        settings: What is made.
        progress: Told of every phase.
    """
    train, test = halves.train, halves.test.different
    cost = cost_of(site, halves, len(users), settings)
    tables: dict[str, pd.DataFrame] = {}
    bootstrap = Bootstrap.of(test.groups, settings.resamples, settings.seed)
    with progress.phase(f"checking {site.name}", cost["proof"]):
        tokens = halves.prompts.set_index("prompt")["tokens"].loc[test.base_prompts[:TRIED]].tolist()
        proof = prove(test, site, tokens, BATCH, TOLERANCE, bootstrap)
        proof.check(site.name)
    trained: dict[SubspaceKey, torch.Tensor] = {}
    if settings.train:
        with progress.phase(f"training at {site.name}", cost["train"], settings.das.steps) as step_done:
            run = train_das(
                train.model,
                site,
                train.examples(site),
                rank=settings.rank,
                seeds=list(settings.seeds),
                on_step=step_done,
                **settings.learning,
            )
        seeds = [SubspaceKey(TRAINED, seed=seed) for seed in settings.seeds]
        trained = dict(zip(seeds, run.bases, strict=True))
        tables["training"] = run.curve
    decomposition = _decomposed(site, halves, trained | dict(users), settings)
    tables |= dict(decomposition=decomposition.summary, cosines=decomposition.cosines)
    bases = decomposition.subspaces
    with progress.phase(f"patching at {site.name}", cost["patch"]):
        looked = look_in_memory(
            train,
            test,
            site,
            bases,
            rank=settings.rank,
            tolerance=TOLERANCE,
            resamples=settings.resamples,
            seed=settings.seed,
            batch=BATCH,
            noise=proof.noise,
        )
    tables |= dict(
        effects=effects(test, {site.name: looked.patched}, bootstrap), outcomes=by_pair(test, looked.patched)
    )
    readers = looked.readers
    tables |= {} if readers.table is None else dict(readers=readers.table)
    with progress.phase(f"distances at {site.name}", cost["distances"]):
        tables["off_distribution"] = _distances(site, test, bases, looked.seen, bootstrap, settings)
    if is_planted(site, halves, settings):
        with progress.phase(f"planting at {site.name}", cost["planting"]):
            planted = cases_here(train, test, site, _tried(trained | dict(users), bases), plan_of(settings))
        tables |= {PLANTED: planted} if len(planted) else {}
    if settings.controls and (trained or users):
        with progress.phase(f"controls at {site.name}", cost["controls"], 2 * settings.das.steps) as step_done:
            tables["controls"] = measure_controls(
                site.name,
                site,
                train,
                halves.test,
                list(trained.values()),
                users,
                tables.get("training"),
                rank=settings.rank,
                das_seeds=settings.seeds,
                settings=settings.learning | dict(min_gain=0.0),  # what may find nothing makes all its steps
                random_directions=RANDOM_DIRECTIONS,
                seed=settings.seed,
                resamples=settings.resamples,
                batch=BATCH,
                on_step=step_done,
            )
    return Findings(
        sites=[site],
        tables={name: found.assign(component=site.name) for name, found in tables.items()},
        bases={key.at(site.name): basis for key, basis in bases.items()},
        seen={key.at(site.name): one for key, one in looked.seen.items()},
        proof=proof,
        remarks={} if readers.remark is None else {site.name: readers.remark},
    )


def is_planted(site: Site, halves: Halves, settings: Settings) -> bool:
    """Whether cases are planted in a component itself."""
    return settings.calibrate and bool(sites_here(halves.train.model, site))


def plan_of(settings: Settings) -> Plan:
    """What is planted in a component itself."""
    asked = dict[str, Any](tolerance=TOLERANCE, smallest_effect=SMALLEST_EFFECT, seed=settings.seed)
    return Plan([], DOSES, MIXTURES, settings.learning, BATCH, **asked, evidence=False)


def _tried(
    asked: Mapping[SubspaceKey, torch.Tensor], bases: Mapping[SubspaceKey, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Directions ``[d, 1]`` of the subspaces that are asked about, by ``trained`` or ``yours: LABEL``: of several
    dimensions the axis along which the component varies most; of several seeds the first."""
    found: dict[str, torch.Tensor] = {}
    for key, basis in asked.items():
        found.setdefault(f"yours: {key.method}" if key.is_user else key.method, bases.get(key.of_axis(1), basis))
    return found


def _decomposed(
    site: Site, halves: Halves, asked: Mapping[SubspaceKey, torch.Tensor], settings: Settings
) -> Decomposition:
    """What is known of the subspaces without running the model, from the prompts of both halves."""
    train, test = halves.train, halves.test.different
    values = values_of(pd.concat([train.table, halves.test.table]))  # held-out pairs may have some of their own
    learnt, measured = (prompts_of(halves.prompts, half.table) for half in (train, test))
    return decompose(
        asked,
        train.model.readout(site),
        None,
        classes(train.prompts, site, learnt, values),
        classes(test.prompts, site, measured, values),
        Bootstrap.of(measured["group"].to_numpy(), settings.resamples, settings.seed),
        rank=settings.rank,
        tolerance=TOLERANCE,
        random_directions=RANDOM_BASELINES,
        seed=settings.seed,
    )


def _distances(
    site: Site,
    test: Pairs,
    bases: Mapping[SubspaceKey, torch.Tensor],
    asked: Collection[SubspaceKey],
    bootstrap: Bootstrap,
    settings: Settings,
) -> pd.DataFrame:
    """How far patches leave the natural distribution; what enters the next block only where nothing else in the block
    sees the patch."""
    model, next_input = test.model, residual_after(site.block)
    left = distances_of_component(
        site.name,
        (test.base(site), test.source(site)),
        (test.base(next_input), test.source(next_input)) if model.hands_on_alone(site) else None,
        bases,
        asked,
        model.readout(site),
        bootstrap,
        tolerance=TOLERANCE,
        halvings=HALVINGS,
        seed=settings.seed,
    )
    return table(list(left))


def step_cost(site: Site, halves: Halves, settings: Settings) -> float:
    """The work of a step of DAS with all seeds, there and back, in the same unit as ``cost_of``."""
    blocks = halves.train.model.n_blocks - site.start + 1
    return 2 * settings.das.batch * len(settings.seeds) * blocks * halves.train.tokens


def cost_of(site: Site, halves: Halves, users: int, settings: Settings) -> dict[str, float]:
    """The work of every phase of ``look_at``, roughly, in blocks that tokens go through: what the bar and forecasts go
    by.

    Args:
        site: The component.
        halves: The pairs.
        users: How many subspaces the user has.
        settings: What is made.
    """
    blocks = halves.train.model.n_blocks - site.start + 1  # unembedding and readers are worth one and more
    learnt = step_cost(site, halves, settings)
    patched = len(halves.test) * blocks * halves.test.tokens  # one patch of all pairs
    subspaces, parts = users + 1 + settings.train, 6 if site.readout else 10
    cost = dict(patch=patched * (parts + 3) * subspaces, distances=patched * parts * subspaces, proof=2 * patched)
    cost |= dict(train=learnt * settings.das.steps) if settings.train else {}
    if is_planted(site, halves, settings):
        plan, test = plan_of(settings), halves.test.different
        learnt_from, held_out = (len(half) * blocks * half.tokens for half in (halves.train, test))
        patches = held_out * patches_here(users + settings.train, plan)
        cost |= dict(planting=patches + REPLAYED * len(plan.doses) * (learnt_from + held_out))
    if settings.controls:
        runs = 2 * learnt * settings.das.steps if settings.train else 0
        cost |= dict(controls=runs + (1 + users + settings.train) * RANDOM_DIRECTIONS * patched)
    return cost
