"""Where a subspace is illusory: is there another of its kind that is not? DAS is trained again within what acts of the
component, where it can borrow nothing from what nothing reads, and what it finds is patched and judged like everything
else.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.auditing.component import Halves
from subspace_illusion.auditing.findings import REPAIR
from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.result import Audit
from subspace_illusion.auditing.settings import BATCH, TOLERANCE, Settings
from subspace_illusion.core.basis import principal_axes
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.ablation import mean_held
from subspace_illusion.measures.effects import Subspaces, by_pair, count, patch_everything
from subspace_illusion.measures.own_difference import Natural, own_difference, what_acts
from subspace_illusion.statistics import interval
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import ILLUSORY
from subspace_illusion.verdict.seen import Seen, see_component

Judge = Callable[[Mapping[SubspaceKey, Seen]], Mapping[SubspaceKey, Verdict]]


def repaired(audited: Audit, halves: Halves, settings: Settings, progress: Progress) -> Audit:
    """An audit with the table ``repair`` where DAS trains and a trained subspace, or one of the user's, is illusory: a
    row each, the repair being one for all of a component. Columns ``component``, ``subspace`` (the illusory one), and
    of the repair ``fldd`` (its effect, a share of the clean LD) and ``share`` (the estimate of the mediated share in
    its prediction interval, NaN where there is none), each with ``_lo`` and ``_hi``, and ``verdict``.

    Args:
        audited: The audit.
        halves: Its pairs.
        settings: How it goes.
        progress: Told of every phase.
    """
    rows: list[dict[str, Any]] = []
    for site in audited.sites if settings.train else []:
        illusory = [key for key in to_repair(audited.verdicts) if key.component == site.name]
        acts = what_acts(Component.of(halves.train.different, site), TOLERANCE, BATCH) if illusory else None
        if acts is not None:
            found = repair(site, halves, acts, audited.judged, settings, progress, audited.proof.noise)
            rows += [dict(component=site.name, subspace=key.subspace) | _figures(found) for key in illusory]
    return replace(audited, tables={**audited.tables, REPAIR: pd.DataFrame(rows).round(6)}) if rows else audited


def to_repair(verdicts: Mapping[SubspaceKey, Verdict]) -> list[SubspaceKey]:
    """The illusory ones of the subspaces that were trained or are the user's."""
    return [key for key, verdict in verdicts.items() if key.is_asked and verdict.verdict == ILLUSORY]


def repair(
    site: Site,
    halves: Halves,
    acts: torch.Tensor,
    judge: Judge,
    settings: Settings,
    progress: Progress,
    noise: float,
) -> Verdict:
    """The verdict on what DAS finds within what acts of a component, all seeds pooled.

    Args:
        site: The component.
        halves: The pairs.
        acts: Orthonormal basis of what acts, ``[d, r]``.
        judge: Judges what is seen.
        settings: How DAS trains.
        progress: Told of the training and the patches.
        noise: By how much the model's rounding moves an effect.
    """
    train, test = halves.train, halves.test.different
    blocks = train.model.n_blocks - site.start + 1
    step = 2 * settings.das.batch * len(settings.seeds) * blocks * train.tokens
    progress.more(work := step * settings.das.steps)
    with progress.phase(f"repairing at {site.name}", work, settings.das.steps) as step_done:
        bases = trained_within(site, halves, acts, settings, step_done)
    subspaces = Subspaces(site, bases, train.model.readout(site), settings.rank)
    progress.more(work := count(subspaces) * len(test) * blocks * test.tokens)
    with progress.phase(f"patching the repair at {site.name}", work):
        learnt = Component.of(train.different, site)
        natural = Natural(own_difference(learnt, acts), mean_held(learnt))
        patched = patch_everything(
            test, site.name, subspaces, natural, tolerance=TOLERANCE, seed=settings.seed, batch=BATCH
        )
    ranks = {key: basis.shape[1] for key, basis in bases.items()}
    draws = dict[str, Any](resamples=settings.resamples, seed=settings.seed, noise=noise)
    seen = see_component(by_pair(test, patched), site, ranks, **draws)
    return judge({key.at(site.name): one for key, one in seen.items()})[SubspaceKey(TRAINED, component=site.name)]


def trained_within(
    site: Site, halves: Halves, acts: torch.Tensor, settings: Settings, on_step: Callable[[float], None]
) -> dict[SubspaceKey, torch.Tensor]:
    """Bases ``[d, k]`` that DAS finds within what acts, one a seed, and the principal axes of those of several
    dimensions; of no more dimensions than act.

    Args:
        site: The component.
        halves: The pairs.
        acts: Orthonormal basis of what acts, ``[d, r]``.
        settings: How DAS trains.
        on_step: Told the mean loss after every step.
    """
    component = Component.of(halves.train, site)
    base, source = component.ends
    examples = replace(component.examples, base=base @ acts, source=source @ acts)
    found = train_das(
        halves.train.model,
        site,
        examples,
        rank=min(settings.rank, acts.shape[1]),
        seeds=list(settings.seeds),
        readout=acts.mT.expand(len(settings.seeds), -1, -1),
        on_step=on_step,
        **settings.learning,
    )
    bases: dict[SubspaceKey, torch.Tensor] = {}
    for seed, inside in zip(settings.seeds, found.bases, strict=True):
        key, basis = SubspaceKey(TRAINED, seed=seed), acts @ inside
        bases[key] = basis
        if basis.shape[1] > 1:
            axes = principal_axes(basis, torch.cat([component.base, component.source]))
            bases |= {key.of_axis(number + 1): axes[:, [number]] for number in range(axes.shape[1])}
    return bases


def _figures(found: Verdict) -> dict[str, Any]:
    """The columns of the table that say what the repair does."""
    share = found.share
    ends = (np.nan,) * 3 if share is None else (share.value, share.low, share.high)
    told = dict(zip(("share", "share_lo", "share_hi"), ends, strict=True))
    return interval("fldd", found.seen.fldd) | told | dict(verdict=found.verdict)
