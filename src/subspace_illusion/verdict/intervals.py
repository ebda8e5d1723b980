"""Prediction intervals of the mediated share, from planted cases (E13).

The interval of an estimate reaches as far to either side as planted cases with a like estimate erred: those of like
places whose estimate falls in the same bin. Cases of one block are not independent. So each block has the same weight,
and the reach is the one that holds a case of one more block in 90 of 100, if blocks are exchangeable (split conformal
prediction over groups: Dunn, Wasserman and Ramdas 2023; weighted as by Lee, Barber and Willett, arXiv 2306.06342). That
takes nine blocks, and would take nineteen if either side had a reach of its own. With fewer it is the largest error,
and ``n / (n + 1)`` is all that n blocks can promise: the ``level``. Fewer than ``FEWEST_UNITS`` tell nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from subspace_illusion.core.sites import Site, residual_after, residual_entering

EDGES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where estimates are told apart for their intervals."""
MISSED = 0.1
"""The share of cases whose mediated share may lie outside the interval."""
FEWEST, FEWEST_UNITS = 20, 3
"""Cases, and blocks, that a bin must have; with fewer all bins of the places are taken together."""
FEWEST_OF_UNIT = 5
"""Cases that a block must have in a kind of place to count as one."""
ROUNDING = 1e-9
COLUMNS = ("model", "task", "block", "hook", "kind", "estimate", "truth")
"""What is known of a planted case: where it was planted, the estimate and the truth."""
HELD = "held"
"""Beside these, whether the interval held the truth when the case's model was left out; NaN where there was none."""
_UNIT = ["model", "task", "block"]
SAME_STREAM = {residual_entering(0).point: residual_after(0).point}
"""Points that name the stream between two blocks a second time."""
ELSEWHERE, HERE = "planted cases elsewhere", "planted in this component"
WIDENED = f"{ELSEWHERE}, widened by those {HERE}"


@dataclass(frozen=True)
class Predicted:
    """A prediction interval.

    Attributes:
        low: Its lower end.
        high: Its upper end.
        level: The share of cases of one more block that it promises to hold; what widens it takes nothing of that.
        cases: How many planted cases it is from: those of like estimates, or all where these are too few; without those
            that widen it.
        source: Where they were planted: ``ELSEWHERE``, ``HERE`` or ``WIDENED``.
    """

    low: float
    high: float
    level: float
    cases: int
    source: str

    def holding(self, low: float, high: float) -> "Predicted":
        """The same, so wide that it holds another interval."""
        return replace(self, low=min(self.low, low), high=max(self.high, high))


@dataclass(frozen=True)
class Intervals:
    """Intervals from planted cases.

    Attributes:
        cases: A row a case, with ``COLUMNS`` at least, and ``HELD`` where models were left out.
        source: Where they were planted: ``ELSEWHERE``, or ``HERE``, which is one block.
    """

    cases: pd.DataFrame
    source: str = ELSEWHERE

    def without(self, model: str | None, block: int) -> "Intervals":
        """Those from the cases that are not of a block of a model, in whatever task."""
        same = (self.cases["model"] == model) & (self.cases["block"] == block)
        return replace(self, cases=self.cases[~same])

    def without_each(self, kind: str) -> Iterator["Intervals"]:
        """Those without each block, of the blocks that have cases of a kind of place."""
        for _, unit in self._known(kind).groupby(_UNIT, sort=False):
            here = (self.cases[_UNIT] == unit[_UNIT].iloc[0]).all(axis=1)
            yield replace(self, cases=self.cases[~here])

    def planted_at(self, site: Site) -> bool:
        """Whether any case was planted at the same point of a block."""
        return len(self._at(site)) > 0

    def _at(self, site: Site) -> pd.DataFrame:
        """The cases that were planted at the same point of a block, in whichever block; the stream before a block is
        the one behind the block before it."""

        def point(each: Site) -> tuple[str, bool]:
            return SAME_STREAM.get(each.point, each.point), each.head is None

        hooks = [hook for hook in self.cases["hook"].unique() if point(Site.parse(hook)) == point(site)]
        return self.cases[self.cases["hook"].isin(hooks)]

    def held_at(self, site: Site) -> float | None:
        """The share of the cases there that lay in their interval when their model was left out, every block alike: of
        the model of which the least did. ``None`` where that was not asked, or in fewer than ``FEWEST_UNITS`` blocks of
        every model."""
        there = self._at(site)
        if HELD not in there:
            return None
        of_blocks = there.dropna(subset=[HELD]).astype({HELD: float}).groupby(_UNIT)[HELD].mean()
        of_models = of_blocks.groupby("model").agg(["mean", "size"])
        enough = of_models[of_models["size"] >= FEWEST_UNITS]
        return float(enough["mean"].min()) if len(enough) else None

    def predict(self, estimate: float, kind: str) -> Predicted | None:
        """The interval of one estimate in a kind of place; ``None`` where too little was planted in such places."""
        (low,), (high,), (promised,), (cases,) = self.around(np.array([estimate]), kind)
        return Predicted(float(low), float(high), float(promised), int(cases), self.source) if cases else None

    def around(self, estimate: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The ends of the intervals of some estimates, which hold the estimates themselves, the level that each
        promises, and from how many cases it is, ``[n]`` each; from 0 to 1, and no level, where cases tell nothing.

        Args:
            estimate: ``[n]``.
            kind: Of the place.
        """
        known = self._known(kind)
        low, high, promised, cases = 0.0 * estimate, 0.0 * estimate + 1, 0.0 * estimate, 0.0 * estimate
        if not len(known):
            return low, high, promised, cases
        unit = known.groupby(_UNIT).ngroup().to_numpy()
        errors = (known["truth"] - known["estimate"]).abs().to_numpy()
        bins, known_bins = np.digitize(estimate, EDGES), np.digitize(known["estimate"], EDGES)
        for number in np.unique(bins):
            like = known_bins == number
            enough = like.sum() >= FEWEST and len(np.unique(unit[like])) >= self.fewest_units
            like = like if enough else np.full(len(known), True)
            here, reach = bins == number, _reach(errors[like], unit[like])
            low[here], high[here] = estimate[here] - reach, estimate[here] + reach
            promised[here], cases[here] = level(len(np.unique(unit[like]))), like.sum()
        return np.clip(low, 0, 1), np.clip(high, 0, 1), promised, cases

    @property
    def fewest_units(self) -> int:
        """How many blocks there must be."""
        return FEWEST_UNITS if self.source == ELSEWHERE else 1

    def units(self, kind: str) -> int:
        """In how many blocks there are cases of a kind of place."""
        return len(self._known(kind)[_UNIT].drop_duplicates())

    def _known(self, kind: str) -> pd.DataFrame:
        """The cases in a kind of place, of blocks that have ``FEWEST_OF_UNIT`` there; none of too few blocks."""
        of_kind = self.cases[self.cases["kind"] == kind]
        of_kind = of_kind[of_kind.groupby(_UNIT)["truth"].transform("size") >= FEWEST_OF_UNIT]
        return of_kind if len(of_kind[_UNIT].drop_duplicates()) >= self.fewest_units else of_kind[:0]


def level(units: int) -> float:
    """What the intervals from so many blocks can promise."""
    return min(1 - MISSED, units / (units + 1))


def _reach(errors: np.ndarray, units: np.ndarray) -> float:
    """How far errors go that hold those of one more unit, every unit of the same weight."""
    listed, place, counts = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(errors, kind="stable")
    below = np.cumsum(1 / counts[place][order]) / len(listed)
    held = min(1.0, (1 - MISSED) * (1 + 1 / len(listed)))
    return float(errors[order][np.searchsorted(below, held - ROUNDING)])
