import pytest
import torch

import tiny
from subspace_illusion.core.basis import closeness, orthonormal
from subspace_illusion.core.heads import readers_readout, replay_holding, score_gradient
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, residual_after, residual_entering
from subspace_illusion.core.tail import Tail
from subspace_illusion.errors import InputError

TOKENS = torch.randint(1, 500, (4, 9), generator=torch.Generator().manual_seed(0))


def test_queries_see_the_residual_through_the_readout(model):
    """A direction that the readout maps to zero moves the query only by changing the norm's scale."""
    head = Site(2, "attn.hook_q", 3)
    readout = readers_readout(model, [head], look_back=False)
    assert readout.shape == (32, 8)
    u, _, _ = torch.linalg.svd(readout)
    site = residual_entering(2)

    def turned(direction: torch.Tensor) -> torch.Tensor:
        """Sine of the angle by which a push along the direction turns the query."""
        q = [
            record(model, TOKENS, [head], changes={site: push * direction.expand(4, -1)}).activations[head]
            for push in (0, 1)
        ]
        with torch.no_grad():  # a bias of the queries is no part of what they see
            bias = model.bridge.blocks[2].attn.q(torch.zeros(1, 32)).flatten().view(4, -1)[3]
        q = [x - bias - shift_of_norm(model) for x in q]
        cos = torch.nn.functional.cosine_similarity(q[0], q[1])
        return (1 - cos.square()).clamp(min=0).sqrt().max()

    assert turned(u[:, -1]) < 1e-2 < 0.1 < turned(u[:, 0])


def shift_of_norm(model) -> torch.Tensor:
    """What the norm's own bias gives the query of head 3 of block 2."""
    block = model.bridge.blocks[2]
    with torch.no_grad():
        at_zero = block.attn.q(block.ln1(torch.zeros(1, 32))) - block.attn.q(torch.zeros(1, 32))
    return at_zero.flatten().view(4, -1)[3]


def test_the_gradient_is_that_of_the_full_forward(model):
    """Finite differences of the attention scores in full forward passes, prompts of two lengths in one tail."""
    heads = [Site(2, "attn.hook_z", 1), Site(3, "attn.hook_z", 0)]
    site = residual_after(1)
    prompts = [TOKENS, TOKENS[:, :7]]
    # Names near END, inside Gemma's window: what is hidden has no score.
    first, second = torch.tensor([5, 6, 7, 5, 3, 4, 5, 3]), torch.tensor([6, 5, 5, 7, 4, 3, 3, 5])
    tail = Tail.cat([record(model, tokens, tail_from=2).tail for tokens in prompts])
    found = score_gradient(model, site, tail, heads, first, second)

    def preference(direction: torch.Tensor) -> float:
        total = 0.0
        for place, tokens in enumerate(prompts):
            at = slice(4 * place, 4 * place + 4)

            def read(scores, hook, at=at):
                nonlocal total
                head = 1 if hook.name.startswith("blocks.2") else 0
                end, rows = scores[:, head, -1], torch.arange(4)
                total += float((end[rows, first[at]] - end[rows, second[at]]).sum())

            hooks = [(Site(head.block, "attn.hook_attn_scores").hook, read) for head in heads]
            with model.bridge.hooks(fwd_hooks=hooks):
                record(model, tokens, changes={site: direction.expand(4, -1)})
        return total

    step = 1e-2
    probes = torch.randn(6, 32, generator=torch.Generator().manual_seed(2))  # the slopes along a few directions will do
    probes = orthonormal(probes.mT).mT
    if model.centres:
        probes = probes - probes.mean(1, keepdim=True)
    by_hand = torch.tensor([preference(step * probe) - preference(-step * probe) for probe in probes])[:, None]
    assert closeness(probes @ found, by_hand) > 0.999


def test_without_readers_there_is_no_gradient_and_no_readout(llama):
    tail = record(llama, TOKENS, tail_from=3).tail
    with pytest.raises(InputError, match="downstream of blocks.2"):
        score_gradient(llama, residual_after(2), tail, [Site(1, "attn.hook_z", 0)], TOKENS[:, 0], TOKENS[:, 0])
    with pytest.raises(InputError, match="no readers"):
        readers_readout(llama, [], look_back=False)


def test_query_heads_that_share_keys_have_queries_of_their_own():
    llama = tiny.tiny_model("llama")
    one, two = (readers_readout(llama, [Site(2, "attn.hook_z", head)], look_back=False) for head in (0, 1))
    assert not torch.allclose(one, two)


def test_who_looks_back_sees_keys_and_values(model):
    """A direction that the readout maps to zero moves neither key nor value, but for the scale of the norm."""
    readout = readers_readout(model, [Site(2, "attn.hook_z", 3)], look_back=True)
    assert readout.shape == (32, 16)
    u, _, _ = torch.linalg.svd(readout)
    seen, unseen = u[:, 0], u[:, -1]
    block = model.bridge.blocks[2]

    def read(residual: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            normed = block.ln1(residual)
            parts = [getattr(block.attn, name)(normed).flatten(1).unflatten(1, (-1, 8))[:, -1] for name in ("k", "v")]
        return torch.cat(parts, 1)

    x = 1e3 * seen[None]  # so long that the other direction hardly changes the scale
    torch.testing.assert_close(read(x + unseen), read(x), atol=1e-2, rtol=1e-2)
    assert not torch.allclose(read(-x), read(x), atol=0.5)


def test_heads_that_share_keys_and_values_have_them_once():
    llama = tiny.tiny_model("llama")  # heads 0 and 1 share theirs, and so do 2 and 3
    of_group, of_both, of_two = (
        readers_readout(llama, [Site(2, "attn.hook_z", head) for head in heads], look_back=True)
        for heads in ((0,), (0, 1), (1, 2))
    )
    torch.testing.assert_close(of_group, of_both)
    assert of_two.shape == (32, 32)


def test_heads_are_held_whatever_reaches_them(model):
    """Two heads in blocks after one another, held at other prompts' outputs, where a patch would move the second."""
    z = [Site(2, "attn.hook_z"), Site(3, "attn.hook_z")]
    site, other = residual_entering(2), torch.randint(1, 500, (4, 9), generator=torch.Generator().manual_seed(1))
    tail = record(model, TOKENS, [site], tail_from=2).tail
    run = record(model, other, z)
    heads = [Site(2, "attn.hook_z", 1), Site(3, "attn.hook_z", 2)]
    outputs = {head: run.activations[at].unflatten(1, (4, -1))[:, head.head] for head, at in zip(heads, z, strict=True)}
    held = replay_holding(model, tail, outputs, 2)
    # In full forward passes: what is missing is added, first to the earlier head, then to the later one.
    changes: dict[Site, torch.Tensor] = {}
    for head, at in zip(heads, z, strict=True):
        now = record(model, TOKENS, [at], changes=changes).activations[at].unflatten(1, (4, -1))[:, head.head]
        changes[head] = outputs[head] - now
    torch.testing.assert_close(held, record(model, TOKENS, changes=changes).logits, atol=1e-4, rtol=1e-4)
