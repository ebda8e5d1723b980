"""Figures with intervals: the bootstrap over groups, the measures of a patch, and the tables that hold them.

Pairs are not independent: both swaps of a case share its words and sentence. So whole groups, pairs that
share what they are made of, are resampled, never single pairs.

A figure of *random draws* (directions, subspaces, MLPs, tossed labels) is about all that might have been drawn, so the
draws are resampled too, independently of the groups, which every draw shares with every other (the pigeonhole bootstrap
of Owen, 2007). Of few draws there is no interval, only their range. Training seeds are no draws: a trained subspace is
the one that is asked about. They are held fixed and their single values shown.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError

MEASURES = (
    "ld_clean",
    "accuracy_clean",
    "ld_patched",
    "effect",
    "fldd",
    "flip_rate",
    "interchange_accuracy",
)
"""The columns of every table of effects; each comes with ``_lo`` and ``_hi``, its 95 % interval."""

ROUNDING = 1e-5
"""What float32 leaves of a figure that is the same for every pair: no spread to make an interval of."""

ENDS = (2.5, 97.5)
"""The percentiles of draws between which a 95 % interval lies."""

LEAST_GROUPS = 50
"""How many groups stand for all, at least, so that hardly a draw has none of them."""

LEAST_DRAWS = 5
"""Of fewer random draws there is no interval: they say too little of what other draws would give."""

PART = 4_000_000
"""How many counts of groups in draws are made floats at a time."""


@dataclass(frozen=True)
class Estimate:
    """A figure, the ends of its interval where it has one, and the values of the single seeds or draws it pools.

    A figure has no interval if no resampling can move it (an effect that is exactly zero, one number without pairs
    behind it), if it is over a few random draws, or if it is a ratio over what may be zero.
    """

    value: float
    low: float | None = None
    high: float | None = None
    each: tuple[float, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any], name: str) -> "Estimate | None":
        """The measure of this name in a row of a table; ``None`` if the row has no such figure."""
        value, low, high = (row.get(f"{name}{end}") for end in ("", "_lo", "_hi"))
        if value is None or pd.isna(value):
            return None
        if low is None or high is None or pd.isna(low) or pd.isna(high):
            return cls(float(value))
        return cls(float(value), float(low), float(high))

    @classmethod
    def over(cls, values: Iterable[float]) -> "Estimate":
        """The mean of a few single values, which are kept; no interval."""
        each = tuple(float(value) for value in values)
        return cls(float(np.mean(each)), each=each)

    def complement(self) -> "Estimate":
        """One minus the figure."""
        if self.low is None or self.high is None:
            return Estimate(1 - self.value, each=tuple(1 - x for x in self.each))
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low, tuple(1 - x for x in self.each))


@dataclass(frozen=True)
class Bootstrap:
    """Draws of whole groups of pairs.

    Every measure of the same pairs uses the same draws, so ratios and differences of patches are paired.

    Attributes:
        counts: How often every group is in the sample itself (first row: once) and in every draw,
            ``[1 + resamples, groups]``.
        unit: The group of every pair, as its place among the groups, ``[pairs]``.
        seed: Seed of the draws.
    """

    counts: np.ndarray
    unit: np.ndarray
    seed: int

    @classmethod
    def of(cls, groups: Sequence[object] | np.ndarray, resamples: int, seed: int) -> "Bootstrap":
        """Draws with replacement as many groups as there are.

        Args:
            groups: The group of each pair, ``[pairs]``.
            resamples: Number of draws.
            seed: Seed of the draws.

        Raises:
            InputError: If there are no pairs.
        """
        if len(groups) == 0:
            raise InputError("there are no pairs to measure")
        units, unit = np.unique(np.asarray(groups), return_inverse=True)
        n = len(units)
        rng, evenly = numpy_generator(seed, "bootstrap", "groups", n), np.full(n, 1 / n)
        # A draw at a time and in the smallest integers, because there may be many groups. Where there are 128, none is
        # drawn so often: that has less of a chance than 1e-200.
        counts = np.ones((1 + resamples, n), dtype=np.int8)
        for draw in counts[1:]:
            draw[:] = rng.multinomial(n, evenly)
        return cls(counts, unit, seed)

    @property
    def weights(self) -> np.ndarray:
        """Of every pair in the sample and in every draw, ``[1 + resamples, pairs]``, each row summing to one."""
        weights = self.counts[:, self.unit].astype(float)
        return weights / weights.sum(1, keepdims=True)

    def some(self, most: int) -> tuple["Bootstrap", np.ndarray]:
        """The draws as they fall on at most ``most`` pairs, and which pairs these are, ``[some]``.

        Whole groups, drawn once and for all; where groups are large, ``LEAST_GROUPS`` of them and the first pairs of
        each. All pairs where they fit.

        Args:
            most: ``LEAST_GROUPS`` or more.
        """
        if len(self.unit) <= most:
            return self, np.arange(len(self.unit))
        groups = self.counts.shape[1]
        number = min(groups, max(LEAST_GROUPS, most * groups // len(self.unit)))
        kept = np.sort(numpy_generator(0, "some groups").permutation(groups)[:number])
        within = pd.Series(self.unit).groupby(self.unit).cumcount().to_numpy()
        rows = np.flatnonzero(np.isin(self.unit, kept) & (within < most // number))
        return Bootstrap(self.counts[:, kept], np.searchsorted(kept, self.unit[rows]), self.seed), rows

    def means(self, values: np.ndarray, among: np.ndarray | None = None, *, drawn: bool = False) -> np.ndarray:
        """The plain mean, then that of every draw, ``[1 + resamples]``.

        Args:
            values: One a pair, ``[pairs]``, or ``[seeds, pairs]``, of which the mean over seeds is taken.
            among: Booleans ``[pairs]``: the pairs that count; all if ``None``. NaN in a draw that has none of them.
            drawn: Whether the rows of ``values`` are random draws, ``[draws, pairs]``, which are resampled too.
        """
        if drawn:
            return self._over_draws(np.stack([self.means(of_draw, among) for of_draw in values], 1))
        by_pair = values.mean(0) if values.ndim == 2 else values
        counted = np.ones(len(self.unit)) if among is None else among.astype(float)
        return ratio(self._drawn(by_pair * counted), self._drawn(counted))

    def _over_draws(self, means: np.ndarray) -> np.ndarray:
        """The mean over random draws, these resampled too; of few draws NaN but for the plain mean.

        One draw less is taken than there are, which makes the variance of a mean of few right (McCarthy and Snowden,
        1985). All measures of as many draws take the same ones.

        Args:
            means: Of every random draw, ``[1 + resamples, draws]``.
        """
        n, over = means.shape[1], np.full(len(means), np.nan)
        over[0] = means[0].mean()
        if n >= LEAST_DRAWS:
            rng = numpy_generator(self.seed, "bootstrap", "random draws", n)
            taken = rng.multinomial(n - 1, np.full(n, 1 / n), len(means) - 1)
            over[1:] = (means[1:] * taken).sum(1) / (n - 1)
        return over

    def _drawn(self, of_pairs: np.ndarray) -> np.ndarray:
        """Sums over the pairs of every draw, ``[1 + resamples]``; some draws at a time, to keep memory small."""
        of_groups = np.bincount(self.unit, of_pairs, self.counts.shape[1])
        parts = np.array_split(self.counts, 1 + self.counts.size // PART)
        return np.concatenate([part @ of_groups for part in parts])


def summarise(
    outcome: Outcome,
    ld_clean: np.ndarray,
    bootstrap: Bootstrap,
    *,
    over: Mapping[str, np.ndarray] | None = None,
    under: Mapping[str, np.ndarray] | None = None,
    drawn: bool = False,
) -> dict[str, float]:
    """Every measure of a patch with its percentile bootstrap 95 % interval (``<measure>_lo``, ``<measure>_hi``).

    Args:
        outcome: What the patch did; of several seeds the mean is measured.
        ld_clean: LD of the base prompts without a patch, ``[pairs]``.
        bootstrap: The draws, of the same pairs.
        over: Ratios of effects to add, by name: this effect over that of another patch of the same pairs, which is
            given by its LD, ``[pairs]`` or ``[seeds, pairs]``.
        under: The same the other way round: the other patch's effect over this one.
        drawn: Whether the outcome's rows are random draws, which are resampled too, and not training seeds.
    """
    clean, patched = bootstrap.means(ld_clean), bootstrap.means(outcome.ld, drawn=drawn)
    effect = clean - patched
    values = dict(
        ld_clean=clean,
        accuracy_clean=bootstrap.means(ld_clean > 0),
        ld_patched=patched,
        effect=effect,
        fldd=ratio_by_draw(effect, clean),
        flip_rate=bootstrap.means(outcome.ld < 0, drawn=drawn),
        interchange_accuracy=bootstrap.means(outcome.top1_foil, drawn=drawn),
    )
    values |= {name: ratio_by_draw(effect, clean - bootstrap.means(ld)) for name, ld in (over or {}).items()}
    values |= {name: ratio_by_draw(clean - bootstrap.means(ld), effect) for name, ld in (under or {}).items()}
    row: dict[str, float] = {}
    for name, draws in values.items():
        row |= interval(name, draws)
    return row


def summaries(
    outcomes: Mapping[Any, Outcome],
    about: Callable[[Any], Mapping[str, object]],
    ld_clean: np.ndarray,
    bootstrap: Bootstrap,
    over: Mapping[str, np.ndarray] | None = None,
    drawn: Container[Any] = (),
) -> pd.DataFrame:
    """One row a patch of the same pairs: what it is, the number of ``pairs``, and its measures.

    Args:
        outcomes: What the patches did.
        about: Columns that tell a patch from the others, by its key.
        ld_clean: As for ``summarise``.
        bootstrap: Likewise.
        over: Likewise.
        drawn: The keys of the patches whose outcomes are over random draws.
    """
    rows: list[dict] = []
    for key, outcome in outcomes.items():
        measured = summarise(outcome, ld_clean, bootstrap, over=over, drawn=key in drawn)
        rows.append({**about(key), "pairs": len(ld_clean), **measured})
    return table(rows)


def interval(name: str, draws: np.ndarray) -> dict[str, float]:
    """A measure and its percentile bootstrap 95 % interval: ``<name>``, ``<name>_lo``, ``<name>_hi``.

    Args:
        name: The measure.
        draws: The plain figure, then that of every bootstrap draw, ``[1 + resamples]``. Where one is not finite, or all
            are the same, there is no interval, and both ends are NaN.
    """
    low = high = np.nan
    if np.isfinite(draws).all() and np.ptp(draws) > ROUNDING * max(1.0, abs(draws[0])):
        low, high = np.percentile(draws[1:], ENDS)
    return {name: float(draws[0]), f"{name}_lo": float(low), f"{name}_hi": float(high)}


def permutation_p(real: float, permuted: np.ndarray) -> float:
    """The share of permutations, the real order counted among them, that do at least as well."""
    return float((1 + (permuted >= real).sum()) / (1 + len(permuted)))


def p_in_words(p: float, permutations: int) -> str:
    """A permutation p, which cannot be smaller than the permutations allow: ``< 1/200`` where none did as well."""
    return f"< 1/{permutations}" if p <= 1 / permutations else f"{p:.3f}"


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, NaN where ``b`` is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, np.nan, a / b)


def ratio_by_draw(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b`` of two measures, the plain figure and that of every draw; NaN in all draws where ``b`` may be zero.

    Where the interval of ``b`` holds zero, draws of the ratio go to infinity on either side and say nothing of how well
    it is known: no interval of finite length covers it (Fieller, 1954; Gleser and Hwang, 1987).

    Args:
        a: ``[1 + resamples]``.
        b: Likewise.
    """
    found = ratio(a, b)
    if len(b) > 1:
        low, high = np.percentile(b[1:], ENDS)
        found[1:] = np.nan if low <= 0 <= high else found[1:]
    return found


def table(rows: list[dict]) -> pd.DataFrame:
    """Rows of results as one table, floats rounded to a millionth, so that a diff shows changes and not noise."""
    return pd.DataFrame(rows).round(6)
