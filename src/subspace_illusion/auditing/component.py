"""One component looked at: what DAS trains beside the user's subspaces, parts, effects, distances, controls, scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from subspace_illusion.auditing.findings import Findings
from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.proof import TRIED, prove
from subspace_illusion.auditing.settings import (
    BATCH,
    HALVINGS,
    RANDOM_BASELINES,
    RANDOM_DIRECTIONS,
    TOLERANCE,
    Settings,
)
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.controls import measure_controls
from subspace_illusion.measures.decompose import classes, decompose
from subspace_illusion.measures.effects import by_pair, effects
from subspace_illusion.measures.off_distribution import distances_of_component
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import prompts_of, values_of
from subspace_illusion.verdict.in_memory import score_in_memory


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
    model, train, test = halves.train.model, halves.train, halves.test.different
    cost = cost_of(site, halves, len(users), settings)
    tables: dict[str, pd.DataFrame] = {}
    with progress.phase(f"checking {site.name}", cost["proof"]):
        tokens = halves.prompts.set_index("prompt")["tokens"].loc[test.base_prompts[:TRIED]].tolist()
        proof = prove(test, site, tokens, BATCH, TOLERANCE)
        proof.check(site.name)
    trained: dict[SubspaceKey, torch.Tensor] = {}
    if settings.train:
        with progress.phase(f"training at {site.name}", cost["train"], settings.das.steps) as step_done:
            run = train_das(
                model,
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
    readout = model.readout(site)
    measured = prompts_of(halves.prompts, test.table)
    values = values_of(pd.concat([train.table, halves.test.table]))  # held-out pairs may have some of their own
    decomposition = decompose(
        trained | dict(users),
        readout,
        None,
        classes(train.prompts, site, prompts_of(halves.prompts, train.table), values),
        classes(test.prompts, site, measured, values),
        Bootstrap.of(measured["group"].to_numpy(), settings.resamples, settings.seed),
        rank=settings.rank,
        tolerance=TOLERANCE,
        random_directions=RANDOM_BASELINES,
        seed=settings.seed,
    )
    tables |= dict(decomposition=decomposition.summary, cosines=decomposition.cosines)
    bases = decomposition.subspaces
    with progress.phase(f"patching at {site.name}", cost["patch"]):
        scored = score_in_memory(
            train,
            test,
            site,
            bases,
            rank=settings.rank,
            tolerance=TOLERANCE,
            resamples=settings.resamples,
            seed=settings.seed,
            batch=BATCH,
        )
    bootstrap = Bootstrap.of(test.groups, settings.resamples, settings.seed)
    tables["effects"] = effects(test, {site.name: scored.patched}, bootstrap)
    tables["outcomes"] = by_pair(test, scored.patched)
    tables |= {} if scored.readers is None else dict(readers=scored.readers)
    with progress.phase(f"distances at {site.name}", cost["distances"]):
        ends, after = ((test.base(at), test.source(at)) for at in (site, residual_after(site.block)))
        looks: Any = dict(tolerance=TOLERANCE, halvings=HALVINGS, seed=settings.seed)
        left = distances_of_component(site.name, ends, after, bases, scored.scores, readout, bootstrap, **looks)
        tables["off_distribution"] = table(list(left))
    if settings.controlled:
        with progress.phase(f"controls at {site.name}", cost["controls"], 2 * settings.das.steps) as step_done:
            tables["controls"] = measure_controls(
                site.name,
                site,
                train,
                halves.test,
                list(trained.values()),
                users,
                tables["training"],
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
        scores={key.at(site.name): score for key, score in scored.scores.items()},
        proof=proof,
    )


def cost_of(site: Site, halves: Halves, users: int, settings: Settings) -> dict[str, float]:
    """The work of every phase of ``look_at``, roughly, in blocks that tokens go through: what the bar goes by.

    Args:
        site: The component.
        halves: The pairs.
        users: How many subspaces the user has.
        settings: What is made.
    """
    blocks = halves.train.model.n_blocks - site.start + 1  # unembedding and readers are worth one and more
    learnt = 2 * settings.das.batch * len(settings.seeds) * blocks * halves.train.tokens  # a step, there and back
    patched = len(halves.test) * blocks * halves.test.tokens  # one patch of all pairs
    subspaces = (6 if site.readout else 10) * (users + 1 + settings.train)
    cost = dict(patch=patched * subspaces, distances=patched * subspaces, proof=2 * patched)
    cost |= dict(train=learnt * settings.das.steps) if settings.train else {}
    if settings.controlled:
        cost |= dict(controls=2 * learnt * settings.das.steps + 3 * RANDOM_DIRECTIONS * patched)
    return cost
