"""Recovering directions from MLPs (E9), the ranks of their weights, and how the report tells of it."""

import math

import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge as SklearnRidge

from subspace_illusion.core.mlps import hidden_from_residual
from subspace_illusion.core.threads import on_all_cores
from subspace_illusion.experiments.recover_directions import (
    matrix_ranks,
    rank_weights,
    recover,
    recover_directions,
)
from subspace_illusion.experiments.text import Rows, Text
from subspace_illusion.files import write_table
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.recover_directions import over_blocks, section

ALPHAS = [1e-8, 1e-4, 1e-2, 1, 100]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orders(permutations: int, train: int) -> torch.Tensor:
    drawn = [torch.randperm(train, generator=torch.Generator().manual_seed(i)) for i in range(permutations)]
    return torch.stack(drawn) if drawn else torch.empty(0, train, dtype=torch.long)


def rows_of(sequences: int, each: int, held_out: int) -> Rows:
    """Rows in order, the last sequences of them held out."""
    sequence = torch.arange(sequences).repeat_interleave(each)
    return Rows(sequence, torch.arange(each).repeat(sequences), sequence < sequences - held_out)


def text_of(model, sequences: int = 8, each: int = 25) -> Text:
    rows = rows_of(sequences, each, 2)
    residuals = [noise(sequences * each, 32, seed=block) for block in range(model.n_blocks)]
    return Text(torch.zeros(sequences, each, dtype=torch.long), rows, residuals)


def test_activations_that_hold_the_target_recover_it():
    residual = noise(200, 16)
    found = recover(residual @ noise(16, 40, seed=1), residual[:, :2], rows_of(10, 20, 2), ALPHAS, orders(99, 160))
    for row in found:
        assert row["r2"] == pytest.approx(1, abs=1e-5)
        assert row["mse"] == pytest.approx(0, abs=1e-5)
        assert row["p"] == 0.01
        assert row["r2_permuted"] < 0.1


def test_activations_that_know_nothing_recover_nothing():
    found = recover(noise(400, 30), noise(400, 6, seed=1), rows_of(20, 20, 4), ALPHAS, orders(99, 320))
    assert all(row["r2"] < 0.1 for row in found)
    assert all(row["mse"] > 0.7 for row in found)
    assert sum(row["p"] < 0.05 for row in found) <= 1


def test_the_strength_is_the_best_on_validation_and_the_fit_is_on_all_training_rows():
    x, target = noise(240, 50), noise(240, 1, seed=1) + noise(240, 50)[:, :5].sum(1, keepdim=True)
    # Ten sequences to train on, of which round(2.5) = 2 are for validation, and two held out; in random order.
    order = torch.randperm(240, generator=torch.Generator().manual_seed(2))
    sequence = torch.arange(240)[order] // 20
    rows = Rows(sequence, torch.arange(240)[order] % 20, sequence < 10)
    (row,) = recover(x, target, rows, ALPHAS, orders(1, 200))

    train, fit, chosen_on = sequence < 10, sequence < 8, (sequence >= 8) & (sequence < 10)
    y = ((target - target[train].mean()) / target[train].std())[:, 0].double().numpy()
    x = x.double().numpy()

    def ridge(alpha: float, part: torch.Tensor) -> SklearnRidge:
        unit = ((x[part] - x[part].mean(0)) ** 2).sum(1).mean()
        return SklearnRidge(alpha * unit).fit(x[part], y[part])

    assert row["alpha"] == max(ALPHAS, key=lambda alpha: ridge(alpha, fit).score(x[chosen_on], y[chosen_on]))
    again = ridge(row["alpha"], train)
    assert row["r2"] == pytest.approx(again.score(x[~train], y[~train]), abs=1e-6)
    assert row["mse"] == pytest.approx(((again.predict(x[~train]) - y[~train]) ** 2).mean(), abs=1e-6)


def test_knowing_the_sequence_is_no_recovery():
    """Rows of one sequence that are alike in both would leak, were single rows held out."""
    of_sequence = noise(80, 60).repeat_interleave(5, 0)
    target = noise(80, 1, seed=1).repeat_interleave(5, 0)
    (row,) = recover(of_sequence + 0.1 * noise(400, 60, seed=2), target, rows_of(80, 5, 30), ALPHAS, orders(0, 250))
    assert row["r2"] < 0.1


def test_every_block_whatever_the_others_and_the_number_of_directions(model):
    text, settings = text_of(model), dict(alphas=ALPHAS, permutations=9, seed=0)
    seen: list[None] = []
    found = recover_directions(model, text, directions=3, on_block=lambda: seen.append(None), **settings)
    assert len(seen) == model.n_blocks
    assert found["block"].tolist() == [block for block in range(model.n_blocks) for _ in range(3)]
    assert set(found.columns) == {
        "block", "direction", "r2", "mse", "p", "r2_permuted", "alpha", "permutations"
    }  # fmt: skip
    fewer = recover_directions(model, text, directions=2, **settings)
    pd.testing.assert_frame_equal(found[found["direction"] < 2].reset_index(drop=True), fewer)


def test_threads_give_what_one_after_the_other_gives(model):
    residual = noise(50, 32)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = on_all_cores(lambda block: hidden_from_residual(model, block, residual), range(model.n_blocks))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    for block, hidden in enumerate(together):
        torch.testing.assert_close(hidden, hidden_from_residual(model, block, residual))


def test_an_error_in_a_thread_ends_the_work():
    def fails(item: int) -> int:
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item"):
        on_all_cores(fails, range(5))


def test_ranks():
    assert matrix_ranks(torch.eye(5, 8), 1e-5) == (5, pytest.approx(5))
    assert matrix_ranks(noise(6, 1) @ noise(1, 9), 1e-5) == (1, pytest.approx(1, abs=1e-3))
    half = math.exp(math.log(2) / 2 + 2 * math.log(4) / 4)  # singular values in shares 1/2, 1/4, 1/4
    assert matrix_ranks(torch.diag(torch.tensor([2.0, 1.0, 1.0])), 1e-5) == (3, pytest.approx(half))
    assert matrix_ranks(torch.diag(torch.tensor([1.0, 1e-3])), 1e-2)[0] == 1


def test_a_row_of_ranks_has_every_matrix(model):
    ranks = rank_weights(model, 1e-5)
    assert ranks["block"].tolist() == list(range(model.n_blocks))
    row = ranks.iloc[1]
    assert row["possible"] == 32
    gated = hasattr(model.bridge.blocks[1].mlp, "gate")
    for name in ("W_in", "W_gate", "W_out") if gated else ("W_in", "W_out"):
        # A layer norm hides the mean component, so that W_out is seen without it.
        assert row[f"rank_{name}"] == 32 - (name == "W_out" and model.centres)
        assert 16 < row[f"effective_rank_{name}"] < row[f"rank_{name}"]
    assert ("rank_W_gate" in row) == gated


def test_the_section_has_a_row_a_text_with_the_range_of_blocks_and_a_p_at_its_floor(tmp_path):
    blocks = dict(block=[0, 0, 1, 1], direction=[0, 1, 0, 1], permutations=200, alpha=1.0, r2_permuted=0.0)
    recovered = pd.DataFrame(blocks | dict(r2=[0.2, 0.4, 0.7, 0.9], mse=[0.8, 0.6, 0.3, 0.1], p=1 / 201))
    assert over_blocks(recovered, "r2") == "0.55 (0.30 to 0.80)"
    assert over_blocks(recovered[recovered["block"] == 0], "r2") == "0.30"
    write_table(tmp_path / "text/recover_directions/real.csv", recovered)
    write_table(tmp_path / "text/recover_directions/sampled.csv", recovered.assign(r2=recovered["r2"] / 2, p=0.3))
    asked = dict(recover_directions=["real", "sampled"])
    (shown,) = section(Results("m", ["a"], "a", None, asked, folder=tmp_path, data=tmp_path))
    (grid,) = shown.grids
    assert grid.rows[0] == ["real", "0.55 (0.30 to 0.80)", "0.45 (0.20 to 0.70)", "0.00", "< 1/200"]
    assert grid.rows[1][:2] + grid.rows[1][4:] == ["sampled", "0.28 (0.15 to 0.40)", "0.300"]
    (picture,) = shown.pictures
    picture.figure.canvas.draw()
    labels = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert labels == ["real, mean", "sampled, mean", "targets permuted"]
