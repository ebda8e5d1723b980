"""Figures with intervals: what is resampled, and what is left without an interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion import statistics as module
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import (
    MEASURES,
    Bootstrap,
    Estimate,
    interval,
    p_in_words,
    permutation_p,
    ratio,
    ratio_by_draw,
    summarise,
    table,
)


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < -1)


def singles(n: int, resamples: int = 300, seed: int = 0) -> Bootstrap:
    """Draws of pairs that share nothing."""
    return Bootstrap.of(range(n), resamples, seed)


def width(row: dict[str, float], name: str) -> float:
    return row[f"{name}_hi"] - row[f"{name}_lo"]


def test_every_measure_by_hand():
    clean, residual = np.array([4.0, 2.0, 4.0, 2.0]), np.array([-2.0, 0.0, -2.0, 0.0])
    row_part = outcome(3.5, 1.5, 3.6, 1.4).ld
    row = summarise(
        outcome(-2, 1, -2, 1),
        clean,
        singles(4),
        over=dict(share_of_residual=residual, effect_over_row_part=row_part),
        under=dict(row_share=row_part),
    )
    assert row["ld_clean"] == 3
    assert row["accuracy_clean"] == 1
    assert row["ld_patched"] == -0.5
    assert row["effect"] == 3.5
    assert row["fldd"] == pytest.approx(3.5 / 3)
    assert row["share_of_residual"] == pytest.approx(3.5 / 4)
    assert row["flip_rate"] == 0.5
    assert row["interchange_accuracy"] == 0.5
    assert row["effect_over_row_part"] == pytest.approx(7)
    assert row["row_share"] == pytest.approx(1 / 7)
    measures = [*MEASURES, "share_of_residual", "effect_over_row_part", "row_share"]
    assert list(row) == [f"{name}{end}" for name in measures for end in ("", "_lo", "_hi")]
    for name in set(measures) - {"accuracy_clean"}:
        assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
    assert row["effect_lo"] < 3.5 < row["effect_hi"]
    assert np.isnan([row["accuracy_clean_lo"], row["accuracy_clean_hi"]]).all()  # right in every pair of every draw


def test_a_patch_that_does_nothing_has_no_effect_and_no_interval():
    clean = np.array([1.0, 2.0, 3.0])
    row = summarise(outcome(1, 2, 3), clean, singles(3), under=dict(row_share=clean))
    assert row["effect"] == 0
    assert np.isnan([row["effect_lo"], row["effect_hi"], row["row_share"]]).all()
    assert Estimate.of(row, "row_share") is None
    assert Estimate.of(row, "never_measured") is None
    assert Estimate.of(row, "effect") == Estimate(0.0)


def test_pairs_that_come_in_twos_say_what_the_single_cases_say():
    """Both swaps of a case, alike: twice the pairs, not one more case. The naive interval would be narrower."""
    rng = np.random.default_rng(0)
    clean = rng.normal(5, 1, 40)
    patched = clean - rng.normal(2, 1, 40)
    once = summarise(outcome(*patched), clean, singles(40, 1000))
    in_twos, twice = Bootstrap.of(np.repeat(range(40), 2), 1000, 0), outcome(*np.repeat(patched, 2))
    assert summarise(twice, np.repeat(clean, 2), in_twos) == pytest.approx(once, nan_ok=True)
    naive = summarise(twice, np.repeat(clean, 2), singles(80, 1000))
    for name in ("effect", "ld_clean", "fldd"):
        assert width(naive, name) < 0.85 * width(once, name)


def test_groups_are_drawn_whole_and_named_by_anything():
    draws = Bootstrap.of(["b", "a", "b", "c"], 200, 0)
    assert draws.weights.shape == (201, 4)
    assert (draws.weights[:, 0] == draws.weights[:, 2]).all()
    assert draws.weights.sum(1) == pytest.approx(np.ones(201))
    assert draws.weights[0].tolist() == [0.25] * 4
    again = Bootstrap.of(["b", "a", "b", "c"], 200, 0)
    assert np.array_equal(draws.weights, again.weights)
    assert not np.array_equal(draws.weights, Bootstrap.of(["b", "a", "b", "c"], 200, 1).weights)


def test_means_among_some_pairs_and_over_seeds():
    draws = Bootstrap.of([0, 1, 2, 3], 50, 0)
    values = np.array([1.0, 2.0, 30.0, 40.0])
    among = np.array([True, True, False, False])
    assert draws.means(values)[0] == pytest.approx(73 / 4)
    assert draws.means(values, among)[0] == pytest.approx(1.5)
    drawn = draws.means(values, among)
    lost = draws.weights[:, :2].sum(1) == 0
    assert np.isnan(drawn[lost]).all()
    assert np.nanmax(drawn) <= 2
    assert draws.means(np.stack([values, values + 2]))[0] == pytest.approx(73 / 4 + 1)


def test_one_group_has_figures_and_no_intervals():
    row = summarise(outcome(1, -1), np.array([4.0, 3.0]), Bootstrap.of(["a", "a"], 100, 0))
    assert row["effect"] == 3.5
    assert all(np.isnan(row[f"{name}{end}"]) for name in MEASURES for end in ("_lo", "_hi"))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Also where pairs of a case are alike, as they are in their words."""
    rng = np.random.default_rng(0)
    hits = naive_hits = 0
    for trial in range(200):
        of_case = np.repeat(rng.normal(2, 1, 40), 2)
        clean = rng.normal(5, 1, 80)
        patched = clean - of_case - rng.normal(0, 0.2, 80)
        grouped, naive = Bootstrap.of(np.repeat(range(40), 2), 300, trial), singles(80, 300, trial)
        for name, draws in dict(grouped=grouped, naive=naive).items():
            row = summarise(outcome(*patched), clean, draws)
            hit = row["effect_lo"] <= 2 <= row["effect_hi"]
            hits += hit if name == "grouped" else 0
            naive_hits += hit if name == "naive" else 0
    assert 178 <= hits <= 200
    assert naive_hits < 175


def test_seeds_are_held_fixed_and_not_resampled():
    """Three seeds are no sample to draw from: their spread shows in the single values, not in the interval."""
    rng = np.random.default_rng(1)
    clean = rng.normal(5, 0.1, 50)
    noise = rng.normal(0, 0.1, 50)
    same = Outcome.pooled([outcome(*(clean - 2 + noise))] * 3)
    spread = Outcome.pooled([outcome(*(clean - effect + noise)) for effect in (1.0, 2.0, 3.0)])
    rows = [summarise(of, clean, singles(50)) for of in (same, spread)]
    for name in ("effect", "effect_lo", "effect_hi"):
        assert rows[0][name] == pytest.approx(rows[1][name])


def of_draws(rng: np.random.Generator, draws: int, clean: np.ndarray) -> Outcome:
    """What random draws do to the same pairs: each an effect of its own, about 2."""
    effects = rng.normal(2, 0.5, (draws, 1)) + rng.normal(0, 0.2, (draws, len(clean)))
    return Outcome(clean - effects, np.zeros((draws, len(clean)), dtype=bool))


@pytest.mark.parametrize("draws", [5, 20])
def test_an_interval_over_random_draws_covers_what_others_would_give(draws):
    """With the draws held fixed it would hardly ever."""
    rng, hits, fixed_hits = np.random.default_rng(0), 0, 0
    for trial in range(200):
        clean = rng.normal(5, 1, 40)
        outcome = of_draws(rng, draws, clean)
        drawn, fixed = (summarise(outcome, clean, singles(40, 300, trial), drawn=also) for also in (True, False))
        assert drawn["effect"] == pytest.approx(fixed["effect"])
        assert drawn["ld_clean_lo"] == fixed["ld_clean_lo"]
        assert drawn["effect_lo"] <= drawn["effect"] <= drawn["effect_hi"]
        hits += drawn["effect_lo"] <= 2 <= drawn["effect_hi"]
        fixed_hits += fixed["effect_lo"] <= 2 <= fixed["effect_hi"]
    assert hits >= (170 if draws == 5 else 180)
    assert fixed_hits < 100


def test_of_a_few_random_draws_there_is_no_interval():
    rng = np.random.default_rng(0)
    clean = rng.normal(5, 1, 40)
    outcome, other = of_draws(rng, 4, clean), clean - 1
    row = summarise(outcome, clean, singles(40), over=dict(share=other), under=dict(inverse=other), drawn=True)
    assert row["effect"] == pytest.approx((clean - outcome.ld).mean())
    for name in ("ld_patched", "effect", "fldd", "flip_rate", "share", "inverse"):
        assert np.isnan([row[f"{name}_lo"], row[f"{name}_hi"]]).all()
    assert row["ld_clean_lo"] < row["ld_clean"] < row["ld_clean_hi"]


def test_measures_of_the_same_random_draws_are_paired():
    """What is always half of another is so in every draw."""
    rng = np.random.default_rng(0)
    values = rng.normal(2, 1, (6, 30))
    draws = singles(30)
    assert draws.means(values / 2, drawn=True) / draws.means(values, drawn=True) == pytest.approx(np.full(301, 0.5))
    among = np.arange(30) < 10
    assert draws.means(values, among, drawn=True)[0] == pytest.approx(values[:, :10].mean())


def test_a_ratio_over_what_may_be_zero_has_no_interval():
    """Its draws lie on both sides of the figure's infinity, and their percentiles leave the figure out."""
    rng = np.random.default_rng(0)
    clean, noise = rng.normal(5, 0.1, 50), rng.normal(0, 1, 50)
    patched = outcome(*(clean - 1 + rng.normal(0, 0.1, 50)))
    unsure, sure = clean - (noise - noise.mean() + 0.05), clean - (noise - noise.mean() + 2)
    row = summarise(patched, clean, singles(50), over=dict(unsure=unsure, sure=sure))
    assert row["unsure"] == pytest.approx(row["effect"] / 0.05)
    assert np.isnan([row["unsure_lo"], row["unsure_hi"]]).all()
    assert row["sure_lo"] < row["sure"] < row["sure_hi"]
    assert ratio_by_draw(np.ones(1), np.ones(1)).tolist() == [1]


def test_no_pairs_is_an_error():
    with pytest.raises(InputError, match="no pairs"):
        Bootstrap.of([], 10, 0)


@pytest.mark.parametrize("draws", [[2.0, 2.0, 2.0], [2.0, np.nan, 3.0], [2.0, np.inf, 3.0]])
def test_no_interval_where_draws_do_not_differ_or_are_no_numbers(draws):
    found = interval("x", np.array(draws))
    assert found["x"] == 2
    assert np.isnan([found["x_lo"], found["x_hi"]]).all()


def test_an_interval_leaves_the_plain_figure_out_of_its_draws():
    found = interval("x", np.array([100.0, *np.linspace(0, 1, 1001)]))
    assert (found["x"], found["x_lo"], found["x_hi"]) == (100, pytest.approx(0.025), pytest.approx(0.975))


def test_estimates_and_their_complements():
    row = dict(a=0.3, a_lo=0.2, a_hi=0.5, b=0.3, b_lo=float("nan"), b_hi=float("nan"), c=0.3)
    assert Estimate.of(row, "a") == Estimate(0.3, 0.2, 0.5)
    assert Estimate.of(row, "b") == Estimate.of(row, "c") == Estimate(0.3)
    turned = Estimate(0.3, 0.2, 0.5, (0.25, 0.35)).complement()
    assert (turned.value, turned.low, turned.high) == (0.7, 0.5, 0.8)
    assert turned.each == (0.75, 0.65)
    assert Estimate(0.25).complement() == Estimate(0.75)
    assert Estimate.over([1, 2, 6]) == Estimate(3.0, each=(1.0, 2.0, 6.0))


@pytest.mark.parametrize(
    ("real", "p", "words"), [(9.0, 1 / 101, "< 1/100"), (97.5, 3 / 101, "0.030"), (-1.0, 1.0, "1.000")]
)
def test_a_permutation_p_is_no_smaller_than_the_permutations_allow(real, p, words):
    permuted = np.arange(100.0)
    if p == 1 / 101:
        permuted = permuted - 1000
    found = permutation_p(real, permuted)
    assert found == pytest.approx(p)
    assert p_in_words(found, 100) == words


def test_a_permutation_as_good_as_the_real_order_counts_against_it():
    assert permutation_p(1.0, np.array([1.0, 0.0, 0.0])) == 0.5


def test_a_ratio_over_nothing_is_no_number():
    assert ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0]))[0] == 0.5
    assert np.isnan(ratio(np.array([1.0, 0.0]), np.array([0.0, 0.0]))).all()


def test_a_table_is_rounded_to_a_millionth():
    assert table([dict(x=1 / 3, name="a")]).to_dict("records") == [dict(x=0.333333, name="a")]


@pytest.mark.parametrize(("groups", "size", "kept", "each"), [(500, 3, 100, 3), (500, 1, 300, 1), (20, 40, 20, 15)])
def test_some_groups_stand_for_many(groups, size, kept, each):
    of = np.repeat(np.arange(groups), size)
    draws = Bootstrap.of(of, 20, 0)
    few, rows = draws.some(300)
    found, numbers = np.unique(of[rows], return_counts=True)
    assert (len(found), set(numbers)) == (kept, {each})
    for group in found[:5]:
        ours = few.counts[:, few.unit[of[rows] == group]]
        assert (ours == draws.counts[:, [group]]).all()
    assert np.isfinite(few.weights).all()
    same, everything = draws.some(groups * size)
    assert same is draws
    assert everything.tolist() == list(range(groups * size))


@given(st.integers(1, 8), st.integers(0, 5))
def test_means_are_those_of_the_weights(parts, seed):
    """However many draws are worked out at a time."""
    rng = np.random.default_rng(seed)
    groups, values, among = rng.integers(0, 7, 30), rng.normal(size=30), rng.random(30) < 0.7
    draws = Bootstrap.of(groups, 50, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", draws.counts.size // parts)
        weights = draws.weights
        assert draws.means(values) == pytest.approx(weights @ values)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = (weights * among) @ values / (weights @ among)
        assert draws.means(values, among) == pytest.approx(expected, nan_ok=True)
