"""One component looked at: what DAS trains beside the user's subspaces, parts, effects, distances, controls, scores."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch

from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.proof import TRIED, Proof, prove
from subspace_illusion.auditing.settings import (
    BATCH,
    HALVINGS,
    RANDOM_BASELINES,
    RANDOM_DIRECTIONS,
    TOLERANCE,
    Settings,
)
from subspace_illusion.core.basis import spaces
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.controls import controls, learn, make_changes, random_bases
from subspace_illusion.measures.decompose import classes, decompose
from subspace_illusion.measures.effects import by_pair, effects
from subspace_illusion.measures.off_distribution import distances, looked_at
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.methods import NULL, TRAINED, WHOLE, user_labels
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import prompts_of, values_of
from subspace_illusion.verdict.in_memory import Scored, score_in_memory
from subspace_illusion.verdict.score import Score


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


@dataclass(frozen=True)
class Looked:
    """What was found at one component.

    Attributes:
        site: Where it is.
        scores: By method.
        bases: ``[d, k]`` by ``<method>:<seed>``.
        tables: ``effects``, ``outcomes``, ``decomposition``, ``cosines``, ``off_distribution`` and, where they were
            asked, ``training``, ``controls``, ``readers``.
        proof: How far off was what has to be equal.
    """

    site: Site
    scores: Mapping[str, Score]
    bases: Mapping[str, torch.Tensor]
    tables: Mapping[str, pd.DataFrame]
    proof: Proof


def look_at(
    site: Site, halves: Halves, user: Mapping[str, torch.Tensor], settings: Settings, progress: Progress
) -> Looked:
    """Looks at one component.

    Args:
        site: The component.
        halves: The pairs.
        user: The user's bases ``[d, k]`` by label.
        settings: What is made.
        progress: Told of every phase.
    """
    model, train, test = halves.train.model, halves.train, halves.test.different
    cost = cost_of(site, halves, len(user), settings)
    tables: dict[str, pd.DataFrame] = {}
    trained: dict[int, torch.Tensor] = {}
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
        trained = dict(zip(settings.seeds, run.bases, strict=True))
        tables["training"] = run.curve
    readout = model.readout(site)
    measured = prompts_of(halves.prompts, test.table)
    decomposition = decompose(
        trained,
        user,
        readout,
        None,
        classes(train.prompts, site, prompts_of(halves.prompts, train.table), values_of(train.table)),
        classes(test.prompts, site, measured, values_of(train.table)),
        Bootstrap.of(measured["group"].to_numpy(), settings.resamples, settings.seed),
        rank=settings.rank,
        tolerance=TOLERANCE,
        random_directions=RANDOM_BASELINES,
        seed=settings.seed,
    )
    tables |= dict(decomposition=decomposition.summary, cosines=decomposition.cosines)
    bases = {
        (method, "" if seed is None else str(seed)): basis for (method, seed), basis in decomposition.subspaces.items()
    }
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
    with progress.phase(f"distances at {site.name}", cost["distances"]):
        tables["off_distribution"] = _distances(site, test, bases, scored, readout, bootstrap, settings)
    if settings.controlled:
        with progress.phase(f"controls at {site.name}", cost["controls"], 2 * settings.das.steps) as step_done:
            tables["controls"] = _controls(site, halves, bases, tables["training"], settings, step_done)
    with progress.phase(f"checking {site.name}", cost["proof"]):
        tokens = halves.prompts.set_index("prompt")["tokens"].loc[test.base_prompts[:TRIED]].tolist()
        nulls = [outcome for (method, _), outcome in scored.patched.outcomes.items() if method.startswith(NULL)]
        proof = prove(test, site, tokens, BATCH, nulls)
        proof.check(site.name)
    named = {f"{method}:{seed}": basis for (method, seed), basis in bases.items()}
    return Looked(site, scored.scores, named, tables, proof)


def cost_of(site: Site, halves: Halves, user: int, settings: Settings) -> dict[str, float]:
    """Floating-point operations of every phase of ``look_at``, roughly: what the bar goes by.

    Args:
        site: The component.
        halves: The pairs.
        user: How many subspaces the user has.
        settings: What is made.
    """
    model, train, test = halves.train.model, halves.train, halves.test
    rows = settings.das.batch * len(settings.seeds)
    training = (
        settings.das.steps * model.flops(site.start, rows, train.tokens, backward=True) if settings.train else 0.0
    )
    subspaces = (6 if site.readout else 3) * (user + 1 + settings.train)
    patch = model.flops(site.start, subspaces * len(test), test.tokens)
    controls = 2 * training / len(settings.seeds) + model.flops(
        site.start, 3 * RANDOM_DIRECTIONS * len(test), test.tokens
    )
    return dict(
        train=training,
        patch=patch,
        distances=patch / 2,
        controls=controls if settings.controlled else 0.0,
        proof=model.flops(site.start, len(test), test.tokens),
    )


def _distances(
    site: Site,
    test: Pairs,
    bases: Mapping[tuple[str, str], torch.Tensor],
    scored: Scored,
    readout: torch.Tensor | None,
    bootstrap: Bootstrap,
    settings: Settings,
) -> pd.DataFrame:
    """How far the patches leave the natural distribution (E15), of the whole component and every scored subspace."""
    ends, entering = ((test.base(at), test.source(at)) for at in (site, residual_after(site.block)))
    halves = None if readout is None else spaces(readout, TOLERANCE)
    first = {method: basis for (method, _), basis in reversed(list(bases.items())) if method in scored.scores}
    rows = []
    for method, basis in {WHOLE: None, **first}.items():
        clouds = looked_at(*ends, basis, readout, halves, entering)
        found = distances(clouds, test.groups, bootstrap, HALVINGS, settings.seed)
        rows += [dict(subspace=method) | row for row in found]
    return table(rows)


def _controls(
    site: Site,
    halves: Halves,
    bases: Mapping[tuple[str, str], torch.Tensor],
    curve: pd.DataFrame,
    settings: Settings,
    step_done: Callable[..., None],
) -> pd.DataFrame:
    """The controls of what was trained, and of the user's own (E12)."""
    train, seeds = halves.train, list(settings.seeds)
    learning = settings.learning | dict(min_gain=0.0)  # what may find nothing makes all its steps
    learnt = learn(site, train, rank=settings.rank, seeds=seeds, settings=learning, on_step=step_done)
    random = random_bases(train.model.width(site), settings.rank, RANDOM_DIRECTIONS, settings.seed, site.name)
    trained = [basis for (method, _), basis in bases.items() if method == TRAINED]
    user = {label: bases[label, ""] for label in user_labels(method for method, _ in bases)}
    tried = make_changes(site, train, halves.test, trained, user, learnt, random)
    return controls(site.name, tried, learnt, curve, seed=settings.seed, resamples=settings.resamples, batch=BATCH)
