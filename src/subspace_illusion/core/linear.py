"""Linear modules as matrices, found by sending unit vectors through them, which serves every architecture alike; and
modules in float32, whatever their weights are kept in."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from subspace_illusion.core.placed import at_hand, device_of, unhooked

UNITS = 1024
"""Unit vectors that are sent through a module at a time."""
SLICE = 2**22
"""Numbers of a weight in 16 bits that are in float32 at a time, 16 MB: pieces of that size malloc gives again."""


def matrix_of(linear: Callable[[torch.Tensor], torch.Tensor], d: int, device: torch.device) -> torch.Tensor:
    """The matrix of a linear module, ``[d, ...]`` in float32 on the CPU: ``linear(x) = x @ matrix + constant``.

    Args:
        linear: The module, or a function of float32; what it gives behind the first dimension is kept as it is.
        d: How many dimensions it reads.
        device: Where a function computes; a module is asked itself.
    """
    function, parts = linear, []
    if isinstance(linear, torch.nn.Module):
        function, device = in_float32(linear), device_of(linear, device)
    with torch.no_grad():
        constant = function(torch.zeros(1, d, device=device))
        for rows in torch.arange(d, device=device).split(UNITS):
            unit = torch.zeros(len(rows), d, device=device)
            unit[torch.arange(len(rows), device=device), rows] = 1
            parts.append((function(unit) - constant).cpu())
    return torch.cat(parts)


def in_float32(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a module computes, from float32 to float32; its weights are rounded already, nothing else is."""
    if all(parameter.dtype == torch.float32 for parameter in module.parameters()):
        return module
    with at_hand(module):
        exact = {name: parameter.float() for name, parameter in module.named_parameters()}

    def function(x: torch.Tensor) -> torch.Tensor:
        with unhooked(module):
            # The bridge reaches each weight by two names; swapped under both, it would not be put back.
            found: torch.Tensor = torch.func.functional_call(module, exact, (x,), tie_weights=False)
        return found

    return function


def logits_in_float32(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """What an unembedding gives, in float32, whatever its weight ``[vocabulary, d_model]`` is kept in: a logit of 20 in
    bfloat16 is the next one's neighbour at a distance of 0.125."""
    x, added = x.to(weight.device).float(), None if bias is None else bias.float()
    if weight.dtype == torch.float32:
        return torch.nn.functional.linear(x, weight, added)
    product: torch.Tensor = _InSlices.apply(x, weight)
    return product if added is None else product + added


def rounded_once(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """What a linear module gives in the dtype of ``x``, product and sum made in float32: where a processor has no
    products in 16 bits of its own, its library's take some forty times as long."""
    return logits_in_float32(x, weight, bias).to(x.dtype)


class _InSlices(torch.autograd.Function):
    """``x W^T`` in float32 with only ``SLICE`` numbers of W in float32 at a time, there and back: as much again as a
    large vocabulary's unembedding in half precision would be the most that anything takes. W gets no gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(weight)
        out = x.new_empty(*x.shape[:-1], len(weight))
        slices = _slices(weight)
        for part, rows in zip(out.split([len(rows) for rows in slices], -1), slices, strict=True):
            part.copy_(x @ rows.float().T)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        ((weight,), (gradient,)) = ctx.saved_tensors, gradients
        slices = _slices(weight)
        of_slices = gradient.split([len(rows) for rows in slices], -1)
        parts = (y @ rows.float() for y, rows in zip(of_slices, slices, strict=True))
        return functools.reduce(torch.add, parts), None


def _slices(weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return weight.split(max(1, SLICE // weight.shape[1]))
