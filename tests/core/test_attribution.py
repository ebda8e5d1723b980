import pytest
import torch

import tiny
from architectures import small_model
from subspace_illusion.core.attribution import (
    FrozenNorm,
    answer_directions,
    attention_sites,
    attribute_heads,
    bends_logits,
)
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, residual_after, residual_entering

TOKENS = torch.randint(1, 500, (4, 9), generator=torch.Generator().manual_seed(0))
IO, S = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])


@pytest.mark.parametrize("centres", [True, False])
def test_a_norm_by_hand(centres):
    weight = torch.tensor([1.0, 2.0, 3.0, -1.0])
    norm = torch.nn.LayerNorm(4) if centres else torch.nn.RMSNorm(4, eps=1e-5)
    norm.weight.data = weight
    if centres:
        norm.bias.data = torch.tensor([0.5, 0.0, 0.0, 1.0])
    frozen = FrozenNorm.of(norm, 4, torch.device("cpu"))
    centring = torch.eye(4) - 0.25 if centres else torch.eye(4)
    torch.testing.assert_close(frozen.linear, centring * weight, atol=1e-4, rtol=0)
    x = torch.tensor([[3.0, -1.0, 2.0, 4.0], [0.0, 0.0, 1.0, 1.0]])
    torch.testing.assert_close(x @ frozen.linear / frozen.scale(x) + frozen.shift, norm(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("at", [8, 4], ids=["END", "before END"])
def test_everything_written_adds_up_to_ld(model, at):
    """All at END, wherever the position is."""
    adds_up(model, at)


@pytest.mark.parametrize("name", ["Granite", "OLMo-2"])
def test_so_it_does_with_factors_and_norms_behind(name):
    model = small_model(name)
    assert not bends_logits(model)
    adds_up(model, 8)


def test_behind_a_cap_heads_have_shares_of_the_slope():
    """The slope of LD in the last residual stream by finite differences, along what leaves the norm's scale alone."""
    model, last = small_model("Gemma-2, its cap biting"), residual_after(3).end
    assert bends_logits(model)
    recording = record(model, TOKENS, attention_sites(model, 1))
    u, x = answer_directions(model, recording, IO, S), recording.activations[last]
    probe = torch.randn(4, 32, generator=torch.Generator().manual_seed(0))
    probe = probe - (probe * x).sum(1, keepdim=True) / x.square().sum(1, keepdim=True) * x
    step = 1e-2 * x.norm(dim=1, keepdim=True) / probe.norm(dim=1, keepdim=True)
    up, down = (record(model, TOKENS, changes={last: sign * step * probe}).logits for sign in (1, -1))
    slope = (logit_difference(up, IO, S) - logit_difference(down, IO, S)) / (2 * step[:, 0])
    torch.testing.assert_close((u * probe).sum(1), slope, atol=1e-2, rtol=0.02)
    assert not torch.allclose((u * x).sum(1), logit_difference(recording.logits, IO, S), rtol=0.1)


def adds_up(model, at: int) -> None:
    """What attention and MLPs write and the residual stream at the start, along u, make LD; heads make attention's."""
    start = 1
    writes = [Site(block, point).end for block in range(start, 4) for point in ("hook_attn_out", "hook_mlp_out")]
    recording = record(
        model, TOKENS, [*attention_sites(model, start), *writes, residual_entering(start).end], position=at
    )
    u = answer_directions(model, recording, IO, S)
    heads = attribute_heads(model, recording, start, u)
    assert heads.shape == (4, 3, 4)
    total = (recording.activations[residual_entering(start).end] * u).sum(1)
    total = total + sum((recording.activations[site] * u).sum(1) for site in writes)
    last = recording.activations[residual_after(3).end]  # which answer_directions has compared with LD
    torch.testing.assert_close(total, (last * u).sum(1), atol=1e-3, rtol=1e-3)
    for place, block in enumerate(range(start, 4)):
        attention = (recording.activations[Site(block, "hook_attn_out").end] * u).sum(1)
        rest = attention - heads[:, place].sum(1)
        # Without a bias (Llama) the heads are all of it; else the rest is the bias along u.
        of_bias = u @ bias_written(model, block, recording)
        torch.testing.assert_close(rest, of_bias if of_bias.ndim == 1 else of_bias.diagonal(), atol=1e-3, rtol=1e-3)


def bias_written(model, block: int, recording) -> torch.Tensor:
    of_block = model.bridge.blocks[block]
    with torch.no_grad():
        bias = of_block.attn.o(torch.zeros(1, 32)).flatten()
    if hasattr(of_block, "ln1_post"):
        norm = FrozenNorm.of(of_block.ln1_post, 32, model.device)
        return (norm.shift + bias @ norm.linear / norm.scale(recording.activations[Site(block, "attn.hook_out").end])).T
    return bias - bias.mean() if model.centres else bias


def test_the_answers_direction_gives_ld_up_to_biases(llama):
    recording = record(llama, TOKENS, attention_sites(llama, 1))
    u = answer_directions(llama, recording, IO, S)
    last = recording.activations[attention_sites(llama, 1)[-1]]
    torch.testing.assert_close((last * u).sum(1), logit_difference(recording.logits, IO, S), atol=1e-3, rtol=1e-3)


def test_only_models_with_layer_norm_centre():
    assert [tiny.tiny_model(name).centres for name in tiny.ARCHITECTURES] == [True, True, False, False]
