"""The one rule (E13): what a subspace is called, by the intervals of its effect and of its score and by nothing else.

Planted cases, natural ones and users' subspaces are all called by ``call``. The error rates are those of the planted
cases: one direction, in the model and the tasks of the calibration. For users' verdicts on anything else they are a
transfer that was not measured. The rule takes what all cases have, a figure and its 95 % interval over groups, and one
case at a time: a verdict does not depend on what else is judged beside it. p values corrected for that number stand
beside users' verdicts (see ``judge``) and decide nothing, for no error rate was measured with them.
"""

from dataclasses import dataclass
from enum import StrEnum

from subspace_illusion.statistics import Estimate

FAITHFUL, ILLUSORY, INCONCLUSIVE = "faithful", "illusory", "inconclusive"
CALLS = (FAITHFUL, INCONCLUSIVE, ILLUSORY)

SMALLEST_EFFECT = 0.1
"""The share of the clean LD below which no effect is judged, unless the parameters say otherwise."""


@dataclass(frozen=True)
class Thresholds:
    """Where the score speaks: ``faithful`` up to the one, ``illusory`` from the other on."""

    faithful: float
    illusory: float


class Reason(StrEnum):
    """Why a subspace is called what it is called."""

    FEW_GROUPS = "too few groups"
    SMALL_EFFECT = "effect too small"
    FEW_SUB_SCORES = "too few sub-scores"
    BETWEEN = "between the thresholds"
    BEYOND = "beyond a threshold"
    ILLUSORY_AXIS = "an axis is illusory"


@dataclass(frozen=True)
class Call:
    """What a subspace is called by itself: one of ``CALLS``, and why."""

    verdict: str
    reason: Reason


def call(
    effect: Estimate | None, score: Estimate | None, thresholds: Thresholds | None, smallest_effect: float
) -> Call:
    """What a subspace with this effect and this score is called.

    It is called faithful or illusory where the whole interval of the effect is beyond the smallest, in either
    direction, and the score and the whole of its interval are beyond a threshold. A figure that no resampling can move
    stands for its own interval.

    Args:
        effect: As a share of the clean LD; ``None`` where it has none.
        score: The illusion score; ``None`` where too few sub-scores apply.
        thresholds: Those of a score of these sub-scores; ``None`` likewise.
        smallest_effect: Share of the clean LD that the effect must exceed.
    """
    if effect is None or not is_large(effect, smallest_effect):
        return Call(INCONCLUSIVE, Reason.SMALL_EFFECT)
    if score is None or thresholds is None:
        return Call(INCONCLUSIVE, Reason.FEW_SUB_SCORES)
    low, high = ends(score)
    if high <= thresholds.faithful:
        return Call(FAITHFUL, Reason.BEYOND)
    if low >= thresholds.illusory:
        return Call(ILLUSORY, Reason.BEYOND)
    return Call(INCONCLUSIVE, Reason.BETWEEN)


def is_large(effect: Estimate, smallest_effect: float) -> bool:
    """Whether the whole interval of an effect is beyond the smallest, in either direction."""
    low, high = ends(effect)
    return low > smallest_effect or high < -smallest_effect


def ends(estimate: Estimate) -> tuple[float, float]:
    """The ends of an interval, which the figure itself widens where it lies outside; it stands for its own where it has
    none."""
    given = [estimate.value, *(end for end in (estimate.low, estimate.high) if end is not None)]
    return min(given), max(given)
