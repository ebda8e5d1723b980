"""The path to another device, as far as it goes without one: on ``meta``, which computes no values but knows devices.

Adding a tensor there to one on the CPU is an error, as it would be with a GPU; multiplying their matrices is not.
"""

from dataclasses import replace

import pytest
import torch

import tiny
from subspace_illusion.core.model import Model
from subspace_illusion.core.products import products_in
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site, residual_after

META = torch.device("meta")
SITES = (Site(1, "mlp.hook_post"), Site(1, "attn.hook_z", 2), residual_after(1))


@pytest.mark.parametrize("position", [7, 4], ids=["END", "before END"])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_replay_forward_and_backward_stays_on_the_device(architecture: str, position: int):
    model = tiny.tiny_model(architecture)
    widths = {site: model.width(site) for site in SITES}
    tokens = torch.randint(1, 500, (3, 8), generator=torch.Generator().manual_seed(0))
    tail = record(model, tokens, tail_from=1, position=position).tail  # on the CPU, as the cache gives it
    there = on_meta(model)
    for site, width in widths.items():
        for kind in ("float32", "bfloat16"):
            change = torch.zeros(3, width, device=META, requires_grad=True)
            with products_in(there, kind, site.start):
                logits = replay(there, tail, {site: change}).logits
            assert logits.device == META
            assert logits.shape == (3, there.bridge.cfg.d_vocab)
            (gradient,) = torch.autograd.grad(logits.sum(), change)
            assert (gradient.device, gradient.shape) == (META, change.shape)


def test_a_tensor_on_the_wrong_device_would_be_seen():
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device=META) + torch.zeros(3)


def on_meta(model: Model) -> Model:
    model.bridge.original_model.to(META)
    return replace(model, device=META)
