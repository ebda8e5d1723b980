"""The verdict, on linear models whose truth is known by design and on scores made by hand.

A linear model of the residual stream: LD = r . reader, where r = skip + h W. The component is h, W its readout, and the
variable x = +-1 is carried by the skip connection, by h, or by both. Everything is measured by the functions that
measure the real models.
"""

import numpy as np
import pytest
import torch

import made
from subspace_illusion.core.basis import orthonormal, patch_change, row_space, split
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.judge import Caution, judge
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, Reason
from subspace_illusion.verdict.score import Score, of_activations, score_of

CALIBRATION = made.calibration()


def trained(component: str) -> SubspaceKey:
    return SubspaceKey(TRAINED, component=component)


def score_on(
    carried: torch.Tensor, readout: torch.Tensor, direction: torch.Tensor, skip: float, n: int = 400, noise: float = 0.1
) -> Score:
    """The score of one direction of the component of a linear model.

    Args:
        carried: What x = 1 adds to the hidden activations, ``[d]``.
        readout: What the hidden activations add to the one residual dimension that is read, ``[d]``.
        direction: The direction that is judged, ``[d]``.
        skip: What x adds to it past the component.
        n: Pairs.
        noise: Spread of the hidden activations over prompts.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.where(torch.arange(n) % 2 == 0, 1.0, -1.0)[:, None]
    base, source = (sign * x * carried + noise * torch.randn(n, len(carried), generator=generator) for sign in (1, -1))
    basis, w = orthonormal(direction[:, None]), readout[:, None]
    clean = (x * (skip * x + base @ w)).squeeze(1)  # the model answers with the sign of x

    def ld(along: torch.Tensor | None) -> np.ndarray:
        return (clean + (x * (patch_change(base, source, along) @ w)).squeeze(1)).double().numpy()

    bootstrap = Bootstrap.of(range(n), 200, 0)
    row = split(basis, w, 1e-5).row
    values = tuple((sign * x.squeeze(1) > 0).long() for sign in (1, -1))
    more = of_activations(base, source, values, [basis], w, row_space(w, 1e-5), bootstrap)
    ld_clean = clean.double().numpy()
    return score_of(ld_clean, ld(basis), ld(None), ld_clean if row is None else ld(row), -ld_clean, bootstrap, more)


def verdict_on(*model: torch.Tensor, **more: float):
    return judge({trained("mlp"): score_on(*model, **more)}, CALIBRATION, 0.1)[trained("mlp")]


E1, E2, E3 = torch.eye(3)


def test_the_posts_illusion_is_illusory():
    """e2 knows x and is not read, e3 is read and does not know x; x reaches the answer past the component."""
    found = verdict_on(E2, 2 * E3, E2 + E3, skip=1.0)
    assert found.verdict == ILLUSORY
    sub_scores = {name: draws[0] for name, draws in found.score.sub_scores.items()}
    # Of (e2 + e3) / sqrt 2 all that is read of x is read along e2, and a component that writes no x moves nothing.
    assert sub_scores["lent"] == pytest.approx(1, abs=0.02)
    assert sub_scores["lost"] == pytest.approx(1, abs=0.02)
    assert sub_scores["apart"] == pytest.approx(1, abs=0.02)
    assert sub_scores["off"] > 0.3


def test_a_component_that_is_truly_in_the_circuit_is_faithful():
    found = verdict_on(E1, E1 + 0.1 * E2, E1, skip=0.5)
    assert found.verdict == FAITHFUL
    assert found.score.draws[0] < 0.05


def test_the_correct_direction_beside_an_irrelevant_one_is_faithful():
    """The whole component does what the direction does: the irrelevant unit adds nothing."""
    assert verdict_on(E1 + E2, E1 + 2 * E3, E1, skip=0.0).verdict == FAITHFUL


def test_the_verdict_is_relative_to_the_component_as_the_unit():
    """The post's appendix: with e1, e2 and e3 in one unit, e2 + e3 does what the unit does.

    Its row part lends from its null part all the same, which is why the score is not near zero.
    """
    found = score_on(E1 + E2, E1 + 2 * E3, E2 + E3, skip=0.0)
    assert found.sub_scores["apart"][0] < 0.1
    assert found.sub_scores["lent"][0] > 0.5


@pytest.mark.parametrize(("genuine", "expected"), [(0.95, FAITHFUL), (0.1, ILLUSORY)])
def test_a_mixture_with_known_weights(genuine, expected):
    """Two units: one is read and knows x with weight g = ``genuine``, the other is not read and knows it in full.

    Patching (1, 1 - g) moves the output by 2 / (1 + (1 - g)^2), its row part by 2 g: what is lost without the null part
    is 1 - g (1 + (1 - g)^2), and the whole component does g of it.
    """
    e1, e2 = torch.eye(2)
    found = verdict_on(genuine * e1 + e2, 2 * e1, e1 + (1 - genuine) * e2, skip=1.0)
    assert found.verdict == expected
    assert found.score.sub_scores["lost"][0] == pytest.approx(1 - genuine * (1 + (1 - genuine) ** 2), abs=0.03)
    assert found.score.sub_scores["apart"][0] == pytest.approx(1 - genuine * (1 + (1 - genuine) ** 2), abs=0.03)


def test_the_score_falls_as_more_of_the_variable_is_carried():
    e1, e2 = torch.eye(2)
    scores = [score_on(g * e1 + e2, 2 * e1, e1 + (1 - g) * e2, skip=1.0).draws[0] for g in (0.1, 0.3, 0.6, 0.95)]
    assert scores == sorted(scores, reverse=True)


def test_pure_noise_is_inconclusive():
    generator = torch.Generator().manual_seed(1)
    direction, readout = torch.randn(2, 8, generator=generator)
    found = verdict_on(torch.zeros(8), readout, direction, skip=1.0)
    assert (found.verdict, found.reason) == (INCONCLUSIVE, Reason.SMALL_EFFECT)


def test_a_direction_that_strengthens_the_answer_is_judged_like_any_other():
    """The component works against the skip connection, and the direction does as much of that as the component."""
    found = verdict_on(-0.5 * E1, E1, E1, skip=1.5)
    assert found.score.fldd[0] < -0.1
    assert found.verdict == FAITHFUL


def test_verdicts_made_by_hand():
    found = made.verdicts()
    assert {which: verdict.verdict for which, verdict in found.items()} == {
        trained(made.V_TRUE): FAITHFUL,
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_TRUE): INCONCLUSIVE,
        trained(made.V_MLP): ILLUSORY,
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_MLP): FAITHFUL,
    }
    assert {which: (verdict.reason, verdict.cautions) for which, verdict in found.items()} == {
        trained(made.V_TRUE): (Reason.BEYOND, (Caution.RESIDUAL_STREAM,)),
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_TRUE): (Reason.FEW_SUB_SCORES, ()),
        trained(made.V_MLP): (Reason.BEYOND, ()),
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_MLP): (Reason.BEYOND, (Caution.STRENGTHENS,)),
    }


@pytest.mark.parametrize("value", [0.29, 0.35, 0.41])
def test_a_score_too_near_a_threshold_is_inconclusive(value):
    score = made.score(lent=value, lost=value, apart=value, off=value, half=0.05)
    found = judge({trained("mlp8"): score}, CALIBRATION, 0.1)[trained("mlp8")]
    assert (found.verdict, found.reason) == (INCONCLUSIVE, Reason.BETWEEN)


def test_a_verdict_does_not_depend_on_what_is_judged_beside_it_and_its_p_values_do():
    """Three draws of 201 lie beyond the threshold: little for one, and much among many that say nothing."""
    spread = np.concatenate([[0.0], np.zeros(198), [0.2] * 3])
    near = Score(np.full(202, 0.5), dict.fromkeys(("lent", "lost", "apart", "off"), 0.25 + spread), 0.5, 20)
    unclear = made.score(lent=0.35, lost=0.35, apart=0.35, off=0.35)
    alone = judge({trained("a"): near}, CALIBRATION, 0.1)[trained("a")]
    among = judge({trained("a"): near} | {trained(str(i)): unclear for i in range(20)}, CALIBRATION, 0.1)
    assert alone.verdict == among[trained("a")].verdict == FAITHFUL
    assert alone.p_score == pytest.approx(4 / 202)
    assert among[trained("a")].p_score == pytest.approx(21 * 4 / 202)


def test_a_subspace_is_faithful_only_if_none_of_its_axes_is_illusory():
    good, bad = (dict.fromkeys(("lent", "lost", "apart", "off"), value) for value in (0.1, 0.7))
    mine = SubspaceKey.user("mine", "mlp8")
    scores = {mine: made.score(**good), mine.of_axis(1): made.score(**good)}
    scores[mine.of_axis(2)] = made.score(**bad)
    found = judge(scores, CALIBRATION, 0.1)
    whole = found[mine]
    assert (whole.verdict, whole.reason, whole.illusory_axes) == (
        INCONCLUSIVE,
        Reason.ILLUSORY_AXIS,
        (mine.of_axis(2),),
    )
    scores[mine.of_axis(2)] = made.score(fldd=0.01, **bad)  # an axis that does nothing says nothing
    assert judge(scores, CALIBRATION, 0.1)[mine].verdict == FAITHFUL


def test_a_direction_weaker_than_what_was_calibrated_says_so():
    found = judge({trained("a"): made.score(0.2, lent=0.7, lost=0.7)}, CALIBRATION, 0.1)[trained("a")]
    assert found.verdict == ILLUSORY
    assert found.cautions == (Caution.WEAKER,)
