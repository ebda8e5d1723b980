"""Linear modules as matrices, found by sending unit vectors through them, which serves every architecture alike; and
modules in float32, whatever their weights are kept in."""

from collections.abc import Callable

import torch


def matrix_of(linear: Callable[[torch.Tensor], torch.Tensor], d: int, device: torch.device) -> torch.Tensor:
    """The matrix of a linear module, ``[d, ...]`` in float32 on the CPU: ``linear(x) = x @ matrix + constant``.

    Args:
        linear: The module, or a function of float32; what it gives behind the first dimension is kept as it is.
        d: How many dimensions it reads.
        device: Where it lives.
    """
    function = in_float32(linear) if isinstance(linear, torch.nn.Module) else linear
    with torch.no_grad():
        rows = function(torch.cat([torch.zeros(1, d, device=device), torch.eye(d, device=device)]))
    return (rows[1:] - rows[:1]).cpu()


def in_float32(module: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a module computes, from float32 to float32; its weights are rounded already, nothing else is."""
    if all(parameter.dtype == torch.float32 for parameter in module.parameters()):
        return module
    exact = {name: parameter.float() for name, parameter in module.named_parameters()}
    # The bridge reaches each weight by two names; swapped under both, it would not be put back.
    return lambda x: torch.func.functional_call(module, exact, (x,), tie_weights=False)


def logits_in_float32(weight: torch.Tensor, bias: torch.Tensor | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """An unembedding that gives float32, whatever its weight ``[vocabulary, d_model]`` is kept in: a logit of 20 in
    bfloat16 is the next one's neighbour at a distance of 0.125."""
    return lambda x: torch.nn.functional.linear(x.float(), weight.float(), None if bias is None else bias.float())
