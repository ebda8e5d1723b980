"""How good is the estimate on a model that it has never seen (E13, E14)? What prediction intervals make of the cases of
a model, or a block, that was left out of them.

Much is true by how cases are made: without a dose nothing is mediated, off the route neither, and the mean difference
of a component that varies with the signal alone is the mediator. ``hard`` leaves these out.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, interval, table
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, OFF_ROUTE, PROBE
from subspace_illusion.verdict.estimate import KINDS, match_of, mediated_share, share_of
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.known import is_known
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, called

TWINS = 0.01
"""Two subspaces of a place count once where their effects, what is mediated of them and their own differences' differ
by no more, as shares of the clean LD: they are the same direction found twice."""
CUT = 0.05
"""By how much a mediator alone must do more than the patch for its share to count as cut to 1."""
RESAMPLES = 1000
"""Draws of blocks."""
LOW, HIGH = 0.2, 0.8
"""Up to the one share a subspace should not be called faithful, from the other on not illusory."""


_PLACE = ["model", "task", "block", "place"]


def told_apart(cases: pd.DataFrame, smallest_effect: float) -> pd.DataFrame:
    """The cases with what decides whether they count.

    Args:
        cases: As ``planting.mediated.cases_of_block`` gives them, with ``model`` and ``task``.
        smallest_effect: Share of the clean LD that a large effect exceeds, to either side.

    Returns:
        Their columns and ``unit`` (model, task, block); whether each is ``large``, whether its truth is ``known``
        (``verdict.known``), whether it is a ``twin`` of an earlier case of its place, and whether it ``counts``: large,
        known and no twin.
    """
    cases = cases.reset_index(drop=True)
    by_itself, carried, effect = (cases[name].to_numpy(dtype=float) for name in ("by_itself", "carried", "effect"))
    told = cases.assign(
        unit=cases["model"] + " " + cases["task"] + " " + cases["block"].astype(str),
        large=cases["effect"].abs() > smallest_effect,
        known=is_known(by_itself, carried, effect, smallest_effect),
        twin=False,
    )
    for _, large in told[told["large"]].groupby(_PLACE, sort=False):
        told.loc[large.index, "twin"] = _twins(large[["effect", "mediated", "own"]].to_numpy())
    return told.assign(counts=told["large"] & told["known"] & ~told["twin"])


def _twins(did: np.ndarray) -> np.ndarray:
    """Whether each row ``[n, 3]`` is within ``TWINS`` of one before it that is no twin itself, ``[n]``."""
    twins = np.zeros(len(did), dtype=bool)
    for number, row in enumerate(did):
        before = did[:number][~twins[:number]]
        twins[number] = (np.abs(before - row) <= TWINS).all(axis=1).any()
    return twins


def counted(cases: pd.DataFrame) -> pd.DataFrame:
    """How many cases of ``told_apart`` count, and why others do not, by model, task, block and place.

    Returns:
        How many were ``tried``, and of these ``large``, ``twins`` and ``counts``; what the component does ``by_itself``
        and what the full dose adds, ``carried``; and, of those whose truth does not count as known, the medians of what
        the estimate errs, ``error_unknown``, and of how much of that the component by itself could make, ``slack``.
    """
    told = estimated(cases)
    unknown = told["large"] & ~told["known"] & ~told["twin"]
    error, slack = (told["estimate"] - told["truth"]).abs(), (told["by_itself"] / told["effect"]).abs()
    found = told.assign(error=error.where(unknown), slack=slack.where(unknown)).groupby(_PLACE, sort=False)
    return (
        found.agg(
            tried=("found", "size"),
            large=("large", "sum"),
            twins=("twin", "sum"),
            counts=("counts", "sum"),
            by_itself=("by_itself", "first"),
            carried=("carried", "first"),
            error_unknown=("error", "median"),
            slack=("slack", "median"),
        )
        .reset_index()
        .round(6)
    )


def judged(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases of ``told_apart`` that count, with truth and estimate."""
    return estimated(cases[cases["counts"]].reset_index(drop=True))


def estimated(cases: pd.DataFrame) -> pd.DataFrame:
    """Cases with truth and estimate.

    Returns:
        Their columns and, all between 0 and 1, ``truth``, ``own_share`` (the own-difference share), ``match`` and
        ``estimate``.
    """
    effect, whole = cases["effect"].to_numpy(), cases["whole"].to_numpy()
    own, match = share_of(cases["own"].to_numpy(), effect), match_of(effect, whole)
    of_kinds = {kind: mediated_share(own, match, kind) for kind in KINDS}
    estimate = np.select([(cases["kind"] == kind).to_numpy() for kind in of_kinds], list(of_kinds.values()))
    truth = share_of(cases["mediated"].to_numpy(), effect)
    return cases.assign(truth=truth, own_share=own, match=match, estimate=estimate)


def hard(cases: pd.DataFrame) -> pd.DataFrame:
    """Those of the cases whose truth, or whose estimate, is not given by how they are made."""
    given = cases["found"].isin([MEAN_DIFFERENCE, PROBE, OFF_ROUTE])
    return cases[(cases["dose"] > 0) & ~given]


def ways(cases: pd.DataFrame) -> pd.Series:
    """How each direction was found, all mixtures together, and all planes."""
    return cases["found"].str.replace(r" \d+$", "", regex=True)


def left_out(cases: pd.DataFrame, over: str) -> pd.DataFrame:
    """Every case with the interval that the others give, ``estimate_lo`` and ``estimate_hi``, its ``level`` and the
    ``call``; from 0 to 1, of level 0, where the others tell nothing.

    Args:
        cases: Those of ``judged``.
        over: What is left out at a time: ``model``; ``task``, that of its model; or ``block``, that of its model in
            every task, as for a verdict.

    Raises:
        InputError: If there is nothing else that would tell of any of them.
    """
    keys = list(dict.fromkeys(["model", over]))
    if cases.groupby(keys).ngroups < 2:
        raise InputError(
            f"the cases that move the answer are all of one {over}, so none can be left out: plant in more, raise "
            "planting.train_cases, or lower smallest_effect"
        )
    parts = []
    for _, here in cases.groupby(keys, sort=False):
        others = Intervals(cases[~(cases[keys] == here[keys].iloc[0]).all(axis=1)])
        for kind, of_kind in here.groupby("kind", sort=False):
            low, high, level, _ = others.around(of_kind["estimate"].to_numpy(), str(kind))
            parts.append(of_kind.assign(estimate_lo=low, estimate_hi=high, call=called(low, high, LIMITS), level=level))
    return pd.concat(parts).sort_index()


def is_held(cases: pd.DataFrame) -> pd.Series:
    """Whether the truth of each case of ``left_out`` lies in its interval."""
    return cases["truth"].between(cases["estimate_lo"], cases["estimate_hi"])


def goals(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """What the estimate and its intervals reach.

    Args:
        cases: Those of ``left_out``.
        by: The columns that make a row.

    Returns:
        One row a group: the columns of ``by``; ``cases``, ``units``, how many have a truth ``below_02`` and
        ``above_08``, and how many were ``cut`` to 1 because the mediator alone does more than the patch;
        ``median_error``, and ``nothing_error``, that of the best constant; ``bias``, by how much the estimate is too
        high in the mean; how many are ``told``, in that the others give them an interval. Of these alone:
        ``coverage_90``, the share that lies in it, every block of the same weight, and the ``level`` that the intervals
        could promise; ``missed_above``, the share whose truth lies above it; ``below_02_called_faithful``,
        ``above_08_called_illusory``; the share that is ``called``, and of those called
        either word the share whose truth lies on the other side of a half, ``faithful_wrong`` and ``illusory_wrong``;
        the share of either end that is called neither, ``below_02_inconclusive`` and ``above_08_inconclusive``, and the
        larger one, ``inconclusive``. NaN where there are no such cases. ``median_error`` and ``coverage_90`` have
        their 95 % interval over blocks, ``_lo`` and ``_hi``.
    """
    return table([dict(zip(by, key, strict=True)) | dict(_reached(here)) for key, here in _groups(cases, by)])


def _groups(cases: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    for key, here in cases.groupby(list(by), sort=False):
        yield key if isinstance(key, tuple) else (key,), here


def _reached(cases: pd.DataFrame) -> Iterator[tuple[str, float]]:
    truth = cases["truth"]
    yield from dict(cases=len(cases), units=cases["unit"].nunique()).items()
    yield from dict(below_02=int((truth <= LOW).sum()), above_08=int((truth >= HIGH).sum())).items()
    yield "cut", int((cases["mediated"] / cases["effect"] > 1 + CUT).sum())
    error = cases["estimate"] - truth
    yield from _over_blocks("median_error", error.abs(), cases["unit"], _medians)
    yield "nothing_error", float((truth - truth.median()).abs().median())
    yield "bias", float(error.mean())
    told = cases[cases["level"] > 0]
    yield "told", len(told)
    low, high = told[told["truth"] <= LOW], told[told["truth"] >= HIGH]
    of_blocks = is_held(told).groupby(told["unit"]).mean()
    yield from _over_blocks("coverage_90", of_blocks, of_blocks.index, Bootstrap.means)
    yield "level", float(told["level"].mean()) if len(told) else np.nan
    yield "missed_above", _share(told["truth"] > told["estimate_hi"])
    yield "below_02_called_faithful", _share(low["call"] == FAITHFUL)
    yield "above_08_called_illusory", _share(high["call"] == ILLUSORY)
    yield "called", _share(told["call"] != INCONCLUSIVE)
    yield "faithful_wrong", _share(told.loc[told["call"] == FAITHFUL, "truth"] < LIMITS.faithful_from)
    yield "illusory_wrong", _share(told.loc[told["call"] == ILLUSORY, "truth"] > LIMITS.illusory_up_to)
    neither = [_share(part["call"] == INCONCLUSIVE) for part in (low, high)]
    yield from dict(below_02_inconclusive=neither[0], above_08_inconclusive=neither[1]).items()
    yield "inconclusive", max((share for share in neither if not np.isnan(share)), default=np.nan)


def _over_blocks(
    name: str, values: pd.Series, units: Sequence[str], figure: Callable[[Bootstrap, np.ndarray], np.ndarray]
) -> Iterator[tuple[str, float]]:
    """A figure of some values and its interval over blocks drawn anew, which holds it; NaN of nothing."""
    if not len(values):
        yield from dict.fromkeys([name, f"{name}_lo", f"{name}_hi"], np.nan).items()
        return
    row = interval(name, figure(Bootstrap.of(list(units), RESAMPLES, seed=0), values.to_numpy(dtype=float)))
    value, low, high = row.values()
    yield from {name: value, f"{name}_lo": np.minimum(low, value), f"{name}_hi": np.maximum(high, value)}.items()


def _medians(bootstrap: Bootstrap, values: np.ndarray) -> np.ndarray:
    """The median, then that of every draw, ``[1 + resamples]``."""
    order = np.argsort(values, kind="stable")
    below = bootstrap.weights[:, order].cumsum(1)
    medians = values[order][(below >= 0.5).argmax(1)]
    medians[0] = np.median(values)
    return medians


def _share(holds: pd.Series) -> float:
    """The share for which something holds; NaN of nothing."""
    return float(holds.mean()) if len(holds) else np.nan
