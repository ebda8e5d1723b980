"""Direct attribution (E3 b): how much of LD each head at END writes by itself, with every norm on its way frozen.

A norm is frozen at the scale that it has in the run at hand, and is then linear: so LD is a sum over what was written
into the residual stream. Nothing here knows an architecture: a norm's linear part is found by sending vectors through
it, and a test holds the sum to LD.
"""

from dataclasses import dataclass
from typing import Any

import torch

from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import Recording
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError


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
        large = 1e4
        with torch.no_grad():
            shift = norm(torch.zeros(1, d, device=device))
            two = large * torch.eye(d, device=device)[:2]
            centres = torch.allclose(norm(two), norm(two + large / 10), atol=1e-3)

        def unscaled(x: torch.Tensor) -> torch.Tensor:
            size = x - x.mean(1, keepdim=True) if centres else x
            return (norm(large * x) - shift) * size.square().mean(1, keepdim=True).sqrt()

        return cls(matrix_of(unscaled, d, device), shift[0].cpu(), norm)

    def scale(self, x: torch.Tensor) -> torch.Tensor:
        """By what the norm divides each of ``x [n, d]``, ``[n, 1]``."""
        with torch.no_grad():
            # The norm's module lives where the model does; what is measured lives on the CPU.
            device = next(iter(self.norm.parameters()), x).device
            normed = self.norm(x.to(device)).cpu() - self.shift
        return (x @ self.linear).norm(dim=1, keepdim=True) / normed.norm(dim=1, keepdim=True)


def attention_sites(model: Model, start: int) -> list[Site]:
    """What a run from block ``start`` on must read for ``attribute_heads``."""
    points = ["attn.hook_z", "attn.hook_out"] if hasattr(model.bridge.blocks[0], "ln1_post") else ["attn.hook_z"]
    sites = [Site(block, point).end for block in range(start, model.n_blocks) for point in points]
    return [*sites, residual_after(model.n_blocks - 1).end]


def answer_directions(model: Model, recording: Recording, answer: torch.Tensor, foil: torch.Tensor) -> torch.Tensor:
    """The vector ``u [n, d_model]`` of each prompt whose product with what is written into the residual stream is LD.

    Args:
        model: The model.
        recording: A run that read the last residual stream.
        answer: Token ids of the answers, ``[n]``.
        foil: Token ids of the foils, ``[n]``.

    Raises:
        InputError: If LD is not linear in the normalised residual stream, as with a soft cap on the logits.
    """
    last = recording.activations[residual_after(model.n_blocks - 1).end]
    d = last.shape[1]
    norm = FrozenNorm.of(model.bridge.ln_final, d, model.device)
    # The unembedding is linear, so the gradient of LD at zero holds the two columns that each prompt needs.
    zero = torch.zeros(len(last), d, device=model.device, requires_grad=True)
    at_zero = logit_difference(model.bridge.unembed(zero), answer.to(model.device), foil.to(model.device))
    (gradient,) = torch.autograd.grad(at_zero.sum(), zero)
    columns = gradient.cpu()
    u = columns @ norm.linear.T / norm.scale(last)
    constant = columns @ norm.shift + at_zero.detach().cpu()
    ld = logit_difference(recording.logits.cpu(), answer, foil)
    # Tolerance: float32 sums of hundreds of terms of the size of the logits.
    if not torch.allclose((last * u).sum(1) + constant, ld, atol=1e-2 + 1e-3 * float(ld.abs().max())):
        raise InputError("the logits are not linear in the normalised residual stream, so heads have no direct share")
    return u


def attribute_heads(model: Model, recording: Recording, start: int, u: torch.Tensor) -> torch.Tensor:
    """What each head from block ``start`` on writes along ``u``, ``[n, blocks, heads]``, in units of LD.

    Args:
        model: The model.
        recording: A run that read ``attention_sites``.
        start: The first block.
        u: The direction of each prompt, ``[n, d_model]``.
    """
    shares = []
    for block in range(start, model.n_blocks):
        of_block = model.bridge.blocks[block]
        heads = Site(block, "attn.hook_z").end
        z, readout = recording.activations[heads], model.readout(heads)
        assert readout is not None
        towards = u
        if hasattr(of_block, "ln1_post"):
            out = recording.activations[Site(block, "attn.hook_out").end]
            norm = FrozenNorm.of(of_block.ln1_post, out.shape[1], model.device)
            towards = u @ norm.linear.T / norm.scale(out)
        shares.append((z * (towards @ readout.T)).unflatten(1, (model.n_heads, -1)).sum(-1))
    return torch.stack(shares, 1)
