"""Natural cases (E14): components as the model has them, scored as the planted ones are. Nobody knows their truth, so
that they count in no error rate and are listed one by one."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.basis import mean_difference, row_space
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.decompose import row_parts
from subspace_illusion.planting.cases import Plan
from subspace_illusion.statistics import Bootstrap, interval, ratio
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, WHOLE, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.verdict.in_memory import score_in_memory
from subspace_illusion.verdict.score import score_table


def sites_looked_at(components: Sequence[Site]) -> list[Site]:
    """What has to be recorded for natural cases: the components, and the residual stream after their blocks."""
    return list(dict.fromkeys([*components, *(residual_after(site.block) for site in components)]))


def natural_case(train: Pairs, test: Pairs, site: Site, plan: Plan) -> pd.DataFrame:
    """Scores a direction that DAS trains at a site, and the mean difference there.

    Args:
        train: Pairs to train on.
        test: Held-out pairs of different values.
        site: The component.
        plan: How DAS goes, and the draws.

    Returns:
        One row a direction: ``component`` (the hook), ``subspace``, ``whole_fldd`` with its interval, and the columns
        of ``Score.row``.
    """
    model, readout = train.model, train.model.readout(site)
    seeds = list(plan.seeds)
    trained = train_das(model, site, train.examples(site), rank=1, seeds=seeds, **plan.settings).bases
    bases = {SubspaceKey(TRAINED, seed=seed): basis for seed, basis in zip(seeds, trained, strict=True)}
    both = torch.cat([train.base(site), train.source(site)])
    bases[SubspaceKey(MEAN_DIFFERENCE)] = mean_difference(both, torch.cat(train.values))
    bases |= row_parts(bases, None if readout is None else row_space(readout, plan.tolerance))
    settings: dict[str, Any] = dict(
        tolerance=plan.tolerance, resamples=plan.resamples, seed=plan.seed, batch=plan.batch
    )
    found = score_in_memory(train, test, site, bases, rank=1, **settings)
    bootstrap = Bootstrap.of(test.groups, plan.resamples, plan.seed)
    clean = bootstrap.means(test.ld_clean)
    did = bootstrap.means(found.patched.outcomes[WHOLE].ld[0])
    scores = {key.at(site.name): score for key, score in found.scores.items()}
    return score_table(scores).assign(**interval("whole_fldd", ratio(clean - did, clean))).round(6)
