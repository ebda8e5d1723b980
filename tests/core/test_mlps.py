"""MLPs on their own: as they run in the model, with other weights, and what goes into them on text."""

import pytest
import torch

import tiny
from subspace_illusion.core.mlps import (
    hidden_from_residual,
    mlp_forward,
    read_through,
    record_residuals,
    weight_matrices,
)
from subspace_illusion.errors import InputError


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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
        residual = full[read_through(model, i)[1]].flatten(0, 1)
        torch.testing.assert_close(hidden_from_residual(model, i, residual), hidden)


def test_the_residual_before_the_mlp_is_that_between_attention_and_mlp(model, run):
    _, full = run
    before = "hook_resid_pre" if model.parallel_blocks else "hook_resid_mid"
    assert torch.equal(full[read_through(model, 2)[1]], full[f"blocks.2.{before}"])


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
    monkeypatch.setattr("subspace_illusion.core.mlps.BATCH", 2)
    tokens, full = run
    places = torch.tensor([[2, 3], [0, 9], [2, 13], [1, 0], [0, 8]])
    seen: list[int] = []
    recorded = record_residuals(model, tokens, places, seen.append)
    assert seen == [2, 1]
    for i, residual in enumerate(recorded):
        assert torch.equal(residual, full[read_through(model, i)[1]][places[:, 0], places[:, 1]])
        hidden = full[f"blocks.{i}.mlp.hook_post"][places[:, 0], places[:, 1]]
        torch.testing.assert_close(hidden_from_residual(model, i, residual), hidden)


def test_text_longer_than_the_model_reads_is_refused():
    gpt2 = tiny.tiny_model("gpt2")
    with pytest.raises(InputError, match="reads 64 tokens at most, and 65 are wanted"):
        record_residuals(gpt2, torch.ones(1, 65, dtype=torch.long), torch.tensor([[0, 9]]))
