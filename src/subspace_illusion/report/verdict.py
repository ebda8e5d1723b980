"""The verdict on a subspace (E13): faithful, illusory or inconclusive, by its score and never by its name.

The thresholds of the score are those that planted cases have set (E14). A subspace is called one or the other where the
score's draws say so at the level ``ALPHA``, corrected for the number of subspaces that are judged together.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from subspace_illusion.report.words import fixed
from subspace_illusion.statistics import Estimate, interval
from subspace_illusion.subspace.methods import axes_among
from subspace_illusion.verdict.calibration import FAITHFUL, ILLUSORY, INCONCLUSIVE, MOVES, Calibration, Thresholds
from subspace_illusion.verdict.score import Score
from subspace_illusion.verdict.sub_scores import FIGURES, LENT, NEEDED, OFF, named

ALPHA = 0.025
"""The level of a verdict, one-sided: for a single subspace, that the whole 95 % interval lies beyond the threshold."""

SMALLEST_EFFECT = 0.1
"""The share of the clean LD below which no effect is judged, unless the parameters say otherwise."""

CAUTION = "; "
"""Behind it a verdict's reason says in what a subspace is unlike the planted cases that the error rates are from."""

Which = tuple[str, str]
"""A component and a method of it."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one subspace.

    Attributes:
        verdict: ``faithful``, ``illusory`` or ``inconclusive``.
        reason: Why, in words.
        score: What it rests on.
        thresholds: Of a score of these figures; ``None`` where too few figures apply.
        p_effect: That the effect is no larger than the smallest that is judged, corrected for the number of subspaces.
        p_score: That the score is not beyond the threshold that it seems beyond, corrected likewise; 1 where it seems
            beyond none.
    """

    verdict: str
    reason: str
    score: Score
    thresholds: Thresholds | None
    p_effect: float
    p_score: float

    def figure(self, name: str) -> Estimate | None:
        """A figure of the score, or ``score`` or ``fldd``, with its interval; ``None`` where it does not apply."""
        draws = dict(fldd=self.score.fldd, score=self.score.draws) | dict(self.score.figures)
        return Estimate.of(interval(name, draws[name]), name) if name in draws else None


def judge(scores: Mapping[Which, Score], calibration: Calibration, smallest_effect: float) -> dict[Which, Verdict]:
    """Judges subspaces together.

    A subspace of several dimensions is judged as one and along each of its axes, and it is faithful only if none of the
    axes that have an effect is illusory.

    Args:
        scores: By component and method, axes among them.
        calibration: What the planted cases say.
        smallest_effect: Share of the clean LD that an effect must exceed, in either direction.

    Returns:
        The verdicts in the order of the scores.
    """
    limits = {which: calibration.thresholds.get(named(score.figures)) for which, score in scores.items()}
    of_effect = _corrected([_p_effect(score, smallest_effect) for score in scores.values()])
    of_score = _corrected([_p_score(score, limits[which]) for which, score in scores.items()])
    single = {
        which: _verdict(score, limits[which], float(effect), float(beyond))
        for (which, score), effect, beyond in zip(scores.items(), of_effect, of_score, strict=True)
    }
    return {which: _along_axes(which, verdict, single) for which, verdict in single.items()}


def _p_effect(score: Score, smallest: float) -> float:
    """The share of draws in which the effect is no larger than the smallest, in the direction that it seems to have."""
    effect = score.fldd * np.sign(score.fldd[0])
    return _share(~(effect[1:] > smallest)) if effect[0] > smallest else 1.0


def _p_score(score: Score, limits: Thresholds | None) -> float:
    """The share of draws in which the score is not beyond the threshold that it seems beyond."""
    draws = score.draws
    if limits is None or np.isnan(draws[0]):
        return 1.0
    if draws[0] <= limits.faithful:
        return _share(~(draws[1:] <= limits.faithful))
    return _share(~(draws[1:] >= limits.illusory)) if draws[0] >= limits.illusory else 1.0


def _share(against: np.ndarray) -> float:
    """The share of draws that speak against, one more counted among them, so that it is never zero."""
    return float((1 + against.sum()) / (1 + len(against)))


def _corrected(p: Iterable[float]) -> np.ndarray:
    """Benjamini and Hochberg's correction."""
    return false_discovery_control(np.array(list(p), dtype=float))


def _verdict(score: Score, limits: Thresholds | None, p_effect: float, p_score: float) -> Verdict:
    """The verdict on one subspace by itself."""

    def of(verdict: str, reason: str) -> Verdict:
        return Verdict(verdict, reason, score, limits, p_effect, p_score)

    if p_effect > ALPHA:
        return of(INCONCLUSIVE, "the effect is too small to ask what it is made of")
    if limits is None:
        return of(INCONCLUSIVE, f"fewer than {NEEDED} figures of the score apply")
    weak = "".join(CAUTION + caution for caution in _cautions(score))
    value, of_figures = fixed(score.draws[0]), f"of {' and '.join(score.figures)}" if len(score.figures) < 4 else ""
    said = f"score {value} {of_figures}".strip()
    zones = f"faithful up to {fixed(limits.faithful)}, illusory from {fixed(limits.illusory)}"
    if p_score > ALPHA:
        return of(INCONCLUSIVE, f"{said}, between the thresholds or too near one: {zones}{weak}")
    if score.draws[0] <= limits.faithful:
        return of(FAITHFUL, f"{said}, faithful up to {fixed(limits.faithful)}{weak}")
    return of(ILLUSORY, f"{said}, illusory from {fixed(limits.illusory)}{weak}")


def _cautions(score: Score) -> Iterator[str]:
    """In what a subspace is unlike the planted cases from which the error rates are."""
    if score.fldd[0] < 0:
        yield "it strengthens the answer, which no planted case does"
    elif score.moved < MOVES:
        yield "weaker than the planted cases that count"
    if not {LENT, OFF} & set(score.figures):
        yield "in the residual stream, where no case was planted"


def _along_axes(which: Which, verdict: Verdict, all_of: Mapping[Which, Verdict]) -> Verdict:
    """A verdict, taken back where it is faithful and an axis of the subspace is illusory."""
    component, method = which
    axes = axes_among(method, [other for of, other in all_of if of == component])
    illusory = [axis for axis in axes if all_of[component, axis].verdict == ILLUSORY]
    if verdict.verdict == FAITHFUL and illusory:
        words = "; ".join(f"{axis} is illusory" for axis in illusory)
        return replace(verdict, verdict=INCONCLUSIVE, reason=words)
    return verdict


def verdict_table(verdicts: Mapping[Which, Verdict]) -> pd.DataFrame:
    """One row a component and subspace: the verdict, the score with its figures, the thresholds and the p values."""
    rows = []
    for (component, method), verdict in verdicts.items():
        limits = verdict.thresholds
        about = dict(component=component, subspace=method, verdict=verdict.verdict, reason=verdict.reason)
        zones = dict(
            faithful_up_to=np.nan if limits is None else limits.faithful,
            illusory_from=np.nan if limits is None else limits.illusory,
        )
        rows.append(about | verdict.score.row() | zones | dict(p_effect=verdict.p_effect, p_score=verdict.p_score))
    columns = ["component", "subspace", "verdict", "reason", "figures"]
    of_figures = [f"{name}{end}" for name in ("fldd", "score", *FIGURES) for end in ("", "_lo", "_hi")]
    return pd.DataFrame(rows).round(6)[
        [*columns, *of_figures, "moved", "faithful_up_to", "illusory_from", "p_effect", "p_score"]
    ]
