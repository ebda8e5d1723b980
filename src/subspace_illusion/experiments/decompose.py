"""Decomposition (E4, E5): a trained subspace as a sum of what the readout sees and what it does not."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.frames import closeness, main_axis, mean_difference, oriented, random_frame, split
from subspace_illusion.statistics import Bootstrap, interval, ratio
from subspace_illusion.subspace.ways import BOTH, MEAN_DIFFERENCE, MEAN_ROW, NULL, ROW, TRAINED


@dataclass(frozen=True)
class Decomposition:
    """A component's subspaces and what is known of them without running the model.

    Attributes:
        subspaces: Frames ``[d, k]`` by way of choosing and training seed (``None`` where no seed trained it).
        summary: One row per training seed: norms of the row and null part, rank of the readout, cosines, how far the
            classes lie apart along the whole and along each part (``gap_``, and in units of their spread ``d_prime_``),
            and ``lent_share`` with its interval over cases.
        projections: One row per held-out prompt (``row``), seed and ``part``: ``whole``, ``row part``, ``null
            part``, along the axis of the subspace on which the classes differ, the parts as they are, so that the two
            add up to the whole.
    """

    subspaces: dict[tuple[str, int | None], torch.Tensor]
    summary: pd.DataFrame
    projections: pd.DataFrame


def decompose(
    frames: torch.Tensor,
    seeds: list[int],
    readout: torch.Tensor | None,
    v_true: torch.Tensor | None,
    train: tuple[torch.Tensor, torch.Tensor],
    test: tuple[torch.Tensor, torch.Tensor],
    bootstrap: Bootstrap,
    *,
    tolerance: float,
    random_directions: int,
    seed: int,
) -> Decomposition:
    """Decomposes the trained subspaces of one component.

    Args:
        frames: Trained frames, ``[seeds, d, k]``.
        seeds: Their seeds.
        readout: ``[d, d_model]``; ``None`` for sites that the residual stream does not see through a matrix, which then
            have no row and null part.
        v_true: Frames in the residual stream to compare with, ``[seeds, d_model, k']``, oriented; ``None`` where the
            site's output is no residual vector.
        train: Activations ``[n, d]`` of training prompts and whether S is named second ``[n]``: they choose the signs
            and the mean difference.
        test: The same of held-out prompts, whose projections are reported: the two of each opposite pair.
        bootstrap: Draws of the held-out prompts' cases.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        random_directions: How many random subspaces of the same rank give the baseline of the cosine.
        seed: Their seed.
    """
    difference = mean_difference(*train)
    subspaces: dict[tuple[str, int | None], torch.Tensor] = {(MEAN_DIFFERENCE, None): difference}
    if readout is not None and (row_part := split(difference, readout, tolerance).row) is not None:
        subspaces[MEAN_ROW, None] = row_part
    summary, projections = [], []
    for place, (number, unsigned) in enumerate(zip(seeds, frames, strict=True)):
        frame = oriented(unsigned, *train)
        subspaces[TRAINED, number] = frame
        coordinates = frame.mT @ main_axis(frame, difference)
        row: dict[str, float] = dict(seed=number, cos_mean_difference=closeness(frame, difference))
        parts = {"whole": frame}
        if readout is not None:
            divided = split(frame, readout, tolerance)
            row |= dict(
                row_norm=_size(divided.row_vectors), null_norm=_size(divided.null_vectors), readout_rank=divided.rank
            )
            for name, part in ((ROW, divided.row), (NULL, divided.null), (BOTH, divided.both)):
                if part is not None:
                    subspaces[name, number] = part
            if divided.row is not None:
                parts[ROW] = divided.row_vectors
            if divided.null is not None:
                parts[NULL] = divided.null_vectors
            whole, null = (test[0] @ vectors @ coordinates for vectors in (frame, divided.null_vectors))
            row |= lent_share(whole.squeeze(1), null.squeeze(1), test[1], bootstrap)
        if v_true is not None:

            def seen(vectors: torch.Tensor) -> torch.Tensor:
                return vectors if readout is None else readout.mT @ vectors

            random = (random_frame(*frame.shape, seed, "random", i) for i in range(random_directions))
            cosines = torch.tensor([closeness(seen(noise), v_true[place]) for noise in random])
            cos_random = float(cosines.square().mean().sqrt())
            row |= dict(cos_v_true=closeness(seen(frame), v_true[place]), cos_random=cos_random)
        for name, vectors in parts.items():
            values = (test[0] @ vectors @ coordinates).squeeze(1)
            gap = values[test[1]].mean() - values[~test[1]].mean()
            spread = torch.sqrt((values[test[1]].var() + values[~test[1]].var()) / 2)
            key = name.removesuffix(" part")
            row |= {f"gap_{key}": float(gap), f"d_prime_{key}": float(gap / spread)}
            columns = dict(seed=number, part=name, row=range(len(values)), projection=values.numpy())
            projections.append(pd.DataFrame(columns))
        summary.append(row)
    return Decomposition(subspaces, pd.DataFrame(summary), pd.concat(projections, ignore_index=True))


def lent_share(
    whole: torch.Tensor, null: torch.Tensor, positive: torch.Tensor, bootstrap: Bootstrap
) -> dict[str, float]:
    """What the null part lends: ``mean (Delta.n) / mean (Delta.v)``, Delta from the one class to the other.

    A patch along v moves the activation by ``(Delta.v) v``, and ``Delta.n`` of that is read where the readout sees
    nothing. Over both swaps of opposite pairs the means of Delta are the gaps between the classes.

    Args:
        whole: Projections of prompts on v, ``[n]``.
        null: Their projections on its null part n, as it is, ``[n]``.
        positive: Booleans ``[n]``, the class.
        bootstrap: Draws of the prompts' cases.

    Returns:
        ``lent_share`` and its interval.
    """
    among = positive.numpy()

    def gap(projections: torch.Tensor) -> np.ndarray:
        values = projections.double().numpy()
        return bootstrap.means(values, among) - bootstrap.means(values, ~among)

    return interval("lent_share", ratio(gap(null), gap(whole)))


def _size(vectors: torch.Tensor) -> float:
    """Root mean square norm of the columns: for parts of a frame the squares of row and null sum to one."""
    return float(vectors.square().sum(0).mean().sqrt())
