"""Cases planted in a user's own component, with the user's own pairs (E14): do the intervals of cases that were planted
elsewhere hold there too?

The signal is the variable as the residual stream holds it before the component: the mean difference there.
"""

from collections.abc import Mapping

import pandas as pd
import torch

from subspace_illusion.core.basis import mean_difference
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.planting.mediated import Plan, cases_of_place
from subspace_illusion.planting.places import Place, sites_of
from subspace_illusion.planting.plant import stream_before
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.verdict.estimate import kind_of
from subspace_illusion.verdict.held_out import estimated, told_apart
from subspace_illusion.verdict.intervals import HERE, Intervals

LEAST_CASES = 10
"""Cases that count, below which they make no interval."""
COLUMNS = (
    *("place", "hook", "kind", "dose", "found", "effect", "mediated", "own", "whole", "by_itself"),
    *("large", "known", "twin", "counts", "estimate", "truth"),
)
"""What is kept of a case."""
_BY_ITSELF_FOUND = 4
"""The directions that are found in a component beside mixtures: mean difference, probe, gradient, DAS off the route."""
_ONE_BLOCK = dict(model="here", task="here", block=0)


def sites_here(model: Model, site: Site) -> list[Site]:
    """What has to be recorded to plant in a component; nothing where no case can be planted in such a place."""
    if kind_of(site) is None:
        return []
    needed = sites_of(model, site)
    try:
        for each in needed:
            model.check(each)
    except InputError:
        return []
    return needed


def cases_here(train: Pairs, test: Pairs, site: Site, given: Mapping[str, torch.Tensor], plan: Plan) -> pd.DataFrame:
    """Every case of a component.

    Args:
        train: Training pairs, recorded at ``sites_here`` too.
        test: Held-out pairs of different values, likewise.
        site: The component, of a kind that ``sites_here`` knows.
        given: Directions ``[d, 1]`` that are tried besides those that are found here, by what the table calls them.
        plan: What is planted and tried; a dose of 0 is among the doses, the places do not matter.

    Returns:
        A row a case with ``COLUMNS``: what ``planting.mediated.cases_of_place`` gives (effects as shares of the clean
        LD); what the component does ``by_itself``; whether it is ``large``, ``known`` and a ``twin``, and so ``counts``
        (``verdict.held_out.told_apart``); and where it does, else NaN, the ``estimate`` of the mediated share and its
        ``truth``. No row where the component does not write along the signal, or the stream before it holds none.
    """
    try:
        place = Place.of(site.name, site, signal_before(train, site), train, plan.seed)
    except InputError:
        return pd.DataFrame(columns=list(COLUMNS))
    told = told_apart(cases_of_place(place, train, test, plan, given).assign(**_ONE_BLOCK), plan.smallest_effect)
    counted = estimated(told[told["counts"]])
    return told.join(counted[["estimate", "truth"]])[list(COLUMNS)].round(6)


def signal_before(train: Pairs, site: Site) -> torch.Tensor:
    """The direction of the variable in the residual stream before a component, ``[d_model]``.

    Raises:
        InputError: If the stream is the same there for every value.
    """
    stream = stream_before(train.model, site)
    held = torch.cat([train.base(stream), train.source(stream)])
    return mean_difference(held, torch.cat(train.values))[:, 0]


def patches_here(given: int, plan: Plan) -> int:
    """How many patches of all held-out pairs ``cases_here`` makes at most, for so many directions that are given: of
    every case its effect, the mediator's and the own difference's; of every dose the whole component."""
    found = given + _BY_ITSELF_FOUND + plan.mixtures + plan.mixtures // 2
    return len(plan.doses) * (3 * found + 1)


def intervals_here(planted: pd.DataFrame) -> dict[str, Intervals]:
    """Intervals from the cases that were planted in each component; none where fewer than ``LEAST_CASES`` count.

    Args:
        planted: What ``cases_here`` gives, with a column ``component``.
    """
    counted = planted[planted["counts"].astype(bool)]
    return {
        str(component): Intervals(cases.assign(**_ONE_BLOCK), source=HERE)
        for component, cases in counted.groupby("component", sort=False)
        if len(cases) >= LEAST_CASES
    }
