"""Rerouting: what the model computes stays, what a patch of the component moves does not."""

from dataclasses import replace

import pytest
import torch

import tiny
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.planting.plant import stream_before
from subspace_illusion.planting.reroute import WELL, Route

BLOCK = 1
TOKENS = torch.arange(24).view(2, 12) + 5


def routed(model: Model, dose: float, ablated: bool = False) -> torch.Tensor:
    """Logits of a full run in which the block's MLP carries the signal; what its path gains the skip connection loses.

    The signal's part of the hidden activations is taken away again where it is ablated.
    """
    site = Site(BLOCK, "mlp.hook_post")
    route = Route.of(random_basis(model.bridge.cfg.d_model, 1, 0), model.readout(site))
    found: dict[str, torch.Tensor] = {}

    def keep(name):
        def hook(x, hook):
            found[name] = x.detach().clone()

        return hook

    def output() -> torch.Tensor:
        """What the MLP's path adds to the residual stream, norms behind it included."""
        stream, after = found["stream"], found["after"]
        return after - stream - (found["attention"] if model.parallel_blocks else 0)

    names = {"stream": stream_before(model, site).hook, "after": residual_after(BLOCK).hook,
             "attention": f"blocks.{BLOCK}.attn.hook_out"}  # fmt: skip
    reads = [(hook, keep(name)) for name, hook in names.items()]

    def add(h, hook):
        return h + route.added(found["stream"].flatten(0, 1), dose).view_as(h)

    with torch.no_grad():
        with model.bridge.hooks(fwd_hooks=reads):
            model.bridge(TOKENS)
        own = output()
        with model.bridge.hooks(fwd_hooks=[*reads, (site.hook, add)]):
            model.bridge(TOKENS)
        gained = output() - own
        if model.adds_straight(Site(BLOCK, "mlp.hook_out")):
            signal = dose * (found["stream"] @ route.direction)[..., None] * route.direction
            assert torch.allclose(model.centred(residual_after(BLOCK), gained), signal, atol=1e-4)
        compensate = (residual_after(BLOCK).hook, lambda x, hook: x - gained)
        hooks = [*reads, compensate] if ablated else [*reads, (site.hook, add), compensate]
        with model.bridge.hooks(fwd_hooks=hooks):
            return model.bridge(TOKENS)


@pytest.mark.parametrize("dose", [0.0, 0.5, 1.0])
def test_what_the_model_computes_is_the_same_for_every_dose(model, dose):
    """All four architectures: one after the other and side by side, with gates, with a norm behind the MLP."""
    with torch.no_grad():
        assert torch.allclose(routed(model, dose), model.bridge(TOKENS), atol=1e-4)


def test_what_is_carried_is_needed_at_the_full_dose_and_not_at_none(model):
    with torch.no_grad():
        clean = model.bridge(TOKENS)
    assert torch.allclose(routed(model, 0.0, ablated=True), clean, atol=1e-4)
    moved = [(routed(model, dose, ablated=True) - clean).abs().mean() for dose in (0.5, 1.0)]
    assert 1e-3 < moved[0] < moved[1]


def test_which_models_add_straight(model, request):
    assert model.adds_straight(Site(BLOCK, "mlp.hook_out")) == ("gemma3" not in request.node.name)
    assert model.adds_straight(Site(BLOCK, "attn.hook_out")) == ("gemma3" not in request.node.name)


def test_the_shortest_vector_that_writes_the_direction():
    readout = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    v = random_basis(5, 1, 0)
    route = Route.of(v, readout)
    assert torch.allclose(readout.mT @ route.hidden, v.squeeze(1), atol=1e-5)
    expected = torch.linalg.pinv(readout.mT) @ v
    assert torch.allclose(route.hidden, expected.squeeze(1), atol=1e-5)


def test_only_what_the_component_writes_well_is_carried():
    """Along the third dimension it writes a hundredth of what it writes elsewhere: the signal goes past that."""
    readout = torch.diag(torch.tensor([1.0, 1.0, WELL / 10]))
    route = Route.of(torch.ones(3, 1) / 3**0.5, readout)
    assert torch.allclose(route.direction, torch.tensor([1.0, 1.0, 0.0]) / 2**0.5)
    assert torch.allclose(readout.mT @ route.hidden, route.direction)
    with pytest.raises(InputError, match="does not write along the direction"):
        Route.of(torch.eye(3)[:, 2:], replace_last(readout))


def replace_last(readout: torch.Tensor) -> torch.Tensor:
    return readout * torch.tensor([1.0, 1.0, 0.0])


def test_the_dose_scales_what_is_added():
    route = Route.of(torch.eye(3)[:, :1], torch.eye(3))
    stream = torch.tensor([[2.0, 5.0, 7.0]])
    assert torch.allclose(route.added(stream, 0.5), torch.tensor([[1.0, 0.0, 0.0]]))
    assert not route.added(stream, 0.0).any()


def test_attention_is_rerouted_from_what_enters_the_block():
    llama, neox = (tiny.tiny_model(name) for name in ("llama", "neox"))
    mlp, z = Site(BLOCK, "mlp.hook_post"), Site(BLOCK, "attn.hook_z")
    assert stream_before(llama, mlp).point == "hook_resid_mid"
    assert stream_before(llama, z) == residual_after(BLOCK - 1)
    assert stream_before(neox, mlp) == residual_after(BLOCK - 1)
    assert stream_before(neox, replace(z, block=0)).point == "hook_resid_pre"
