"""The dormant pathway (E7): what a component writes along v_true, clean and when a subspace of it is patched."""

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.frames import patch_change
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import interval, ratio, resampled
from subspace_illusion.tasks.ioi import S_SECOND


def written_along(
    base: torch.Tensor,
    source: torch.Tensor,
    frame: torch.Tensor,
    readout: torch.Tensor | None,
    axis: torch.Tensor,
) -> tuple[np.ndarray, np.ndarray]:
    """What a component writes along a direction of the residual stream, clean and patched, each ``[n]``.

    The constant that a bias of the readout adds to all of it is left out.

    Args:
        base: Activations of the bases at the component, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        frame: The subspace that is patched, ``[d, k]``.
        readout: ``[d, d_model]``, or ``None`` where the component is in the residual stream itself.
        axis: The direction, a frame ``[d_model, 1]``.
    """
    towards = axis if readout is None else readout @ axis
    clean = base @ towards
    change = patch_change(base, source, frame) @ towards
    return clean.squeeze(1).double().numpy(), (clean + change).squeeze(1).double().numpy()


def waking(
    written: pd.DataFrame, range_percentiles: tuple[float, float], *, resamples: int, seed: int
) -> dict[str, float]:
    """How far a patch takes what is written out of what is written without it, with bootstrap 95 % intervals.

    Args:
        written: One row a pair and training seed, the seeds of a pair in one order: ``seed``, ``pair``,
            ``base_pattern``, ``source_pattern``, ``clean``, ``patched``; pairs of all four combinations.
        range_percentiles: The percentiles of the clean values between which lies their range.
        resamples: Number of bootstrap draws over pairs.
        seed: Seed of the draws.

    Returns:
        ``clean_gap``: clean mean of bases with S second minus those with S first; ``patched_gap``: the same of patched
        values by the *source's* pattern; ``gap_ratio``: their ratio; ``outside``: share of values patched from the
        opposite position that lie out of the range of clean values; ``outside_same``: from the same position.

    Raises:
        InputError: If a combination is missing.
    """
    by_pair = written.groupby("pair", sort=True)
    about = by_pair[["base_pattern", "source_pattern"]].first()
    base_second = about["base_pattern"].isin(S_SECOND).to_numpy()
    source_second = about["source_pattern"].isin(S_SECOND).to_numpy()
    opposite = base_second != source_second
    if not all((base_second[rows].any() and (~base_second[rows]).any()) for rows in (opposite, ~opposite)):
        raise InputError("the dormant pathway needs pairs of all four combinations of positions")
    low, high = np.percentile(written["clean"], range_percentiles)
    out = (written["patched"] < low) | (written["patched"] > high)
    clean, patched = by_pair["clean"].mean().to_numpy(), by_pair["patched"].mean().to_numpy()
    outside = out.groupby(written["pair"], sort=True).mean().to_numpy()
    n = len(about)
    weights = np.concatenate([np.full((1, n), 1 / n), resampled(n, resamples, seed, "pairs")])

    def mean(values: np.ndarray, among: np.ndarray) -> np.ndarray:
        return ratio((weights * among) @ values, weights @ among)

    clean_gap = mean(clean, base_second) - mean(clean, ~base_second)
    patched_gap = mean(patched, source_second) - mean(patched, ~source_second)
    figures = dict(
        clean_gap=clean_gap,
        patched_gap=patched_gap,
        gap_ratio=ratio(patched_gap, clean_gap),
        outside=mean(outside, opposite),
        outside_same=mean(outside, ~opposite),
    )
    return {key: value for name, draws in figures.items() for key, value in interval(name, draws).items()}
