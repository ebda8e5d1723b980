"""Recovering directions and signs from MLPs (E9, E10), and the MLPs on their own that this takes."""

import math

import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

import tiny
from subspace_illusion.core.mlps import hidden_from_residual, mlp_forward, norm_before, weight_matrices
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.recovery import (
    SKIPPED,
    Recorded,
    binary_information,
    choose_positions,
    displaced,
    matrix_ranks,
    read_signs,
    record_mlps,
    recover,
    recover_directions,
    weight_ranks,
    wilson_interval,
)
from subspace_illusion.report.plots.recovery import ranks_figure, recovery_figure, signs_figure

ALPHAS = [1e-8, 1e-4, 1e-2, 1, 100]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orders(permutations: int, train: int) -> torch.Tensor:
    return torch.stack([torch.randperm(train, generator=torch.Generator().manual_seed(i)) for i in range(permutations)])


@pytest.fixture
def run(model) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Token ids of three sequences, and every activation of a full run."""
    tokens = torch.randint(1, 500, (3, 14), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return tokens, dict(model.bridge.run_with_cache(tokens)[1].items())


def test_an_mlp_alone_does_what_it_does_in_the_model(model, run):
    _, full = run
    for i, block in enumerate(model.bridge.blocks):
        hidden, output = mlp_forward(block.mlp, full[f"blocks.{i}.mlp.hook_in"].flatten(0, 1))
        torch.testing.assert_close(hidden, full[f"blocks.{i}.mlp.hook_post"].flatten(0, 1))
        torch.testing.assert_close(output, full[f"blocks.{i}.mlp.hook_out"].flatten(0, 1))
        residual = full[f"blocks.{i}.{norm_before(block)[1]}"].flatten(0, 1)
        torch.testing.assert_close(hidden_from_residual(block, residual), hidden)


def test_the_residual_before_the_mlp_is_that_between_attention_and_mlp(model, run):
    _, full = run
    before = "hook_resid_pre" if model.parallel_blocks else "hook_resid_mid"
    assert torch.equal(full[f"blocks.2.{norm_before(model.bridge.blocks[2])[1]}"], full[f"blocks.2.{before}"])


def test_other_weights_are_used_and_the_mlp_keeps_its_own(model):
    mlp, x = model.bridge.blocks[1].mlp, noise(5, 32)
    before = mlp_forward(mlp, x)
    doubled = {name: 2 * parameter.detach() for name, parameter in mlp.named_parameters()}
    _, output = mlp_forward(mlp, x, doubled)
    assert not torch.allclose(output, before[1])
    torch.testing.assert_close(mlp_forward(mlp, x, dict(mlp.named_parameters())), before)
    assert all(torch.equal(a, b) for a, b in zip(mlp_forward(mlp, x), before, strict=True))


def test_weights_are_what_the_mlp_computes_with(model):
    block = model.bridge.blocks[1]
    weights = weight_matrices(model, 1)
    assert ("W_gate" in weights) == hasattr(block.mlp, "gate")
    for name, matrix in weights.items():
        linear = getattr(block.mlp, name.removeprefix("W_"))
        a, b = noise(2, len(matrix))
        with torch.no_grad():
            expected = linear(a[None]) - linear(b[None])
        if name == "W_out" and model.centres:
            expected = expected - expected.mean()
        torch.testing.assert_close((a - b)[None] @ matrix, expected, atol=1e-4, rtol=1e-4)


def test_recording_gives_the_full_run_at_the_positions_chosen(model, monkeypatch, run):
    monkeypatch.setattr("subspace_illusion.experiments.recovery.BATCH", 2)
    tokens, full = run
    positions = choose_positions(3, 14, 12, 0)
    seen: list[int] = []
    recorded = record_mlps(model, tokens, positions, seen.append)
    assert seen == [2, 1]
    for i, of_block in enumerate(recorded):
        hidden = full[f"blocks.{i}.mlp.hook_post"][positions[:, 0], positions[:, 1]]
        torch.testing.assert_close(of_block.hidden, hidden)
        torch.testing.assert_close(hidden_from_residual(model.bridge.blocks[i], of_block.residual), hidden)


def test_positions_are_drawn_once_each_from_all_but_the_first():
    positions = choose_positions(4, SKIPPED + 5, 20, 0)
    assert len({tuple(position) for position in positions.tolist()}) == 20
    assert positions[:, 1].min() == SKIPPED
    assert set(positions[:, 0].tolist()) == {0, 1, 2, 3}
    with pytest.raises(InputError, match="hold 20 positions after the first 8 of each, and 21 are wanted"):
        choose_positions(4, SKIPPED + 5, 21, 0)
    with pytest.raises(InputError, match="hold 0 positions"):
        choose_positions(4, 3, 1, 0)


def test_text_longer_than_the_model_reads_is_refused():
    gpt2 = tiny.tiny_model("gpt2")
    with pytest.raises(InputError, match="reads 64 tokens at most, and 65 are wanted"):
        record_mlps(gpt2, torch.ones(1, 65, dtype=torch.long), torch.tensor([[0, 9]]))


def test_activations_that_hold_the_residual_recover_every_direction():
    residual = noise(200, 16)
    recorded = Recorded(residual, residual @ noise(16, 40, seed=1))
    rows = recover_directions(recorded, 3, directions=2, train=160, alphas=ALPHAS, permutations=99, seed=0)
    for row in rows:
        assert row["block"] == 3
        assert row["r2"] == pytest.approx(1, abs=1e-5)
        assert row["mse"] == pytest.approx(0, abs=1e-5)
        assert row["p"] == 0.01
        assert row["r2_permuted"] < 0.1


def test_activations_that_know_nothing_recover_nothing():
    rows = recover(noise(400, 30), noise(400, 6, seed=1), 320, ALPHAS, orders(99, 320))
    assert all(row["r2"] < 0.1 for row in rows)
    assert all(row["mse"] > 0.7 for row in rows)
    assert sum(row["p"] < 0.05 for row in rows) <= 1


def test_a_regression_is_that_of_scikit_learn_and_its_strength_the_best_on_validation():
    x, target = noise(240, 50), noise(240, 1, seed=1) + noise(240, 50)[:, :5].sum(1, keepdim=True)
    (row,) = recover(x, target, 200, ALPHAS, orders(1, 200))
    y = ((target - target[:200].mean()) / target[:200].std())[:, 0].double().numpy()
    rows = x.double().numpy()
    unit = ((rows[:150] - rows[:150].mean(0)) ** 2).sum(1).mean()
    fits = {alpha: Ridge(alpha * unit).fit(rows[:150], y[:150]) for alpha in ALPHAS}
    assert row["alpha"] == max(ALPHAS, key=lambda alpha: fits[alpha].score(rows[150:200], y[150:200]))
    assert row["r2"] == pytest.approx(fits[row["alpha"]].score(rows[200:], y[200:]), abs=1e-6)
    predicted = fits[row["alpha"]].predict(rows[200:])
    assert row["mse"] == pytest.approx(((predicted - y[200:]) ** 2).mean(), abs=1e-6)


def test_another_direction_or_block_changes_no_other():
    recorded = Recorded(noise(100, 8), noise(100, 12, seed=1))
    settings = dict(train=80, alphas=ALPHAS, permutations=9, seed=0)
    assert recover_directions(recorded, 0, directions=3, **settings)[:2] == [
        pytest.approx(row) for row in recover_directions(recorded, 0, directions=2, **settings)
    ]
    more = dict(train=80, inverse_penalty=1e4, seed=0)
    two = read_signs(lambda residual: residual, recorded.residual, 0, z=[0.1, 1.0], directions=2, **more)
    one = read_signs(lambda residual: residual, recorded.residual, 0, z=[1.0], directions=1, **more)
    assert [row for row in two if row["z"] == 1.0 and row["direction"] == 0] == one


def test_signs_are_written_in_units_of_the_mean_norm():
    residual, v, signs = noise(50, 8), noise(8, seed=1), torch.tensor([1.0, -1.0]).repeat(25)
    change = displaced(residual, v / v.norm(), signs, 0.5) - residual
    torch.testing.assert_close(change @ (v / v.norm()), 0.5 * residual.norm(dim=1).mean() * signs)


def test_large_signs_are_read_and_absent_ones_are_not(model):
    block, residual = model.bridge.blocks[1], noise(500, 32)
    settings = dict(directions=1, train=400, inverse_penalty=1e4, seed=0)

    def hidden_at(x: torch.Tensor) -> torch.Tensor:
        return hidden_from_residual(block, x)

    none, large = read_signs(hidden_at, residual, 1, z=[0.0, 2.0], **settings)
    assert none["accuracy_lo"] < 0.5 < none["accuracy_hi"]
    assert large["accuracy"] > 0.95
    assert large["accuracy_lo"] <= large["accuracy"] <= large["accuracy_hi"]
    assert large["converged"]


def test_a_solver_that_stops_early_says_so_in_the_table_alone(monkeypatch, recwarn):
    monkeypatch.setattr("subspace_illusion.experiments.recovery.MOST_ITERATIONS", 1)
    signs = noise(200, seed=1).sign()
    assert not binary_information(noise(200, 30), signs, 160, 1e4)["converged"]
    assert not recwarn.list


def test_the_binomial_interval():
    low, high = wilson_interval(200, 400)
    assert (low, high) == pytest.approx((0.4512, 0.5488), abs=1e-4)
    assert wilson_interval(400, 400)[1] == pytest.approx(1)
    assert wilson_interval(0, 400)[0] == pytest.approx(0)


def test_ranks():
    assert matrix_ranks(torch.eye(5, 8), 1e-5) == (5, pytest.approx(5))
    assert matrix_ranks(noise(6, 1) @ noise(1, 9), 1e-5) == (1, pytest.approx(1, abs=1e-3))
    half = math.exp(math.log(2) / 2 + 2 * math.log(4) / 4)  # singular values in shares 1/2, 1/4, 1/4
    assert matrix_ranks(torch.diag(torch.tensor([2.0, 1.0, 1.0])), 1e-5) == (3, pytest.approx(half))
    assert matrix_ranks(torch.diag(torch.tensor([1.0, 1e-3])), 1e-2)[0] == 1


def test_a_row_of_ranks_has_every_matrix(model):
    row = weight_ranks(model, 1, 1e-5)
    assert row["possible"] == 32
    gated = hasattr(model.bridge.blocks[1].mlp, "gate")
    for name in ("W_in", "W_gate", "W_out") if gated else ("W_in", "W_out"):
        # A layer norm hides the mean component, so that W_out is seen without it.
        assert row[f"rank_{name}"] == 32 - (name == "W_out" and model.centres)
        assert 16 < row[f"effective_rank_{name}"] < row[f"rank_{name}"]
    assert ("rank_W_gate" in row) == gated


def test_the_pictures_draw():
    rows = pd.DataFrame(dict(block=[0, 0, 1, 1], r2=[0.5, 0.6, 0.7, 0.8], mse=[0.5, 0.4, 0.3, 0.2], r2_permuted=0.0))
    signs = pd.DataFrame(dict(block=[0, 1] * 6, z=sorted([1e-4, 1e-3, 1e-2, 0.1, 1.0, 2.0] * 2), accuracy=0.75))
    ranks = pd.DataFrame(dict(block=[0, 1], possible=32, rank_W_in=32, effective_rank_W_in=29.0))
    ranks = ranks.assign(rank_W_out=[32, 31], effective_rank_W_out=28.0)
    for figure in (recovery_figure(rows), signs_figure(signs), ranks_figure(ranks)):
        figure.canvas.draw()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["W_in, by entropy", "W_out, by entropy", "counted, the lowest of them"]
