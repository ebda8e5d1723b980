import pytest
import torch

from subspace_illusion.core.mlps import mlp_forward
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site, mlp_input, mlp_output
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.random_mlp import draw_random_mlp

TOKENS = torch.randint(1, 500, (6, 9), generator=torch.Generator().manual_seed(0))
HIDDEN = Site(1, "mlp.hook_post")


def test_an_mlp_by_itself_gives_what_it_gives_in_the_model(model):
    recording = record(model, TOKENS, [mlp_input(1), HIDDEN, Site(1, "mlp.hook_out")])
    hidden, output = mlp_forward(model.bridge.blocks[1].mlp, recording.activations[mlp_input(1)])
    torch.testing.assert_close(hidden, recording.activations[HIDDEN], atol=1e-5, rtol=1e-4)
    found = model.centred(mlp_output(1), output)
    torch.testing.assert_close(found, recording.activations[mlp_output(1)], atol=1e-5, rtol=1e-4)


def test_a_random_mlp_has_the_real_ones_shape_and_size(model):
    mlp = model.bridge.blocks[1].mlp
    normed = record(model, TOKENS, [mlp_input(1)]).activations[mlp_input(1)]
    real = mlp_forward(mlp, normed)[1]
    random = draw_random_mlp(mlp, normed, 0, "draw", 1)
    hidden, output = mlp_forward(mlp, normed, random.parameters)
    assert output.norm(dim=1).mean() == pytest.approx(float(real.norm(dim=1).mean()), rel=1e-4)
    assert torch.equal(hidden, random.hidden(normed))
    assert not torch.allclose(output, real, atol=0.1)
    # The difference of two outputs is the difference of the hidden activations behind the readout.
    torch.testing.assert_close(
        output[1:] - output[:1], (hidden[1:] - hidden[:1]) @ random.readout, atol=1e-4, rtol=1e-4
    )
    again, other = (draw_random_mlp(mlp, normed, 0, "draw", draw) for draw in (1, 2))
    assert torch.equal(random.readout, again.readout)
    assert not torch.allclose(random.readout, other.readout)
    assert torch.equal(mlp_forward(mlp, normed)[1], real)  # the real one is as it was
    assert {name: p.shape for name, p in mlp.named_parameters()} == {n: p.shape for n, p in random.parameters.items()}


def test_patching_beside_the_real_mlp_is_adding_the_difference_of_outputs(llama):
    """By hand: the model with the random MLP's patched minus unpatched output added to the real output."""
    normed = record(llama, TOKENS, [mlp_input(1)]).activations[mlp_input(1)]
    random = draw_random_mlp(llama.bridge.blocks[1].mlp, normed, 0)
    clean, patched = (mlp_forward(random.mlp, x, random.parameters)[1] for x in (normed, normed.flip(0)))
    hidden = random.hidden(normed)
    through_readout = (hidden.flip(0) - hidden) @ random.readout
    tail = record(llama, TOKENS, tail_from=1).tail
    logits = [replay(llama, tail, {mlp_output(1): change}).logits for change in (patched - clean, through_readout)]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


def test_a_mixture_of_experts_is_an_error():
    with pytest.raises(InputError, match="no single output matrix"):
        draw_random_mlp(torch.nn.Linear(2, 2), torch.zeros(1, 2), 0)
