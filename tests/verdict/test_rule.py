"""The one rule, and that users are judged by it as planted cases are."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.calibration import calls
from subspace_illusion.verdict.judge import judge
from subspace_illusion.verdict.rule import CALLS, FAITHFUL, ILLUSORY, INCONCLUSIVE, Call, Reason, Thresholds, call
from subspace_illusion.verdict.score import Score
from subspace_illusion.verdict.sub_scores import SUB_SCORES

LIMITS = Thresholds(0.3, 0.4)
LARGE = Estimate(0.5, 0.4, 0.6)


@pytest.mark.parametrize(
    ("score", "verdict", "reason"),
    [
        (Estimate(0.2, 0.1, 0.3), FAITHFUL, Reason.BEYOND),
        (Estimate(0.2, 0.1, 0.31), INCONCLUSIVE, Reason.BETWEEN),
        (Estimate(0.35), INCONCLUSIVE, Reason.BETWEEN),
        (Estimate(0.45, 0.39, 0.5), INCONCLUSIVE, Reason.BETWEEN),
        (Estimate(0.45, 0.4, 0.5), ILLUSORY, Reason.BEYOND),
        (Estimate(0.1), FAITHFUL, Reason.BEYOND),  # a figure that no resampling moves stands for itself
        (Estimate(0.31, 0.1, 0.3), INCONCLUSIVE, Reason.BETWEEN),  # and one outside its interval widens it
        (None, INCONCLUSIVE, Reason.FEW_SUB_SCORES),
    ],
)
def test_a_call_needs_the_whole_interval_of_the_score(score, verdict, reason):
    assert call(LARGE, score, LIMITS, 0.1) == Call(verdict, reason)


@pytest.mark.parametrize(
    ("effect", "asked"),
    [
        (Estimate(0.2, 0.11, 0.3), True),
        (Estimate(0.2, 0.1, 0.3), False),
        (Estimate(-0.2, -0.3, -0.11), True),
        (Estimate(-0.2, -0.3, -0.09), False),
        (Estimate(0.2, -0.3, 0.3), False),
        (Estimate(0.2), True),
        (None, False),
    ],
)
def test_a_call_needs_the_whole_interval_of_the_effect_in_either_direction(effect, asked):
    found = call(effect, Estimate(0.1, 0.05, 0.15), LIMITS, 0.1)
    assert found == (Call(FAITHFUL, Reason.BEYOND) if asked else Call(INCONCLUSIVE, Reason.SMALL_EFFECT))


def test_without_thresholds_there_is_no_call():
    assert call(LARGE, Estimate(0.1), None, 0.1) == Call(INCONCLUSIVE, Reason.FEW_SUB_SCORES)


SHARES = st.floats(0, 1)


@st.composite
def scores(draw: st.DrawFn) -> Score:
    """A score of any sub-scores, of draws of any spread, around the thresholds and the smallest effect as well."""
    names = draw(st.lists(st.sampled_from(list(SUB_SCORES)), unique=True))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    spread = draw(st.sampled_from([0.0, 0.01, 0.1]))
    near = st.one_of(SHARES, st.floats(0.25, 0.45))
    effect = draw(st.one_of(st.floats(-2, 2), st.floats(0.05, 0.2)))
    sub_scores = {name: np.clip(draw(near) + spread * rng.normal(size=41), 0, 1) for name in names}
    return Score(effect + spread * rng.normal(size=41), sub_scores, draw(st.floats(-1, 1)), 20)


def keyed(found: list[Score]) -> dict[SubspaceKey, Score]:
    return {SubspaceKey.user(f"s{number}", "mlp8"): score for number, score in enumerate(found)}


@given(st.lists(scores(), min_size=1, max_size=6), st.floats(0, 0.3))
def test_users_are_judged_as_planted_cases_are_called(found, smallest_effect):
    """The same scores in, by draws for the one and by a table's row for the other: the same calls out."""
    calibration = made.calibration()
    verdicts = judge(keyed(found), calibration, smallest_effect)
    table = pd.DataFrame([score.row() for score in found])
    called = calls(table, calibration.thresholds, smallest_effect)
    assert [verdict.verdict for verdict in verdicts.values()] == called.tolist()
    assert set(called) <= set(CALLS)


@given(st.lists(scores(), min_size=2, max_size=6))
def test_what_is_judged_beside_a_subspace_changes_nothing(found):
    together = judge(keyed(found), made.calibration(), 0.1)
    for key, score in zip(together, found, strict=True):
        alone = judge({key: score}, made.calibration(), 0.1)[key]
        assert (alone.verdict, alone.reason) == (together[key].verdict, together[key].reason)
