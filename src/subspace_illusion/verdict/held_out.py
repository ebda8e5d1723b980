"""How good is the estimate on a model that it has never seen (E13, E14)? Prediction intervals from planted cases, and
what they make of the cases of a model that was left out.

The interval of an estimate holds the mediated shares that planted cases with a like estimate had: the ends of
``truth - estimate`` among the cases of like places whose estimate falls in the same bin. Cases of one block are not
independent. So each block has the same weight, and the ends are those that hold a case of one more block in 90 of 100
(split conformal prediction over groups: Vovk, Gammerman and Shafer 2005; Dunn, Wasserman and Ramdas 2023). That takes
19 blocks. With fewer the ends are the most extreme ones, and ``(n - 1) / (n + 1)`` is all that n blocks can promise:
the ``level``.

Much is true by how cases are made: without a dose nothing is mediated, off the route neither, and the mean difference
of a component that varies with the signal alone is the mediator. ``hard`` leaves these out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.statistics import table
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, OFF_ROUTE, PROBE
from subspace_illusion.verdict.estimate import match_of, mediated_share, share_of
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE

WRITES, ADDED, STREAM = "writes to the stream", "added to the stream", "the stream"
KINDS_OF_PLACE = {
    "MLP": WRITES,
    "random MLP": WRITES,
    "attention": WRITES,
    "one head": WRITES,
    "attention's output": ADDED,
    "MLP's output": ADDED,
    "stream before": STREAM,
    "stream between": STREAM,
    "stream after": STREAM,
}
"""Places in which the estimate errs alike."""
EDGES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where estimates are told apart for their intervals."""
MISSED = 0.1
"""The share of cases whose mediated share may lie outside the interval."""
FEWEST, FEWEST_UNITS = 20, 3
"""Cases, and blocks, that a bin must have; with fewer all bins of the places are taken together."""
HALF = 0.5
"""All of an interval from here on is faithful, all of it up to here illusory."""
ROUNDING = 1e-9
BY_ITSELF = 0.1
"""What a component may do without the signal, as a share of a patch's effect, for its truth to count as known."""
LOW, HIGH = 0.2, 0.8
"""Up to the one share a subspace should not be called faithful, from the other on not illusory."""


def told_apart(cases: pd.DataFrame, smallest_effect: float, by_itself: float) -> pd.DataFrame:
    """The cases with ``unit`` (model, task, block), ``kind`` (of place), and whether each is ``large`` and ``known``.

    Args:
        cases: As ``planting.mediated.cases_of_block`` gives them, with ``model`` and ``task``.
        smallest_effect: Share of the clean LD that a large effect exceeds, to either side.
        by_itself: What the component may do without the signal, as a share of the effect, for the truth to be known: up
            to that its own mediators could make of it something else.
    """
    return cases.assign(
        unit=cases["model"] + " " + cases["task"] + " " + cases["block"].astype(str),
        kind=cases["place"].map(KINDS_OF_PLACE),
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
    estimate = np.where(kept["kind"] == STREAM, mediated_share(own, match, True), mediated_share(own, match, False))
    truth = share_of(kept["mediated"].to_numpy(), effect)
    return kept.assign(truth=truth, own_share=own, match=match, estimate=estimate)


def hard(cases: pd.DataFrame) -> pd.DataFrame:
    """Those of the cases whose truth, or whose estimate, is not given by how they are made."""
    given = cases["found"].isin([MEAN_DIFFERENCE, PROBE, OFF_ROUTE])
    return cases[(cases["dose"] > 0) & ~given]


@dataclass(frozen=True)
class Intervals:
    """Prediction intervals of estimates from planted cases.

    Attributes:
        cases: Those of ``judged``.
    """

    cases: pd.DataFrame

    def around(self, estimate: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """The ends of the intervals of some estimates, ``[n]`` each, which hold the estimates themselves.

        Args:
            estimate: ``[n]``.
            kind: Of the place.
        """
        known = self.cases[self.cases["kind"] == kind]
        low, high = np.empty_like(estimate), np.empty_like(estimate)
        bins, known_bins = np.digitize(estimate, EDGES), np.digitize(known["estimate"], EDGES)
        for number in np.unique(bins):
            like = known[known_bins == number]
            enough = len(like) >= FEWEST and like["unit"].nunique() >= FEWEST_UNITS
            like = like if enough else known
            down, up = _ends((like["truth"] - like["estimate"]).to_numpy(), like["unit"].to_numpy())
            here = bins == number
            low[here], high[here] = estimate[here] + min(down, 0), estimate[here] + max(up, 0)
        return np.clip(low, 0, 1), np.clip(high, 0, 1)


def _ends(errors: np.ndarray, units: np.ndarray) -> tuple[float, float]:
    """The percentiles of errors that hold those of one more unit, every unit of the same weight."""
    listed, place, counts = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(errors)
    below = np.cumsum(1 / counts[place][order]) / len(listed)
    tail = max(0.0, MISSED / 2 - (1 - MISSED / 2) / len(listed))
    first, last = np.searchsorted(below, [tail, 1 - tail - ROUNDING]).clip(0, len(order) - 1)
    return float(errors[order][first]), float(errors[order][last])


def called(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What intervals of the mediated share are called."""
    return np.where(low >= HALF, FAITHFUL, np.where(high <= HALF, ILLUSORY, INCONCLUSIVE))


def left_out(cases: pd.DataFrame, over: str) -> pd.DataFrame:
    """Every case with the interval that the others give, ``estimate_lo`` and ``estimate_hi``, its ``level`` and the
    ``call``; from 0 to 1 where no other has such a place.

    Args:
        cases: Those of ``judged``.
        over: What is left out at a time: ``model``; or ``unit``, and then the model's other blocks are what is left.

    Raises:
        InputError: If there is nothing else that would tell of any of them.
    """
    parts = []
    for _, here in cases.groupby(over, sort=False):
        others = cases[~cases[over].isin(here[over])]
        others = others if over == "model" else others[others["model"].isin(here["model"])]
        for kind, of_kind in here.groupby("kind", sort=False):
            units = others.loc[others["kind"] == kind, "unit"].nunique()
            estimate = of_kind["estimate"].to_numpy()
            ends = Intervals(others).around(estimate, str(kind)) if units else (0 * estimate, 0 * estimate + 1)
            level = min(1 - MISSED, (units - 1) / (units + 1)) if units else 0.0
            parts.append(of_kind.assign(estimate_lo=ends[0], estimate_hi=ends[1], call=called(*ends), level=level))
    if cases[over].nunique() < 2:
        raise InputError(
            f"the cases that move the answer are all of one {over}, so none can be left out: plant in more, raise "
            "planting.train_cases, or lower smallest_effect"
        )
    return pd.concat(parts).sort_index()


def goals(cases: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """What the estimate and its intervals reach.

    Args:
        cases: Those of ``left_out``.
        by: The columns that make a row.

    Returns:
        One row a group: the columns of ``by``; ``cases``, ``units``, and how many have a truth ``below_02`` and
        ``above_08``; ``median_error``; ``coverage_90`` and the ``level`` that the intervals could promise;
        ``below_02_called_faithful``, ``above_08_called_illusory``; the share of either that is called neither,
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
    yield from dict(below_02_inconclusive=neither[0], above_08_inconclusive=neither[1]).items()
    yield "inconclusive", max((share for share in neither if not np.isnan(share)), default=np.nan)


def _share(holds: pd.Series) -> float:
    """The share for which something holds; NaN of nothing."""
    return float(holds.mean()) if len(holds) else np.nan
