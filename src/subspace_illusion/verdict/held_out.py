"""How good is the estimate on a model that it has never seen (E13, E14)? What prediction intervals make of the cases of
a model, or a block, that was left out of them.

Much is true by how cases are made: without a dose nothing is mediated, off the route neither, and the mean difference
of a component that varies with the signal alone is the mediator. ``hard`` leaves these out.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.statistics import table
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, OFF_ROUTE, PROBE
from subspace_illusion.verdict.estimate import KINDS, match_of, mediated_share, share_of
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, called

BY_ITSELF = 0.1
"""What a component may do without the signal, as a share of a patch's effect, for its truth to count as known."""
LOW, HIGH = 0.2, 0.8
"""Up to the one share a subspace should not be called faithful, from the other on not illusory."""


def told_apart(cases: pd.DataFrame, smallest_effect: float, by_itself: float) -> pd.DataFrame:
    """The cases with ``unit`` (model, task, block), and whether each is ``large`` and ``known``.

    Args:
        cases: As ``planting.mediated.cases_of_block`` gives them, with ``model`` and ``task``.
        smallest_effect: Share of the clean LD that a large effect exceeds, to either side.
        by_itself: What the component may do without the signal, as a share of the effect, for the truth to be known: up
            to that its own mediators could make of it something else.
    """
    return cases.assign(
        unit=cases["model"] + " " + cases["task"] + " " + cases["block"].astype(str),
        large=cases["effect"].abs() > smallest_effect,
        known=cases["by_itself"].abs() <= by_itself * cases["effect"].abs(),
    )


def counted(cases: pd.DataFrame) -> pd.DataFrame:
    """How many cases of ``told_apart`` are large, and how many of these known, by model, task, block and place."""
    large = cases[cases["large"]]
    found = large.groupby(["model", "task", "block", "place"], sort=False).agg(
        large=("large", "size"), known=("known", "sum"), by_itself=("by_itself", "first")
    )
    return found.reset_index().round(6)


def judged(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases of ``told_apart`` that are large and known, with truth and estimate.

    Returns:
        Their columns and, all between 0 and 1, ``truth``, ``own_share`` (the own-difference share), ``match`` and
        ``estimate``.
    """
    kept = cases[cases["large"] & cases["known"]].reset_index(drop=True)
    effect, whole = kept["effect"].to_numpy(), kept["whole"].to_numpy()
    own, match = share_of(kept["own"].to_numpy(), effect), match_of(effect, whole)
    of_kinds = {kind: mediated_share(own, match, kind) for kind in KINDS}
    estimate = np.select([(kept["kind"] == kind).to_numpy() for kind in of_kinds], list(of_kinds.values()))
    truth = share_of(kept["mediated"].to_numpy(), effect)
    return kept.assign(truth=truth, own_share=own, match=match, estimate=estimate)


def hard(cases: pd.DataFrame) -> pd.DataFrame:
    """Those of the cases whose truth, or whose estimate, is not given by how they are made."""
    given = cases["found"].isin([MEAN_DIFFERENCE, PROBE, OFF_ROUTE])
    return cases[(cases["dose"] > 0) & ~given]


def left_out(cases: pd.DataFrame, over: str) -> pd.DataFrame:
    """Every case with the interval that the others give, ``estimate_lo`` and ``estimate_hi``, its ``level`` and the
    ``call``; from 0 to 1 where no other has such a place.

    Args:
        cases: Those of ``judged``.
        over: What is left out at a time: ``model``; or ``unit``, and then the model's other blocks are what is left.

    Raises:
        InputError: If there is nothing else that would tell of any of them.
    """
    if cases[over].nunique() < 2:
        raise InputError(
            f"the cases that move the answer are all of one {over}, so none can be left out: plant in more, raise "
            "planting.train_cases, or lower smallest_effect"
        )
    parts = []
    for _, here in cases.groupby(over, sort=False):
        others = cases[~cases[over].isin(here[over])]
        others = others if over == "model" else others[others["model"].isin(here["model"])]
        for kind, of_kind in here.groupby("kind", sort=False):
            low, high, level, _ = Intervals(others).around(of_kind["estimate"].to_numpy(), str(kind))
            parts.append(of_kind.assign(estimate_lo=low, estimate_hi=high, call=called(low, high, LIMITS), level=level))
    return pd.concat(parts).sort_index()


def goals(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """What the estimate and its intervals reach.

    Args:
        cases: Those of ``left_out``.
        by: The columns that make a row.

    Returns:
        One row a group: the columns of ``by``; ``cases``, ``units``, and how many have a truth ``below_02`` and
        ``above_08``; ``median_error``; ``coverage_90`` and the ``level`` that the intervals could promise;
        ``below_02_called_faithful``, ``above_08_called_illusory``; the share of all that is ``called``, and of these
        that whose truth lies on the other side of a half, ``called_wrong``; the share of either that is called neither,
        ``below_02_inconclusive`` and ``above_08_inconclusive``, and the larger one, ``inconclusive``. NaN where there
        are no such cases.
    """
    return table([dict(zip(by, key, strict=True)) | dict(_reached(here)) for key, here in _groups(cases, by)])


def _groups(cases: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    for key, here in cases.groupby(list(by), sort=False):
        yield key if isinstance(key, tuple) else (key,), here


def _reached(cases: pd.DataFrame) -> Iterator[tuple[str, float]]:
    low, high = cases[cases["truth"] <= LOW], cases[cases["truth"] >= HIGH]
    neither = [_share(part["call"] == INCONCLUSIVE) for part in (low, high)]
    yield from dict(cases=len(cases), units=cases["unit"].nunique(), below_02=len(low), above_08=len(high)).items()
    yield "median_error", float((cases["estimate"] - cases["truth"]).abs().median())
    yield "coverage_90", _share(cases["truth"].between(cases["estimate_lo"], cases["estimate_hi"]))
    yield "level", float(cases["level"].mean())
    yield "below_02_called_faithful", _share(low["call"] == FAITHFUL)
    yield "above_08_called_illusory", _share(high["call"] == ILLUSORY)
    told = cases[cases["call"] != INCONCLUSIVE]
    yield "called", float(len(told) / len(cases))
    yield "called_wrong", _share((told["call"] == FAITHFUL) != (told["truth"] >= LIMITS.faithful_from))
    yield from dict(below_02_inconclusive=neither[0], above_08_inconclusive=neither[1]).items()
    yield "inconclusive", max((share for share in neither if not np.isnan(share)), default=np.nan)


def _share(holds: pd.Series) -> float:
    """The share for which something holds; NaN of nothing."""
    return float(holds.mean()) if len(holds) else np.nan
