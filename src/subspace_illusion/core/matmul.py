"""Matrix products in bfloat16: several times as fast as in float32 on processors that have them.

What is between the products stays in float32: the residual stream, norms, attention, losses, and whatever is trained.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from subspace_illusion.core.device import multiplies
from subspace_illusion.core.forwards import forwards
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import linear_modules
from subspace_illusion.core.placed import is_offloaded

MatmulDtype = Literal["auto", "float32", "bfloat16"]
"""What products are made in; ``auto`` is bfloat16 where the device multiplies it and float32 elsewhere."""


def resolved(kind: MatmulDtype, device: torch.device) -> MatmulDtype:
    """What ``auto`` stands for on a device; the others stand for themselves."""
    if kind != "auto":
        return kind
    return "bfloat16" if multiplies(device, torch.bfloat16) else "float32"


@contextmanager
def matmul_in(model: Model, kind: MatmulDtype, start: int) -> Iterator[None]:
    """Within, the linear modules from a block on, and the unembedding, multiply in ``kind``.

    The weights are rounded once, at the start, into a copy of half their size.

    Args:
        model: The model.
        kind: What in; ``float32`` leaves the model as it is. So does a model whose weights are kept in less.
        start: The first block.
    """
    faster = resolved(kind, model.device) == "bfloat16" and model.dtype == torch.float32
    listed = linear_modules(model.bridge, start) if faster else {}
    # A copy of what is offloaded would be where there is no room.
    rounded = {module: _product(*weights()) for module, weights in listed.items() if not is_offloaded(module)}
    with forwards(rounded):
        yield


def _product(weight: torch.Tensor, bias: torch.Tensor | None) -> Callable[[torch.Tensor], torch.Tensor]:
    """``x W^T + b`` with the product in bfloat16, W ``[out, in]``, and the sum in the dtype of ``x``."""
    weight = weight.bfloat16().contiguous()

    def forward(x: torch.Tensor) -> torch.Tensor:
        x = x.to(weight.device)
        y = torch.nn.functional.linear(x.to(weight.dtype), weight).to(x.dtype)
        return y if bias is None else y + bias

    return forward
