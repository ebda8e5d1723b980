"""Attention heads: what they see of the residual stream, and what moves their attention."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from subspace_illusion.core.attribution import FrozenNorm
from subspace_illusion.core.basis import orthonormal
from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import maps_into_heads, norm_before
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail
from subspace_illusion.errors import InputError


def readers_readout(model: Model, heads: Sequence[Site], look_back: bool) -> torch.Tensor:
    """What some heads see of the residual stream at one token, columns side by side, behind their norm.

    Where they sit at the token, their W_Q; where they look back at it, their W_K and W_V. Query heads that share keys
    and values (grouped queries) have a W_Q each, and the W_K and W_V of their group, which is taken once.

    Args:
        model: The model.
        heads: At least one head.
        look_back: Whether they look back at the token from a later one.

    Returns:
        ``[d_model, columns]``.

    Raises:
        InputError: If there is no head.
    """
    if not heads:
        raise InputError("there are no readers that could be looked at: lower find_readers.share")
    d, columns = model.bridge.cfg.d_model, []
    for number in sorted({head.block for head in heads}):
        block = model.bridge.blocks[number]
        before = norm_before(block, "attn")
        seen = torch.eye(d) if before is None else FrozenNorm.of(before[0], d, model.device).linear
        of_block = [int(head.head or 0) for head in heads if head.block == number]
        for linear in maps_into_heads(block.attn, look_back):
            weights = seen @ matrix_of(linear, d, model.device).flatten(1)
            by_head = weights.unflatten(1, (-1, model.d_head))  # fewer where heads share keys and values
            shared = model.n_heads // by_head.shape[1]
            columns += [by_head[:, head] for head in sorted({head // shared for head in of_block})]
    return torch.cat(columns, 1)


def with_matrices(model: Model, heads: Sequence[Site], look_back: bool) -> list[Site]:
    """Those of some heads that ``readers_readout`` can look at: attention with latent keys has no matrices for it."""
    return [head for head in heads if maps_into_heads(model.bridge.blocks[head.block].attn, look_back)]


def replay_holding(model: Model, tail: Tail, outputs: Mapping[Site, torch.Tensor], start: int) -> torch.Tensor:
    """Replays with the outputs of some heads at END held, whatever reaches them; without gradients.

    Args:
        model: The model.
        tail: The tail of the base prompts, holding the blocks from ``start`` on.
        outputs: What each head gives at END (its ``attn.hook_z``), ``[n, d_head]``.
        start: The first block to run.

    Returns:
        The logits, ``[n, vocabulary]``, on the CPU.
    """

    rows = torch.arange(len(tail))

    def holder(of_block: Mapping[int, torch.Tensor]) -> Any:
        def hold(z: torch.Tensor, hook: Any) -> torch.Tensor:
            held = z.clone()  # [n, tokens, heads, d_head]
            for head, output in of_block.items():
                held[rows, tail.ends, head] = output.to(z.device)
            return held

        return hold

    by_hook: dict[str, dict[int, torch.Tensor]] = {}
    for head, output in outputs.items():
        by_hook.setdefault(head.hook, {})[int(head.head or 0)] = output
    hooks = [(name, holder(of_block)) for name, of_block in by_hook.items()]
    with torch.no_grad(), model.bridge.hooks(fwd_hooks=hooks):
        return replay(model, tail, {}, start=start).logits.cpu()


def score_gradient(
    model: Model,
    site: Site,
    tail: Tail,
    heads: Sequence[Site],
    first: torch.Tensor,
    second: torch.Tensor,
) -> torch.Tensor:
    """The mean gradient, at a site, of the readers' attention from END to the first name over the second (E3 d).

    The first minus the second rather than IO minus S, because that is what the position signal must set, with one sign
    for both patterns: where S is second, attention goes to the first.

    Args:
        model: The model.
        site: Where the gradient is taken, ``d`` wide.
        tail: The tail of clean prompts, from the site's block on.
        heads: The readers; those before the site do not count.
        first: Position of the first name in each prompt, ``[n]``.
        second: Position of the second, ``[n]``.

    Returns:
        A basis ``[d, 1]``.

    Raises:
        InputError: If no reader lies downstream of the site, or the scores do not depend on it.
    """
    heads = [head for head in heads if head.block >= site.start]
    if not heads:
        raise InputError(f"no reader lies downstream of {site.name}")
    # The earlier tokens are padded on the left to the most that there are, and so are the keys.
    shift = tail.earlier - tail.positions
    rows = torch.arange(len(tail))
    change = torch.zeros(len(tail), model.width(site), requires_grad=True)
    preferences = []

    def collect(of_block: Sequence[int]) -> Any:
        def read(scores: torch.Tensor, hook: Any) -> None:
            end = scores[rows, :, tail.ends][:, of_block]  # [n, heads, keys]
            preferences.append((end[rows, :, first + shift] - end[rows, :, second + shift]).sum().cpu())

        return read

    by_block: Mapping[int, list[int]] = {
        block: [int(head.head or 0) for head in heads if head.block == block]
        for block in {head.block for head in heads}
    }
    hooks = [(Site(block, "attn.hook_attn_scores").hook, collect(listed)) for block, listed in by_block.items()]
    with model.bridge.hooks(fwd_hooks=hooks):
        replay(model, tail, {site: change})
    (gradient,) = torch.autograd.grad(torch.stack(preferences).sum(), change)
    mean = model.centred(site, gradient).mean(0)[:, None]
    if not mean.norm() > 0:
        raise InputError(f"the readers' attention scores do not depend on {site.name}")
    return orthonormal(mean)
