"""The one rule (E13): what a subspace is called, by the interval of its effect and that of its mediated share, and by
nothing else, one subspace at a time. Planted cases are called by the same limits, but by their effects themselves, for
they have no interval over groups.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from subspace_illusion.statistics import Estimate

FAITHFUL, ILLUSORY, INCONCLUSIVE = "faithful", "illusory", "inconclusive"
CALLS = (FAITHFUL, INCONCLUSIVE, ILLUSORY)

SMALLEST_EFFECT = 0.1
"""The share of the clean LD below which no effect is judged, unless the parameters say otherwise."""

STANDARD_ERRORS = 2
"""Of the noise, within which an effect may be nothing else."""


@dataclass(frozen=True)
class Limits:
    """Where the mediated share speaks: ``illusory`` where the whole interval is up to the one, ``faithful`` where it is
    from the other on."""

    illusory_up_to: float = 0.5
    faithful_from: float = 0.5


LIMITS = Limits()
"""Those that are taken unless the parameters say otherwise."""


class Reason(StrEnum):
    """Why a subspace is called what it is called."""

    FEW_GROUPS = "too few groups"
    SMALL_EFFECT = "effect too small"
    IN_NOISE = "effect within the noise of the model's dtype"
    LITTLE_PLANTED = "too little planted in such places"
    ACROSS = "the interval lies on both sides"
    BEYOND = "the whole interval lies on one side"
    ILLUSORY_AXIS = "an axis is illusory"


@dataclass(frozen=True)
class Call:
    """What a subspace is called by itself: one of ``CALLS``, and why."""

    verdict: str
    reason: Reason


def call(
    effect: Estimate | None, share: Estimate | None, smallest_effect: float, limits: Limits, noise: float = 0.0
) -> Call:
    """What a subspace with this effect and this mediated share is called.

    Args:
        effect: As a share of the clean LD; ``None`` where it has none.
        share: The estimate of the mediated share in its prediction interval; ``None`` where no planted case tells.
        smallest_effect: Share of the clean LD that the whole interval of the effect must exceed, in either direction.
        limits: Where the share speaks.
        noise: By how much the model's rounding moves an effect, a standard error.
    """
    if effect is None or not is_large(effect, smallest_effect):
        in_noise = effect is not None and abs(effect.value) < STANDARD_ERRORS * noise
        return Call(INCONCLUSIVE, Reason.IN_NOISE if in_noise else Reason.SMALL_EFFECT)
    if share is None:
        return Call(INCONCLUSIVE, Reason.LITTLE_PLANTED)
    verdict = word(*ends(share), limits)
    return Call(verdict, Reason.ACROSS if verdict == INCONCLUSIVE else Reason.BEYOND)


def called(low: np.ndarray, high: np.ndarray, limits: Limits) -> np.ndarray:
    """What intervals of the mediated share are called, by their ends, of any shape."""
    faithful, illusory = low >= limits.faithful_from, high <= limits.illusory_up_to
    return np.where(faithful, FAITHFUL, np.where(illusory, ILLUSORY, INCONCLUSIVE))


def word(low: float, high: float, limits: Limits) -> str:
    """What one interval of the mediated share is called."""
    return str(called(np.array(low), np.array(high), limits))


def is_large(effect: Estimate, smallest_effect: float) -> bool:
    """Whether the whole interval of an effect is beyond the smallest, in either direction."""
    low, high = ends(effect)
    return low > smallest_effect or high < -smallest_effect


def ends(estimate: Estimate) -> tuple[float, float]:
    """The ends of an interval, which the figure itself widens where it lies outside; it stands for its own where it has
    none."""
    given = [estimate.value, *(end for end in (estimate.low, estimate.high) if end is not None)]
    return min(given), max(given)
