"""Subspaces: bases of orthonormal columns, what patching along them changes, and their split into row and null part.

A basis is a ``[..., d, k]`` tensor of ``k`` orthonormal columns; ``k = 1`` is a direction.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import torch

from subspace_illusion.core.device import pick_device
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.errors import InputError

Key = TypeVar("Key")

SMALLEST_PART = 0.01
"""How long a direction of a basis's row or null part has to be to count as one, beside the basis's unit vectors.

A shorter one holds less than a ten thousandth of what its column holds, and normalised it would be an axis made of what
training and rounding left over.
"""

ROWS = 1024
"""Vectors that are turned by an orthogonal matrix at a time."""

SMALLEST_AXIS = 1e-5
"""How long an axis of several means has to be beside the longest; float32 rounding makes shorter ones."""


def orthonormal(matrix: torch.Tensor) -> torch.Tensor:
    """A basis that spans the columns of ``matrix``, differentiable, with the columns' own orientation.

    Args:
        matrix: ``[..., d, k]`` of full column rank; ``k = 1`` is only normalised, without any factorisation.
    """
    if matrix.shape[-1] == 1:
        return matrix / matrix.norm(dim=-2, keepdim=True)
    q, r = torch.linalg.qr(matrix)
    return q * r.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)


def random_basis(d: int, k: int, seed: int, *labels: object) -> torch.Tensor:
    """A basis ``[d, k]`` of a uniformly random subspace."""
    return orthonormal(torch.randn(d, k, generator=torch_generator(seed, *labels)))


def patch_change(base: torch.Tensor, source: torch.Tensor, basis: torch.Tensor | None) -> torch.Tensor:
    """What patching along a subspace adds to the base: ``(x_source - x_base) V V^T`` (the post: where it can go wrong).

    Args:
        base: Activations of the base prompts, ``[..., n, d]``.
        source: Activations of the source prompts, the same shape.
        basis: ``[..., d, k]``, or ``None`` for the whole component.

    Returns:
        The change, ``[..., n, d]``.
    """
    difference = source - base
    return difference if basis is None else (difference @ basis) @ basis.mT


def value_means(activations: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The mean activation of every value that some prompt has, ``[values, d]``.

    Args:
        activations: ``[n, d]``.
        values: The variable's value in each, as its place in the list of all values, ``[n]``.
    """
    return torch.stack([activations[values == value].mean(0) for value in values.unique()])


def mean_difference(activations: torch.Tensor, values: torch.Tensor, rank: int = 1) -> torch.Tensor:
    """The subspace in which the means of the variable's values differ most.

    Of two values the direction from the mean of the first to that of the second, ``[d, 1]``; of more the leading
    principal axes of their means, at most ``rank`` of them, ``[d, k]``.

    Args:
        activations: ``[n, d]``.
        values: As for ``value_means``.
        rank: The most axes.

    Raises:
        InputError: If there is one value only, or the means coincide.
    """
    means = value_means(activations, values)
    if len(means) < 2:
        raise InputError("a mean difference needs prompts of two values at least")
    difference = (means[-1] - means[0]).unsqueeze(-1)
    if len(means) > 2:
        axes, sizes, _ = torch.linalg.svd((means - means.mean(0)).double().mT, full_matrices=False)
        kept = max(1, min(rank, int((sizes > SMALLEST_AXIS * sizes[0]).sum())))
        difference = (axes * sizes).float()[:, :kept]
    if not (difference.norm(dim=0) > 0).all():
        raise InputError("the means of the values are the same, so their difference has no direction")
    return oriented(orthonormal(difference), activations, values)


def oriented(basis: torch.Tensor, activations: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """The same subspace with each column's sign chosen by the data: the last value projects higher than the first.

    Args:
        basis: ``[d, k]``.
        activations: ``[n, d]``.
        values: As for ``value_means``.
    """
    means = value_means(activations, values)
    return basis * torch.where((means[-1] - means[0]) @ basis < 0, -1.0, 1.0)


def main_axis(basis: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """The axis inside a subspace along which the values differ, ``[d, 1]``: the basis itself where it is a direction.

    Args:
        basis: ``[d, k]``, oriented.
        difference: The mean difference, ``[d, k']``.
    """
    inside = basis.mT @ difference
    if inside.shape[1] > 1:
        # Of several axes the one that lies most inside, with the sign that it has on the first.
        axis = torch.linalg.svd(inside.double(), full_matrices=False)[0][:, :1].float()
        inside = axis * torch.where(axis.mT @ inside[:, :1] < 0, -1.0, 1.0)
    return basis @ orthonormal(inside)


def principal_axes(basis: torch.Tensor, activations: torch.Tensor) -> torch.Tensor:
    """The axes of a subspace along which activations vary most, the first one most of all, ``[d, k]``.

    Args:
        basis: ``[d, k]``.
        activations: ``[n, d]``.
    """
    inside = ((activations - activations.mean(0)) @ basis).double()
    return basis @ torch.linalg.svd(inside, full_matrices=True)[2].mT.float()


def closeness(vectors: torch.Tensor, basis: torch.Tensor) -> float:
    """Cosine between two subspaces given by their columns, ``[d, k]`` and ``[d, k']``, none of them empty.

    For two directions the cosine with its sign; beyond that the largest cosine between a vector of the one and a
    vector of the other (of the smallest principal angle).
    """
    if vectors.shape[1] == basis.shape[1] == 1:
        return float((orthonormal(vectors).mT @ orthonormal(basis)).item())
    return float(torch.linalg.matrix_norm(orthonormal(vectors).mT @ orthonormal(basis), 2))


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
        """Basis of the row part, or ``None`` where it is empty."""
        return _span(self.row_vectors)

    @property
    def null(self) -> torch.Tensor | None:
        """Basis of the null part, or ``None`` where it is empty."""
        return _span(self.null_vectors)

    @property
    def both(self) -> torch.Tensor:
        """Basis of the span of both parts, of up to ``2k`` dimensions."""
        parts = [part for part in (self.row, self.null) if part is not None]
        return torch.cat(parts, dim=1)  # the parts are orthogonal to each other


def rank_of(sizes: torch.Tensor, tolerance: float) -> int:
    """How many singular values, the largest first, count: those above ``tolerance`` times the largest."""
    return int((sizes > tolerance * sizes[0]).sum())


@lru_cache(maxsize=2)
def row_space(readout: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Orthonormal basis of what a readout sees, ``[d, rank]``, in double precision; one readout is factorised once.

    By the eigenvectors of its Gram matrix, the smaller one, on a GPU where there is one. Squared, singular values
    down to 1e-7 of the largest can be told from rounding. A tensor is itself and no other to the cache, whatever
    numbers it holds: nobody changes a readout in place.

    Args:
        readout: ``[d, d_out]``.
        tolerance: Singular values below ``tolerance`` times the largest count as zero.
    """
    matrix = readout.to(pick_device()).double()
    tall = matrix.shape[0] > matrix.shape[1]
    squares, vectors = torch.linalg.eigh(matrix.mT @ matrix if tall else matrix @ matrix.mT)
    seen = vectors[:, -rank_of(squares.clamp(min=0).sqrt().flip(0), tolerance) :]
    return (torch.linalg.qr(matrix @ seen)[0] if tall else seen).cpu()


@dataclass(frozen=True)
class Spaces:
    """What a readout sees and what it maps to zero.

    Attributes:
        seen: Orthonormal basis of the one, ``[d, rank]``.
        reflectors: Householder reflectors of an orthogonal matrix whose first columns span ``seen``, ``[d, rank]``;
            its others, an orthonormal basis of what is mapped to zero, would take many times as much memory.
        sizes: Of the reflectors, ``[rank]``.
    """

    seen: torch.Tensor
    reflectors: torch.Tensor
    sizes: torch.Tensor

    def unread(self, x: torch.Tensor) -> torch.Tensor:
        """Coordinates of vectors ``[n, d]`` in what is mapped to zero, ``[n, d - rank]``."""
        rank = self.seen.shape[1]
        turned = [
            torch.ormqr(self.reflectors, self.sizes, some.double().mT.to(self.sizes.device), transpose=True)[rank:]
            for some in x.split(ROWS)
        ]
        return torch.cat([some.mT.float().cpu() for some in turned])


@lru_cache(maxsize=1)
def spaces(readout: torch.Tensor, tolerance: float) -> Spaces:
    """What a readout sees and what it maps to zero; made once, as ``row_space`` is.

    Args:
        readout: ``[d, d_out]``.
        tolerance: As for ``row_space``.
    """
    seen = row_space(readout, tolerance)
    return Spaces(seen.float(), *torch.geqrf(seen.to(pick_device())))


def split(basis: torch.Tensor, readout: torch.Tensor, tolerance: float) -> Split:
    """Splits a subspace into its row and null part (E5).

    Args:
        basis: ``[d, k]``.
        readout: ``[d, d_out]``, such as ``W_out`` of an MLP.
        tolerance: Singular values below ``tolerance`` times the largest count as zero.

    Raises:
        InputError: If the shapes do not fit.
    """
    if readout.shape[0] != basis.shape[0]:
        raise InputError(f"the readout takes {readout.shape[0]} dimensions, the subspace lives in {basis.shape[0]}")
    return split_by(basis, row_space(readout, tolerance))


def split_by(basis: torch.Tensor, seen: torch.Tensor) -> Split:
    """Splits a subspace by what a readout sees, for many subspaces of one component.

    Args:
        basis: ``[d, k]``.
        seen: What ``row_space`` gives, ``[d, rank]``.
    """
    # In double precision, so that the null part is null to the last digit that float32 can hold.
    row = seen @ (seen.mT @ basis.double())
    return Split(row.float(), (basis.double() - row).float(), seen.shape[1])


def split_each(bases: Mapping[Key, torch.Tensor], seen: torch.Tensor) -> dict[Key, Split]:
    """Splits several subspaces by what a readout sees, all at once.

    Args:
        bases: Bases ``[d, k]`` by any key, at least one.
        seen: What ``row_space`` gives, ``[d, rank]``.
    """
    whole = split_by(torch.cat(list(bases.values()), 1), seen)
    widths = [basis.shape[1] for basis in bases.values()]
    columns = zip(bases, whole.row_vectors.split(widths, 1), whole.null_vectors.split(widths, 1), strict=True)
    return {key: Split(row, null, whole.rank) for key, row, null in columns}


def _span(vectors: torch.Tensor) -> torch.Tensor | None:
    """Basis of the span of one part of a basis's columns; ``None`` if none of its directions is ``SMALLEST_PART`` long.

    A direction keeps its column's orientation where there is one column.
    """
    if vectors.shape[1] == 1:
        return orthonormal(vectors) if vectors.norm() > SMALLEST_PART else None
    u, s, _ = torch.linalg.svd(vectors.double(), full_matrices=False)
    kept = u[:, s > SMALLEST_PART].float()
    return kept if kept.shape[1] else None
