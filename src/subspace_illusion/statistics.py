"""Measures: what a patch does to the answer, with bootstrap intervals. The one place where an effect is computed."""

from collections.abc import Mapping
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

POOLED = "pooled"
"""The seed of a row that pools all training seeds."""


@dataclass(frozen=True)
class Estimate:
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, row: Mapping[str, Any], name: str) -> "Estimate | None":
        """The measure of this name in a row of a table; ``None`` if the row has no figure with an interval for it."""
        ends = [row.get(f"{name}{end}") for end in ("", "_lo", "_hi")]
        return None if any(end is None or pd.isna(end) for end in ends) else cls(*map(float, ends))  # type: ignore[arg-type]

    def complement(self) -> "Estimate":
        """One minus the figure."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low)


def summarise(
    outcome: Outcome,
    ld_clean: np.ndarray,
    *,
    over: Mapping[str, np.ndarray] | None = None,
    under: Mapping[str, np.ndarray] | None = None,
    resamples: int,
    seed: int,
) -> dict[str, float]:
    """Every measure of a patch with its percentile bootstrap 95 % interval (``<measure>_lo``, ``<measure>_hi``).

    Pairs are resampled, and seeds too where there are several. One draw serves all measures, so ratios are paired. Each
    patch gets the same draws, so differences between patches are not blurred by the resampling.

    Args:
        outcome: What the patch did.
        ld_clean: LD of the base prompts without a patch, ``[pairs]``.
        over: Ratios of effects to add, by name: this effect over that of another patch, which is given by its LD,
            ``[pairs]`` or ``[seeds, pairs]``.
        under: The same the other way round: the other patch's effect over this one.
        resamples: Number of bootstrap draws.
        seed: Seed of the draws.

    Raises:
        InputError: If there are no pairs.
    """
    seeds, pairs = outcome.ld.shape
    if pairs == 0:
        raise InputError("there are no pairs to measure")
    weights = resampled(pairs, resamples, seed, "pairs")
    seed_weights = resampled(seeds, resamples, seed, "seeds")

    def means(values: np.ndarray) -> np.ndarray:
        """The plain mean, then the mean of every draw, ``[1 + resamples]``."""
        draws = ((seed_weights @ np.broadcast_to(values, (seeds, pairs))) * weights).sum(1)
        return np.concatenate([[values.mean()], draws])

    clean, patched = means(ld_clean), means(outcome.ld)
    effect = clean - patched
    values = dict(
        ld_clean=clean,
        accuracy_clean=means(ld_clean > 0),
        ld_patched=patched,
        effect=effect,
        fldd=ratio(effect, clean),
        flip_rate=means(outcome.ld < 0),
        interchange_accuracy=means(outcome.top1_s),
    )
    values |= {name: ratio(effect, clean - means(ld)) for name, ld in (over or {}).items()}
    values |= {name: ratio(clean - means(ld), effect) for name, ld in (under or {}).items()}
    row: dict[str, float] = {}
    for name, draws in values.items():
        row |= interval(name, draws)
    return row


def interval(name: str, draws: np.ndarray) -> dict[str, float]:
    """A measure and its percentile bootstrap 95 % interval: ``<name>``, ``<name>_lo``, ``<name>_hi``.

    Args:
        name: The measure.
        draws: The plain figure, then that of every bootstrap draw, ``[1 + resamples]``. Where one is not finite there
            is no interval, and both ends are NaN.
    """
    low, high = np.percentile(draws[1:], [2.5, 97.5]) if np.isfinite(draws).all() else (np.nan, np.nan)
    return {name: float(draws[0]), f"{name}_lo": float(low), f"{name}_hi": float(high)}


def resampled(n: int, resamples: int, seed: int, what: str) -> np.ndarray:
    """Weights of ``n`` things in every bootstrap draw, ``[resamples, n]``, each row summing to one."""
    rng = numpy_generator(seed, "bootstrap", what, n)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a / b``, NaN where ``b`` is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, np.nan, a / b)


def table(rows: list[dict]) -> pd.DataFrame:
    """Rows of results as one table, floats rounded to a millionth, so that a diff shows changes and not noise."""
    return pd.DataFrame(rows).round(6)
