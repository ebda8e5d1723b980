"""Linear modules as matrices, found by sending unit vectors through them, which serves every architecture alike."""

from collections.abc import Callable

import torch


def matrix_of(linear: Callable[[torch.Tensor], torch.Tensor], d: int, device: torch.device) -> torch.Tensor:
    """The matrix of a linear module, ``[d, ...]`` on the CPU: ``linear(x) = x @ matrix + constant``.

    Args:
        linear: The module, or a function; what it gives behind the first dimension is kept as it is.
        d: How many dimensions it reads.
        device: Where it lives.
    """
    with torch.no_grad():
        rows = linear(torch.cat([torch.zeros(1, d, device=device), torch.eye(d, device=device)]))
    return (rows[1:] - rows[:1]).cpu()
