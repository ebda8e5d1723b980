import pytest
import torch

from subspace_illusion.core import matmul as module
from subspace_illusion.core.matmul import matmul_in
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import linear_modules
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site

SITE = Site(1, "mlp.hook_post")


def logits_and_gradient(model: Model, change: torch.Tensor, tail) -> tuple[torch.Tensor, torch.Tensor]:
    change = change.clone().requires_grad_()
    logits = replay(model, tail, {SITE: change}).logits
    (gradient,) = torch.autograd.grad(logits.logsumexp(-1).sum(), change)
    return logits.detach(), gradient


def test_bfloat16_products_are_near_those_of_float32_and_leave_nothing_behind(model: Model):
    tokens = torch.randint(1, 500, (6, 9), generator=torch.Generator().manual_seed(0))
    tail = record(model, tokens, tail_from=1, position=5).tail
    change = torch.randn(6, model.width(SITE), generator=torch.Generator().manual_seed(1))
    logits, gradient = logits_and_gradient(model, change, tail)
    with matmul_in(model, "bfloat16", 1):
        rounded, of_rounded = logits_and_gradient(model, change, tail)
    assert rounded.dtype == of_rounded.dtype == torch.float32
    assert not torch.equal(rounded, logits)
    assert (rounded - logits).norm() < 0.05 * (logits - logits.mean()).norm()
    assert torch.cosine_similarity(of_rounded, gradient).min() > 0.99
    after, of_after = logits_and_gradient(model, change, tail)
    assert torch.equal(after, logits)
    assert torch.equal(of_after, gradient)


def test_every_weight_matrix_behind_the_block_is_multiplied_so(model: Model):
    found = linear_modules(model.bridge, 2)
    covered = {id(module.weight) for module in found}
    for part in (*model.bridge.blocks[2:], model.bridge.unembed):
        assert all(id(weight) in covered for weight in part.parameters() if weight.ndim == 2)


@pytest.mark.parametrize("native", [True, False])
def test_auto_asks_the_processor(llama: Model, monkeypatch, native):
    monkeypatch.setattr(module, "multiplies", lambda device, dtype: native)
    linear = next(iter(linear_modules(llama.bridge, 2)))
    with matmul_in(llama, "auto", 2):
        assert ("forward" in vars(linear)) == native
    with matmul_in(llama, "float32", 2):
        assert "forward" not in vars(linear)
    assert "forward" not in vars(linear)
