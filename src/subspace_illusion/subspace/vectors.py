"""The vectors of a tensor: what is known of them, what stands beside them in a file, and whether they are a basis."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from subspace_illusion.subspace.held import Held

ORTHOGONAL = 1e-4
"""The largest cosine between two vectors of a basis, besides what rounding their numbers makes of it."""
_DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
"""From the fewest digits to the most."""


@dataclass(frozen=True)
class Vectors:
    """A tensor of a file, and what is known of the vectors in it.

    Attributes:
        values: ``[d]``, ``[k, d]`` or ``[d, k]``, or with more axes before these.
        kind: What it is taken for; empty where its shape says so.
        rows: Whether its vectors are the rows (``True``) or the columns (``False``); ``None`` where its shape says so.
        meant: Which vectors are meant where none are chosen: as many of the first, or these; ``None`` for all.
        together: Whether the vectors span one subspace, be they orthogonal or not, or each stands for itself; ``None``
            where that is for their cosines to say.
        done: What was done to them.
        refused: Why it is no subspace, and what to do; empty where it is one.
    """

    values: torch.Tensor
    kind: str = ""
    rows: bool | None = None
    meant: list[int] | None = None
    together: bool | None = None
    done: str = ""
    refused: str = ""

    def after(self, done: str, **changes: Any) -> "Vectors":
        """These after something was done to them."""
        return replace(self, done="; ".join(part for part in (self.done, done) if part), **changes)


def module_and_name(tensor: str) -> tuple[str, str]:
    """A tensor's module with the dot or slash behind it, empty where there is none, and its name in there."""
    cut = max(tensor.rfind("."), tensor.rfind("/")) + 1
    return tensor[:cut], tensor[cut:]


def called(tensor: str) -> str:
    """A tensor's name in its module, in small letters."""
    return module_and_name(tensor)[1].lower()


def beside(held: Held, name: str, *others: str) -> torch.Tensor | None:
    """The first of some tensors, or numbers, that stand beside a tensor in its module."""
    for path in (module_and_name(name)[0] + other for other in others):
        if path in held.tensors:
            return held.tensors[path]
        if isinstance(number := held.said.get(path), int | float):
            return torch.tensor(number)
    return None


def as_rows(values: torch.Tensor, width: int) -> torch.Tensor | None:
    """Vectors as the rows of their last two axes, whichever of these is ``d`` (the last, where both are).

    Args:
        values: ``[d]``, ``[k, d]`` or ``[d, k]``; axes before these are of one and kept.
        width: ``d``.

    Returns:
        ``[..., k, d]``; ``None`` where the shape is another, or the numbers are none of vectors.
    """
    values = values[None] if values.ndim == 1 else values
    if not values.is_floating_point() or values.ndim == 0 or any(size != 1 for size in values.shape[:-2]):
        return None
    if values.shape[-1] == width:
        return values
    return values.mT if values.shape[-2] == width else None


def precision_of(values: torch.Tensor) -> torch.finfo:
    """What the digits of numbers are: those of their dtype, or of the shortest one that holds them all, as where
    bfloat16 was saved as float32."""
    dtypes = _DTYPES if torch.finfo(values.dtype).bits > 16 else ()
    double = values.double()
    exact = (dtype for dtype in dtypes if torch.equal(values.to(dtype).double(), double))
    return torch.finfo(next(exact, values.dtype))


def unit_rows(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors at length one, ``[k, d]``, and what their lengths were, ``[k, 1]``; both float64."""
    double = values.double()
    largest = double.abs().amax(1, keepdim=True)
    scaled = double / largest  # so that the squares of the largest and smallest numbers fit as well
    norms = scaled.norm(dim=1, keepdim=True)
    return scaled / norms, norms * largest


def are_orthogonal(values: torch.Tensor) -> bool:
    """Whether no two of the vectors ``[k, d]`` lean on each other by more than a step of rounding in each of their
    numbers may explain, where the steps are independent of each other."""
    precision = precision_of(values)
    unit, lengths = unit_rows(values)
    steps = precision.eps * torch.maximum(unit.abs(), precision.tiny / lengths)
    moved = steps.square() @ unit.square().mT
    cosines = (unit @ unit.mT).fill_diagonal_(0).abs()
    return bool((cosines <= ORTHOGONAL + (moved + moved.mT).sqrt()).all())
