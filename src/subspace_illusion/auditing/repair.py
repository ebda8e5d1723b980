"""Where a subspace is illusory, what DAS finds within what acts (``verdict.repair``), judged like everything else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from subspace_illusion.auditing.component import Halves, step_cost
from subspace_illusion.auditing.findings import REPAIR
from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.result import Audit
from subspace_illusion.auditing.settings import BATCH, TOLERANCE, Settings
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effects import Subspaces, count
from subspace_illusion.measures.own_difference import what_acts
from subspace_illusion.statistics import interval
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.repair import see_repair, trained_within
from subspace_illusion.verdict.rule import ILLUSORY
from subspace_illusion.verdict.seen import Seen

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
    progress.more(work := step_cost(site, halves, settings) * settings.das.steps)
    with progress.phase(f"repairing at {site.name}", work, settings.das.steps) as step_done:
        runs = dict[str, Any](rank=settings.rank, seeds=settings.seeds, on_step=step_done)
        bases = trained_within(train, site, acts, **runs, **settings.learning)
    repairs = Subspaces(site, bases, train.model.readout(site), settings.rank)
    progress.more(work := count(repairs) * len(test) * blocks * test.tokens)
    with progress.phase(f"patching the repair at {site.name}", work):
        draws = dict[str, Any](resamples=settings.resamples, seed=settings.seed, noise=noise)
        seen = see_repair(train.different, test, repairs, acts, tolerance=TOLERANCE, batch=BATCH, **draws)
    return judge({key.at(site.name): one for key, one in seen.items()})[SubspaceKey(TRAINED, component=site.name)]


def _figures(found: Verdict) -> dict[str, Any]:
    """The columns of the table that say what the repair does."""
    share = found.share
    ends = (np.nan,) * 3 if share is None else (share.value, share.low, share.high)
    told = dict(zip(("share", "share_lo", "share_hi"), ends, strict=True))
    return interval("fldd", found.seen.fldd) | told | dict(verdict=found.verdict)
