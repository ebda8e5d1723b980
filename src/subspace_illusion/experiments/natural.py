"""Natural cases (E14): components as the model has them, scored as the planted ones are. Nobody knows their truth, so
that they count in no error rate and are listed one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.frames import mean_difference, split
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.experiments.evaluate import Subspaces, by_pair, patch_all
from subspace_illusion.experiments.own_readers import can_be_read, split_by_own_readers
from subspace_illusion.experiments.planted import Plan
from subspace_illusion.experiments.score import score_component, score_table
from subspace_illusion.statistics import Bootstrap, interval, ratio
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, ROW, TRAINED, WHOLE, part_of


def sites_looked_at(components: Sequence[Site]) -> list[Site]:
    """What has to be recorded for natural cases: the components, and the residual stream after their blocks."""
    return list(dict.fromkeys([*components, *(residual_after(site.block) for site in components)]))


def natural_case(
    train: Pairs, test: Pairs, site: Site, plan: Plan, on_step: Callable[[float], None] = lambda loss: None
) -> pd.DataFrame:
    """Scores a direction that DAS trains at a site, and the mean difference there.

    Args:
        train: Pairs to train on.
        test: Held-out pairs of different values.
        site: The component.
        plan: How DAS goes, and the draws.
        on_step: Told the mean loss after every step of training.

    Returns:
        One row a direction: ``component`` (the hook), ``subspace``, ``whole_fldd`` with its interval, and the columns
        of ``Score.row``.
    """
    model, readout = train.model, train.model.readout(site)
    seeds = list(plan.seeds)
    trained = train_das(model, site, train.examples(site), rank=1, seeds=seeds, on_step=on_step, **plan.settings).frames
    frames = {(TRAINED, str(seed)): frame for seed, frame in zip(seeds, trained, strict=True)}
    both = torch.cat([train.base(site), train.source(site)])
    frames[MEAN_DIFFERENCE, ""] = mean_difference(both, torch.cat(train.values))
    settings: dict[str, Any] = dict(tolerance=plan.tolerance, seed=plan.seed, batch=plan.batch)
    splits = None
    if readout is None and can_be_read(site, model.n_blocks):
        different = train.among((train.table["base_value"] != train.table["source_value"]).to_numpy())
        splits = split_by_own_readers(different, test, site, frames, resamples=plan.resamples, **settings)[1]
    elif readout is not None:
        for (way, seed), frame in list(frames.items()):
            if (row := split(frame, readout, plan.tolerance).row) is not None:
                frames[part_of(way, ROW), seed] = row
    patched = patch_all(test, {site.name: Subspaces(site, frames, readout, 1)}, **settings)[site.name]
    did = by_pair(test, patched)
    scores = score_component(
        did,
        frames,
        test.base(site),
        test.source(site),
        test.values,
        readout,
        splits,
        tolerance=plan.tolerance,
        resamples=plan.resamples,
        seed=plan.seed,
    )
    bootstrap = Bootstrap.of(test.groups, plan.resamples, plan.seed)
    clean = bootstrap.means(test.ld_clean)
    whole = interval("whole_fldd", ratio(clean - bootstrap.means(did[WHOLE].to_numpy()), clean))
    return score_table({(site.name, way): score for way, score in scores.items()}).assign(**whole)
