"""Subspaces: frames of orthonormal columns, what patching along them changes, and their split into row and null part.

A frame is a ``[..., d, k]`` tensor of ``k`` orthonormal columns; ``k = 1`` is a direction.
"""

from dataclasses import dataclass

import torch

from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.errors import InputError

SMALLEST_PART = 0.01
"""How long a direction of a frame's row or null part has to be to count as one, beside the frame's unit vectors.

A shorter one holds less than a ten thousandth of what its column holds, and normalised it would be an axis made of what
training and rounding left over.
"""


def orthonormal(matrix: torch.Tensor) -> torch.Tensor:
    """A frame that spans the columns of ``matrix``, differentiable, with the columns' own orientation.

    Args:
        matrix: ``[..., d, k]`` of full column rank; ``k = 1`` is only normalised, without any factorisation.
    """
    if matrix.shape[-1] == 1:
        return matrix / matrix.norm(dim=-2, keepdim=True)
    q, r = torch.linalg.qr(matrix)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def random_frame(d: int, k: int, seed: int, *labels: object) -> torch.Tensor:
    """A frame ``[d, k]`` of a uniformly random subspace."""
    return orthonormal(torch.randn(d, k, generator=torch_generator(seed, *labels)))


def patch_change(base: torch.Tensor, source: torch.Tensor, frame: torch.Tensor | None) -> torch.Tensor:
    """What patching along a subspace adds to the base: ``(x_source - x_base) V V^T`` (the post: where it can go wrong).

    Args:
        base: Activations of the base prompts, ``[..., n, d]``.
        source: Activations of the source prompts, the same shape.
        frame: ``[..., d, k]``, or ``None`` for the whole component.

    Returns:
        The change, ``[..., n, d]``.
    """
    difference = source - base
    return difference if frame is None else (difference @ frame) @ frame.mT


def mean_difference(activations: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """The direction between two class means, a frame ``[d, 1]`` that points to the positive class.

    Args:
        activations: ``[n, d]``.
        positive: Booleans ``[n]``, true for the positive class.

    Raises:
        InputError: If a class is empty or the means coincide.
    """
    if not (positive.any() and (~positive).any()):
        raise InputError("a mean difference needs prompts of both classes")
    difference = (activations[positive].mean(0) - activations[~positive].mean(0)).unsqueeze(-1)
    if not difference.norm() > 0:
        raise InputError("the class means are the same, so their difference has no direction")
    return orthonormal(difference)


def oriented(frame: torch.Tensor, activations: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """The same subspace with each column's sign chosen by the data: the positive class projects higher on it.

    Args:
        frame: ``[d, k]``.
        activations: ``[n, d]``.
        positive: Booleans ``[n]``.
    """
    projections = activations @ frame
    gap = projections[positive].mean(0) - projections[~positive].mean(0)
    return frame * torch.where(gap < 0, -1.0, 1.0)


def main_axis(frame: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """The axis inside a subspace along which the classes differ, ``[d, 1]``: the frame itself where it is a direction.

    Args:
        frame: ``[d, k]``, oriented.
        difference: The mean difference, ``[d, 1]``.
    """
    return frame @ orthonormal(frame.mT @ difference)


def closeness(vectors: torch.Tensor, frame: torch.Tensor) -> float:
    """Cosine between two subspaces given by their columns, ``[d, k]`` and ``[d, k']``, none of them empty.

    For two directions the cosine with its sign; beyond that the largest cosine between a vector of the one and a
    vector of the other (of the smallest principal angle).
    """
    if vectors.shape[1] == frame.shape[1] == 1:
        return float((orthonormal(vectors).mT @ orthonormal(frame)).item())
    return float(torch.linalg.matrix_norm(orthonormal(vectors).mT @ orthonormal(frame), 2))


@dataclass(frozen=True)
class Split:
    """A subspace split by a readout matrix W (``[d, d_out]``, output = activation @ W).

    Attributes:
        row_vectors: The part of each column in the row space of the readout, what the output sees, ``[d, k]``,
            not normalised (post: proj).
        null_vectors: The rest, which the readout maps to zero, ``[d, k]``, not normalised (post: null_proj).
        rank: Rank of the readout at the tolerance.
    """

    row_vectors: torch.Tensor
    null_vectors: torch.Tensor
    rank: int

    @property
    def row(self) -> torch.Tensor | None:
        """Frame of the row part, or ``None`` where it is empty."""
        return _span(self.row_vectors)

    @property
    def null(self) -> torch.Tensor | None:
        """Frame of the null part, or ``None`` where it is empty."""
        return _span(self.null_vectors)

    @property
    def both(self) -> torch.Tensor:
        """Frame of the span of both parts, of up to ``2k`` dimensions."""
        parts = [part for part in (self.row, self.null) if part is not None]
        return torch.cat(parts, dim=1)  # the parts are orthogonal to each other


def split(frame: torch.Tensor, readout: torch.Tensor, tolerance: float) -> Split:
    """Splits a subspace into its row and null part (E5).

    Args:
        frame: ``[d, k]``.
        readout: ``[d, d_out]``, such as ``W_out`` of an MLP.
        tolerance: Singular values below ``tolerance`` times the largest count as zero.

    Raises:
        InputError: If the shapes do not fit.
    """
    if readout.shape[0] != frame.shape[0]:
        raise InputError(f"the readout takes {readout.shape[0]} dimensions, the subspace lives in {frame.shape[0]}")
    # In double precision, so that the null part is null to the last digit that float32 can hold.
    u, s, _ = torch.linalg.svd(readout.double(), full_matrices=False)
    basis = u[:, s > tolerance * s[0]]
    row = basis @ (basis.mT @ frame.double())
    null = frame.double() - row
    return Split(row.float(), null.float(), basis.shape[1])


def _span(vectors: torch.Tensor) -> torch.Tensor | None:
    """Frame of the span of one part of a frame's columns; ``None`` if none of its directions is ``SMALLEST_PART`` long.

    A direction keeps its column's orientation where there is one column.
    """
    if vectors.shape[1] == 1:
        return orthonormal(vectors) if vectors.norm() > SMALLEST_PART else None
    u, s, _ = torch.linalg.svd(vectors.double(), full_matrices=False)
    kept = u[:, s > SMALLEST_PART].float()
    return kept if kept.shape[1] else None
