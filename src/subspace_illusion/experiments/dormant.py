"""The dormant pathway (E7): what a component writes along v_true, clean and when a subspace of it is patched.

Only for components that write to the residual stream and are not in it: a direction of the residual stream, patched and
read along itself, takes the source's own value by algebra, so it cannot leave the range of clean values.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import main_axis, patch_change
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, interval, ratio_by_draw
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, SubspaceKey, seed_text
from subspace_illusion.tasks.table import goes_one_way, values_of

WAKING_MEASURES = ("clean_gap", "patched_gap", "gap_ratio", "outside", "outside_same")
"""The measures of ``waking``."""


def applies(site: Site, pairs: pd.DataFrame) -> bool:
    """Whether the experiment says something about a component: it must not hold what it is read along, and the variable
    must have two values, each patched in where the other is, so that there is one gap between them."""
    two_values = len(values_of(pairs)) == 2 and not goes_one_way(pairs)
    return site.writes_residual and not site.in_residual and two_values


def nothing_written() -> pd.DataFrame:
    """What ``written`` gives, with the component, where the experiment applies to none."""
    text = ("group", "base_value", "source_value", "subspace", "seed", "component")
    columns = dict(pair=int) | dict.fromkeys(text, str) | dict(clean=float, patched=float)
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})


def nothing_measured() -> pd.DataFrame:
    """What ``summary`` gives, with the component, where the experiment applies to none."""
    ends = [f"{name}{end}" for name in WAKING_MEASURES for end in ("", "_lo", "_hi")]
    return pd.DataFrame(columns=["component", "site", "subspace", "pairs", "groups", *ends])


def axes(v_true: Mapping[SubspaceKey, torch.Tensor]) -> dict[int, torch.Tensor]:
    """The direction of v_true along which the classes differ, a basis ``[d_model, 1]``, by training seed.

    Args:
        v_true: The subspaces found in v_true's place.
    """
    difference = v_true[SubspaceKey(MEAN_DIFFERENCE)]
    trained = {key.seed: basis for key, basis in v_true.items() if key.is_trained}
    return {seed: main_axis(basis, difference) for seed, basis in trained.items() if seed is not None}


def written(
    table: pd.DataFrame,
    base: torch.Tensor,
    source: torch.Tensor,
    bases: Mapping[SubspaceKey, torch.Tensor],
    readout: torch.Tensor | None,
    v_true: Mapping[int, torch.Tensor],
) -> pd.DataFrame:
    """What one component writes along v_true, one row a pair, patched subspace and training seed.

    Args:
        table: The pairs.
        base: Activations of the base prompts at the component, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        bases: The component's subspaces.
        readout: ``[d, d_model]``, or ``None`` where the component holds what it writes.
        v_true: The direction, a basis ``[d_model, 1]``, by training seed.

    Returns:
        ``pair``, ``group``, ``base_value``, ``source_value``, ``subspace``, ``seed``, ``clean``, ``patched``.
    """
    about = table[["pair", "group", "base_value", "source_value"]]
    trained = dict.fromkeys(key.pooled for key in bases if key.is_trained)
    users = [key for key in bases if key.is_entire and key.is_user]
    parts = []
    for key in (*trained, *(key for key in (SubspaceKey(MEAN_DIFFERENCE),) if key in bases), *users):
        for seed, axis in v_true.items():
            basis = bases[key.of_seed(seed) if key in trained else key]
            clean, patched = written_along(base, source, basis, readout, axis)
            told = dict(subspace=key.subspace, seed=seed_text(seed), clean=clean, patched=patched)
            parts.append(about.assign(**told))
    return pd.concat(parts, ignore_index=True)


def written_along(
    base: torch.Tensor,
    source: torch.Tensor,
    basis: torch.Tensor,
    readout: torch.Tensor | None,
    axis: torch.Tensor,
) -> tuple[np.ndarray, np.ndarray]:
    """What a component writes along a direction of the residual stream, clean and patched, each ``[n]``.

    The constant that a bias of the readout adds to all of it is left out.

    Args:
        base: Activations of the base prompts at the component, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        basis: The subspace that is patched, ``[d, k]``.
        readout: ``[d, d_model]``, or ``None`` where the component holds what it writes.
        axis: The direction, a basis ``[d_model, 1]``.
    """
    towards = axis if readout is None else readout @ axis
    clean = base @ towards
    change = patch_change(base, source, basis) @ towards
    return clean.squeeze(1).double().numpy(), (clean + change).squeeze(1).double().numpy()


def waking(
    written: pd.DataFrame, range_percentiles: tuple[float, float], *, resamples: int, seed: int
) -> dict[str, float]:
    """How far a patch takes what is written out of what is written without it, with bootstrap 95 % intervals.

    Args:
        written: One row a pair and training seed, the seeds of a pair in one order: ``seed``, ``pair``, ``group``,
            ``base_value``, ``source_value``, ``clean``, ``patched``; pairs of both values as base.
        range_percentiles: The percentiles of the clean values of one seed between which lies their range.
        resamples: Number of bootstrap draws over groups.
        seed: Seed of the draws.

    Returns:
        ``clean_gap``: clean mean of base prompts with the second value minus those with the first; ``patched_gap``:
        the same of patched values by the *source's* value; ``gap_ratio``: their ratio; ``outside``: share of what is
        patched from the other value that lies out of the range of clean values; ``outside_same``: from the same value,
        NaN where there are no such pairs.

    Raises:
        InputError: If there are not two values, or one is never a base whose source has the other.
    """
    by_pair = written.groupby("pair", sort=True)
    about = by_pair[["group", "base_value", "source_value"]].first()
    values = values_of(about)
    if len(values) != 2:
        raise InputError(f"the dormant pathway needs a variable of two values, and this one has {len(values)}")
    base_second, source_second = (about[f"{side}_value"].eq(values[1]).to_numpy() for side in ("base", "source"))
    opposite = base_second != source_second
    if not (base_second[opposite].any() and (~base_second[opposite]).any()):
        raise InputError("the dormant pathway needs pairs that go from each of the two values to the other")
    # Each seed has its own v_true, so clean values of one seed are no measure for another's.
    of_seed = written.groupby("seed")["clean"]
    low, high = (of_seed.transform(np.percentile, percentile) for percentile in range_percentiles)
    out = (written["patched"] < low) | (written["patched"] > high)
    clean, patched = by_pair["clean"].mean().to_numpy(), by_pair["patched"].mean().to_numpy()
    outside = out.groupby(written["pair"], sort=True).mean().to_numpy()
    bootstrap = Bootstrap.of(about["group"].to_numpy(), resamples, seed)

    def gap(values: np.ndarray, second: np.ndarray) -> np.ndarray:
        return bootstrap.means(values, second) - bootstrap.means(values, ~second)

    clean_gap, patched_gap = gap(clean, base_second), gap(patched, source_second)
    figures = dict(
        clean_gap=clean_gap,
        patched_gap=patched_gap,
        gap_ratio=ratio_by_draw(patched_gap, clean_gap),
        outside=bootstrap.means(outside, opposite),
        outside_same=bootstrap.means(outside, ~opposite),
    )
    return {key: value for name, draws in figures.items() for key, value in interval(name, draws).items()}


def summary(written: pd.DataFrame, range_percentiles: tuple[float, float], *, resamples: int, seed: int) -> list[dict]:
    """``waking`` for every patched subspace of one component.

    Args:
        written: What the component writes.
        range_percentiles: The percentiles of the clean values of one seed between which lies their range.
        resamples: Number of bootstrap draws over groups.
        seed: Seed of the draws.

    Returns:
        One row a subspace: ``subspace``, ``pairs``, ``groups``, and what ``waking`` measures.
    """
    rows = []
    for method, of_method in written.groupby("subspace", sort=False):
        about = dict(subspace=method, pairs=of_method["pair"].nunique(), groups=of_method["group"].nunique())
        rows.append(about | waking(of_method, range_percentiles, resamples=resamples, seed=seed))
    return rows
