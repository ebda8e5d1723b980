import numpy as np
import pytest
import torch

from subspace_illusion.core.outcome import Outcome, logit_difference
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import MEASURES, Estimate, summarise


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < -1)


def test_logit_difference_and_outcome():
    logits = torch.tensor([[5.0, 2.0, 0.0], [1.0, 4.0, 9.0]])
    io, s = torch.tensor([0, 0]), torch.tensor([1, 2])
    assert logit_difference(logits, io, s).tolist() == [3.0, -8.0]
    measured = Outcome.of(logits, io, s)
    assert measured.ld.tolist() == [[3.0, -8.0]]
    assert measured.top1_s.tolist() == [[False, True]]


def test_every_measure_by_hand():
    clean, residual = np.array([4.0, 2.0, 4.0, 2.0]), np.array([-2.0, 0.0, -2.0, 0.0])
    row_part = outcome(3.5, 1.5, 3.5, 1.5).ld
    row = summarise(
        outcome(-2, 1, -2, 1),
        clean,
        over=dict(share_of_residual=residual, effect_over_row_part=row_part),
        under=dict(row_share=row_part),
        resamples=300,
        seed=0,
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
    for name in measures:
        assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
    assert row["effect_lo"] < 3.5 < row["effect_hi"]


def test_a_patch_that_does_nothing_has_no_effect_and_no_interval():
    clean = np.array([1.0, 2.0, 3.0])
    row = summarise(outcome(1, 2, 3), clean, under=dict(row_share=clean), resamples=100, seed=0)
    assert (row["effect"], row["effect_lo"], row["effect_hi"]) == (0, 0, 0)
    assert np.isnan(row["row_share"])
    assert Estimate.of(row, "row_share") is None
    assert Estimate.of(row, "never_measured") is None
    assert Estimate.of(row, "effect") == Estimate(0, 0, 0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        clean = rng.normal(5, 1, 60)
        patched = clean - rng.normal(2, 1, 60)
        row = summarise(outcome(*patched), clean, resamples=300, seed=trial)
        hits += row["effect_lo"] <= 2 <= row["effect_hi"]
    assert 180 <= hits <= 200


def test_pooled_intervals_widen_with_the_spread_over_seeds():
    rng = np.random.default_rng(1)
    clean = rng.normal(5, 0.1, 50)
    same = Outcome.pooled([outcome(*(clean - 2))] * 3)
    spread = Outcome.pooled([outcome(*(clean - effect)) for effect in (1.0, 2.0, 3.0)])
    rows = [summarise(o, clean, resamples=500, seed=0) for o in (same, spread)]
    assert rows[0]["effect"] == pytest.approx(rows[1]["effect"])
    assert rows[1]["effect_hi"] - rows[1]["effect_lo"] > 1 > rows[0]["effect_hi"] - rows[0]["effect_lo"]


def test_no_pairs_is_an_error():
    with pytest.raises(InputError, match="no pairs"):
        summarise(outcome(), np.array([]), resamples=10, seed=0)
