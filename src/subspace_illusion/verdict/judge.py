"""Verdicts on the subspaces of a run (E13): faithful, illusory or inconclusive, by scores and never by names.

Each is called by the one rule, with thresholds that planted cases have set (E14). What is asked beyond that is of the
subspace's axes, and in what it is unlike the planted cases that the error rates are from.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from scipy.stats import false_discovery_control

from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey, axes_among
from subspace_illusion.verdict.calibration import MOVES, Calibration
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, Call, Reason, Thresholds, call
from subspace_illusion.verdict.score import Score
from subspace_illusion.verdict.sub_scores import LENT, OFF, named

LEAST_GROUPS = 5
"""Groups of held-out pairs below which nothing is called: an interval over them says next to nothing."""
FEW_GROUPS = 20
"""Groups below which an interval is rough, and a verdict gets a caution."""


class Caution(StrEnum):
    """In what a subspace is unlike the planted cases that the error rates are from."""

    FEW_GROUPS = "intervals over few groups"
    STRENGTHENS = "strengthens the answer"
    WEAKER = "weaker than planted cases"
    RESIDUAL_STREAM = "nothing planted in the residual stream"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one subspace.

    Attributes:
        verdict: ``faithful``, ``illusory`` or ``inconclusive``.
        reason: Why.
        cautions: What to bear in mind of a score that was asked.
        score: What it rests on.
        thresholds: Of a score of these sub-scores; ``None`` where too few apply.
        p_effect: That the effect is no larger than the smallest that is judged, corrected for the number of subspaces
            that are judged together. Neither p value decides.
        p_score: That the score is not beyond the threshold that it seems beyond, corrected likewise; 1 where it seems
            beyond none.
        illusory_axes: The axes that take a faithful verdict back, where the reason is that.
    """

    verdict: str
    reason: Reason
    cautions: tuple[Caution, ...]
    score: Score
    thresholds: Thresholds | None
    p_effect: float
    p_score: float
    illusory_axes: tuple[SubspaceKey, ...] = ()

    def sub_score(self, name: str) -> Estimate | None:
        """A sub-score, or ``score`` or ``fldd``, with its interval; ``None`` where it does not apply."""
        return self.score.estimate(name)


def judge(
    scores: Mapping[SubspaceKey, Score], calibration: Calibration, smallest_effect: float
) -> dict[SubspaceKey, Verdict]:
    """Judges subspaces, each by itself and by its axes.

    A subspace of several dimensions is judged as one and along each of its axes, and it is faithful only if none of the
    axes that have an effect is illusory.

    Args:
        scores: By subspace of a component, axes among them.
        calibration: What the planted cases say.
        smallest_effect: Share of the clean LD that an effect must exceed, in either direction.

    Returns:
        The verdicts in the order of the scores.
    """
    limits = {key: calibration.thresholds.get(named(score.sub_scores)) for key, score in scores.items()}
    p_effects = _corrected([_p_effect(score, smallest_effect) for score in scores.values()])
    p_scores = _corrected([_p_score(score, limits[key]) for key, score in scores.items()])
    single = {
        key: _verdict(score, limits[key], smallest_effect, float(p_effect), float(p_score))
        for (key, score), p_effect, p_score in zip(scores.items(), p_effects, p_scores, strict=True)
    }
    return {key: _along_axes(key, verdict, single) for key, verdict in single.items()}


def _verdict(
    score: Score, thresholds: Thresholds | None, smallest_effect: float, p_effect: float, p_score: float
) -> Verdict:
    """The verdict on one subspace by itself."""
    called = call(score.estimate("fldd"), score.estimate("score"), thresholds, smallest_effect)
    if score.groups < LEAST_GROUPS:  # whose draws are next to all there can be; no planted case has so few
        called = Call(INCONCLUSIVE, Reason.FEW_GROUPS)
    asked = called.reason in (Reason.BETWEEN, Reason.BEYOND)
    cautions = tuple(_cautions(score)) if asked else ()
    return Verdict(called.verdict, called.reason, cautions, score, thresholds, p_effect, p_score)


def _cautions(score: Score) -> Iterator[Caution]:
    """In what a subspace is unlike the planted cases from which the error rates are."""
    if score.groups < FEW_GROUPS:
        yield Caution.FEW_GROUPS
    if score.fldd[0] < 0:
        yield Caution.STRENGTHENS
    elif score.moved < MOVES:
        yield Caution.WEAKER
    if not {LENT, OFF} & set(score.sub_scores):
        yield Caution.RESIDUAL_STREAM


def _along_axes(key: SubspaceKey, verdict: Verdict, single: Mapping[SubspaceKey, Verdict]) -> Verdict:
    """A verdict, taken back where it is faithful and an axis of the subspace is illusory."""
    illusory = tuple(axis for axis in axes_among(key, single) if single[axis].verdict == ILLUSORY)
    if verdict.verdict == FAITHFUL and illusory:
        return replace(verdict, verdict=INCONCLUSIVE, reason=Reason.ILLUSORY_AXIS, illusory_axes=illusory)
    return verdict


def _p_effect(score: Score, smallest: float) -> float:
    """The share of draws in which the effect is no larger than the smallest, in the direction that it seems to have."""
    effect = score.fldd * np.sign(score.fldd[0])
    return _share(~(effect[1:] > smallest)) if effect[0] > smallest else 1.0


def _p_score(score: Score, thresholds: Thresholds | None) -> float:
    """The share of draws in which the score is not beyond the threshold that it seems beyond."""
    draws = score.draws
    if thresholds is None or np.isnan(draws[0]):
        return 1.0
    if draws[0] <= thresholds.faithful:
        return _share(~(draws[1:] <= thresholds.faithful))
    return _share(~(draws[1:] >= thresholds.illusory)) if draws[0] >= thresholds.illusory else 1.0


def _share(against: np.ndarray) -> float:
    """The share of draws that speak against, one more counted among them, so that it is never zero."""
    return float((1 + against.sum()) / (1 + len(against)))


def _corrected(p: Iterable[float]) -> np.ndarray:
    """Benjamini and Hochberg's correction."""
    return false_discovery_control(np.array(list(p), dtype=float))
