"""The one rule."""

import pytest

from subspace_illusion.statistics import Estimate
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, Call, Limits, Reason, call

LARGE = Estimate(0.5, 0.4, 0.6)


@pytest.mark.parametrize(
    ("share", "verdict", "reason"),
    [
        (Estimate(0.8, 0.5, 1.0), FAITHFUL, Reason.BEYOND),
        (Estimate(0.8, 0.49, 1.0), INCONCLUSIVE, Reason.ACROSS),
        (Estimate(0.1, 0.0, 0.5), ILLUSORY, Reason.BEYOND),
        (Estimate(0.1, 0.0, 0.51), INCONCLUSIVE, Reason.ACROSS),
        (Estimate(0.45, 0.5, 0.6), INCONCLUSIVE, Reason.ACROSS),  # a figure outside its interval widens it
        (None, INCONCLUSIVE, Reason.LITTLE_PLANTED),
    ],
)
def test_a_call_needs_the_whole_interval_of_the_share(share, verdict, reason):
    assert call(LARGE, share, 0.1, LIMITS) == Call(verdict, reason)


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
    found = call(effect, Estimate(0.9, 0.8, 1.0), 0.1, LIMITS)
    assert found == (Call(FAITHFUL, Reason.BEYOND) if asked else Call(INCONCLUSIVE, Reason.SMALL_EFFECT))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.3, ILLUSORY), (0.1, 0.4, INCONCLUSIVE), (0.6, 0.9, INCONCLUSIVE), (0.7, 0.9, FAITHFUL)],
)
def test_limits_may_lie_apart(low, high, verdict):
    assert call(LARGE, Estimate((low + high) / 2, low, high), 0.1, Limits(0.3, 0.7)).verdict == verdict


@pytest.mark.parametrize(
    ("noise", "reason"), [(0.0, Reason.SMALL_EFFECT), (0.02, Reason.SMALL_EFFECT), (0.03, Reason.IN_NOISE)]
)
def test_an_effect_within_two_standard_errors_of_the_noise_is_called_so(noise, reason):
    assert call(Estimate(-0.05, -0.2, 0.1), None, 0.1, LIMITS, noise) == Call(INCONCLUSIVE, reason)
    assert call(LARGE, Estimate(0.8, 0.5, 1.0), 0.1, LIMITS, noise).verdict == FAITHFUL
