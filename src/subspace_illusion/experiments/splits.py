"""A direction of the residual stream split by what its readers' queries see (E3 d)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from subspace_illusion.core.frames import split
from subspace_illusion.core.heads import query_readout
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site

DAS, GRADIENT, MEAN = "DAS", "gradient", "mean difference"


WHOLE, SEEN, UNSEEN = "whole", "along name movers", "along nullspace"
"""The directions of the paper's table 1, and their parts by what the name movers' queries see."""


@dataclass(frozen=True)
class Part:
    """A part of a direction.

    Attributes:
        frame: Frame of the part, ``[d_model, k]``.
        norm: How much of the direction it is: root mean square norm of the columns' parts.
        chance_norm: The same expected of a random direction.
    """

    frame: torch.Tensor
    norm: float
    chance_norm: float


def split_by_queries(
    model: Model, frames: Mapping[str, torch.Tensor], heads: Sequence[Site], tolerance: float
) -> dict[tuple[str, str], Part]:
    """Divides directions of the residual stream into what the heads' queries see and what they do not.

    Args:
        model: The model.
        frames: Frames ``[d_model, k]`` by name.
        heads: The name movers.
        tolerance: Singular values below this share of the largest count as zero.

    Returns:
        The parts by direction and kind, without those that are empty.
    """
    readout = query_readout(model, heads)
    divided = {}
    for way, frame in frames.items():
        parts = split(frame, readout, tolerance)
        share = parts.rank / len(frame)
        for part, of_part, vectors, expected in (
            (WHOLE, frame, frame, 1.0),
            (SEEN, parts.row, parts.row_vectors, share),
            (UNSEEN, parts.null, parts.null_vectors, 1 - share),
        ):
            if of_part is not None:
                divided[way, part] = Part(of_part, float(vectors.square().sum(0).mean().sqrt()), expected**0.5)
    return divided
