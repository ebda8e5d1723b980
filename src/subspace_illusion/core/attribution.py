"""Direct attribution (E3 b): how much of LD each head at END writes by itself, with every norm on its way frozen.

A norm is frozen at the scale that it has in the run at hand, and is then linear: so LD is a sum over what was written
into the residual stream. Nothing here knows an architecture: a norm's linear part is found by sending vectors through
it, what is done to logits by their gradient, and tests hold the sum to LD and the gradient to finite differences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from subspace_illusion.core.linear import in_float32, matrix_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.parts import norm_at_end, norm_behind
from subspace_illusion.core.placed import device_of
from subspace_illusion.core.replay import Recording, replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.core.tail import Tail
from subspace_illusion.errors import InputError

BENT = 1e-2
"""By what share of the largest logit the logits must leave a straight line to count as bent."""


class NoShareError(InputError):
    """Heads of this model have no direct share of LD; the message says why."""


@dataclass(frozen=True)
class FrozenNorm:
    """A norm as a linear map at a given scale: ``norm(x) = x @ linear / scale(x) + shift``.

    Attributes:
        linear: ``[d, d]``: the weights of the norm, behind the centring where it centres.
        shift: ``[d]``.
        norm: The module.
    """

    linear: torch.Tensor
    shift: torch.Tensor
    norm: Any

    @classmethod
    def of(cls, norm: Any, d: int, device: torch.device) -> "FrozenNorm":
        """Finds the linear part by sending unit vectors, large enough to drown the norm's epsilon, through the norm."""
        large, exact, device = 1e4, in_float32(norm), device_of(norm, device)
        with torch.no_grad():
            shift = exact(torch.zeros(1, d, device=device))
            two = large * torch.eye(d, device=device)[:2]
            centres = torch.allclose(exact(two), exact(two + large / 10), atol=1e-3)

        def unscaled(x: torch.Tensor) -> torch.Tensor:
            size = x - x.mean(1, keepdim=True) if centres else x
            return (exact(large * x) - shift) * size.square().mean(1, keepdim=True).sqrt()

        return cls(matrix_of(unscaled, d, device), shift[0].cpu(), norm)

    def scale(self, x: torch.Tensor) -> torch.Tensor:
        """By what the norm divides each of ``x [n, d]``, ``[n, 1]``."""
        with torch.no_grad():
            # The norm's module lives where the model does; what is measured lives on the CPU.
            device = device_of(self.norm, x.device)
            normed = in_float32(self.norm)(x.to(device)).cpu() - self.shift
        return (x @ self.linear).norm(dim=1, keepdim=True) / normed.norm(dim=1, keepdim=True)


def attention_sites(model: Model, start: int) -> list[Site]:
    """What a run from block ``start`` on must read for ``attribute_heads``.

    Raises:
        NoShareError: If a block from there on has no heads, as recurrent ones do not.
    """
    sites = []
    for block in range(start, model.n_blocks):
        if not model.has(Site(block, "attn.hook_z")):
            raise NoShareError(f"block {block} has no heads")
        behind = norm_behind(model.bridge.blocks[block], "attn")
        sites += [Site(block, point).end for point in ("attn.hook_z", *(["attn.hook_out"] if behind else []))]
    return [*sites, residual_after(model.n_blocks - 1).end]


def answer_directions(model: Model, recording: Recording, answer: torch.Tensor, foil: torch.Tensor) -> torch.Tensor:
    """The vector ``u [n, d_model]`` of each prompt whose product with what is written into the residual stream is LD.

    It is LD's slope in the residual stream, the norm's scale held. Where logits are linear in what the norm gives, by
    whatever factor, what is written adds up to LD; where they are capped, it adds up to LD's linear part at this run.

    Args:
        model: The model.
        recording: A run that read the last residual stream.
        answer: Token ids of the answers, ``[n]``.
        foil: Token ids of the foils, ``[n]``.

    Raises:
        NoShareError: If something but a norm, a matrix and what bends its logits stands behind the last block.
    """
    last = recording.activations[residual_after(model.n_blocks - 1).end]
    behind = norm_at_end(model.bridge)
    if behind is None:
        raise NoShareError("no norm stands behind the last block")
    norm = FrozenNorm.of(behind, last.shape[1], model.device)
    scale = norm.scale(last)
    normed, slope = _slope_behind_norm(model, last, answer.to(model.device), foil.to(model.device))
    # Tolerance: float32 sums of hundreds of terms, or what the norm's output is rounded to.
    off = max(1e-3, torch.finfo(model.dtype).eps)
    if not torch.allclose(
        last @ norm.linear / scale + norm.shift, normed, rtol=off, atol=off * float(normed.abs().max())
    ):
        raise NoShareError("more than a norm stands between the last block and the unembedding")
    return slope @ norm.linear.T / scale


def _slope_behind_norm(
    model: Model, last: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the unembedding reads, ``[n, d_model]``, and the gradient of LD with respect to it.

    Args:
        model: The model.
        last: The residual stream behind the last block, ``[n, d_model]``.
        answer: Token ids, ``[n]``.
        foil: Token ids, ``[n]``.
    """
    read: list[torch.Tensor] = []

    def leaf(normed: torch.Tensor) -> torch.Tensor:
        read.append(normed.detach().float().requires_grad_())
        return read[0]

    with torch.enable_grad():
        ld = logit_difference(_behind_blocks(model, last, leaf), answer, foil)
    (slope,) = torch.autograd.grad(ld.sum(), read[0])
    return read[0].detach().squeeze(1).cpu(), slope.squeeze(1).cpu()


def _behind_blocks(model: Model, last: torch.Tensor, put: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """The logits ``[n, vocabulary]`` that a residual stream ``[n, d_model]`` behind the last block gives, where the
    unembedding reads what ``put`` gives of what it would, ``[n, 1, d_model]``."""
    one = torch.ones(len(last), dtype=torch.long)
    tail = Tail(one, 0 * one, 0 * one[:, None], {model.n_blocks: last[:, None].to(model.dtype)}, {}, {})
    handle = model.bridge.unembed.register_forward_pre_hook(lambda module, args: (put(args[0]), *args[1:]))
    try:
        return replay(model, tail, {}, start=model.n_blocks).logits
    finally:
        handle.remove()


def bends_logits(model: Model) -> bool:
    """Whether logits are no linear function of what the unembedding reads, as with a soft cap that bites: then heads'
    shares are those of LD's linear part."""
    seen = model.read_by_unembedding

    def logits(times: float) -> torch.Tensor:
        return _behind_blocks(model, torch.ones_like(seen), lambda normed: times * seen[:, None])

    with torch.no_grad():
        at_zero = logits(0)
        once, twice = logits(1) - at_zero, logits(2) - at_zero
    return not torch.allclose(twice, 2 * once, rtol=0, atol=BENT * float(once.abs().max()))


def attribute_heads(model: Model, recording: Recording, start: int, u: torch.Tensor) -> torch.Tensor:
    """What each head from block ``start`` on writes along ``u``, ``[n, blocks, heads]``, in units of LD.

    Args:
        model: The model.
        recording: A run that read ``attention_sites``.
        start: The first block.
        u: The direction of each prompt, ``[n, d_model]``.

    Raises:
        NoShareError: If what a block's attention gives is added to the residual stream neither by a factor nor through
            a norm.
    """
    shares = []
    for block in range(start, model.n_blocks):
        behind = norm_behind(model.bridge.blocks[block], "attn")
        heads = Site(block, "attn.hook_z").end
        z, readout = recording.activations[heads], model.readout(heads)
        assert readout is not None
        if behind is not None:
            out = recording.activations[Site(block, "attn.hook_out").end]
            norm = FrozenNorm.of(behind, out.shape[1], model.device)
            towards = u @ norm.linear.T / norm.scale(out)
        else:
            factor = model.factor_behind(block, "attn")
            if factor is None:
                raise NoShareError(
                    f"what the attention of block {block} gives is changed before it is added to the stream"
                )
            towards = u * factor
        shares.append((z * (towards @ readout.T)).unflatten(1, (model.n_heads, -1)).sum(-1))
    return torch.stack(shares, 1)
