"""Decomposition (E4, E5): a subspace as a sum of what the readout sees and what it does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import (
    closeness,
    main_axis,
    mean_difference,
    oriented,
    principal_axes,
    random_basis,
    row_space,
    split_by,
    split_each,
)
from subspace_illusion.core.sites import Site
from subspace_illusion.statistics import Bootstrap, interval, ratio, table
from subspace_illusion.subspace.keys import BOTH, MEAN_DIFFERENCE, NULL, RANDOM, ROW, SubspaceKey
from subspace_illusion.subspace.pairs import Prompts
from subspace_illusion.tasks.table import codes

WHOLE_BASIS = "whole"
"""Of the parts of ``Decomposition.projections`` the subspace as it is."""


@dataclass(frozen=True)
class Classes:
    """Prompts by the value that the variable has in them.

    Attributes:
        activations: ``[n, d]``.
        values: Each value as its place in the list of all, ``[n]``.
    """

    activations: torch.Tensor
    values: torch.Tensor

    def oriented(self, basis: torch.Tensor) -> torch.Tensor:
        """A basis ``[d, k]`` with the signs that ``core.basis.oriented`` gives it here."""
        return oriented(basis, self.activations, self.values)


def classes(activations: Prompts, site: Site, prompts: pd.DataFrame, values: Sequence[str]) -> Classes:
    """Prompts by their value.

    Args:
        activations: Where they come from.
        site: Where.
        prompts: Columns ``prompt``, ``value``.
        values: All values, in order.
    """
    return Classes(activations.at(site, prompts["prompt"].tolist()), codes(prompts["value"], values))


@dataclass(frozen=True)
class Decomposition:
    """A component's subspaces and what is known of them without running the model.

    Attributes:
        subspaces: Bases ``[d, k]`` of what was asked about, its parts and axes, and the mean difference.
        summary: One row a subspace that was trained or is the user's own (``subspace``, ``seed``): norms of the row and
            null part, rank of the readout, cosines, how far the values lie apart along the whole and along each part
            (``gap_``, and in units of their spread ``d_prime_``), and ``lent_share`` with its interval over groups.
        projections: One row per held-out prompt (``row``), ``subspace``, seed and ``part``: ``whole``, ``row part``,
            ``null part``, along the axis of the subspace on which the values differ, the parts as they are, so that the
            two add up to the whole.
        cosines: Between every two subspaces of the component, ``subspace``, ``other``, ``cosine`` (of two directions
            with its sign, else of the smallest principal angle), trained ones by their first seed; with ``random`` the
            root mean square of random subspaces of the first one's rank.
    """

    subspaces: dict[SubspaceKey, torch.Tensor]
    summary: pd.DataFrame
    projections: pd.DataFrame
    cosines: pd.DataFrame


def decompose(
    asked: Mapping[SubspaceKey, torch.Tensor],
    readout: torch.Tensor | None,
    v_true: Mapping[int | None, torch.Tensor] | None,
    train: Classes,
    test: Classes,
    bootstrap: Bootstrap,
    *,
    rank: int,
    tolerance: float,
    random_directions: int,
    seed: int,
) -> Decomposition:
    """Decomposes the subspaces of one component.

    Args:
        asked: Bases ``[d, k]`` that were trained, then the user's own.
        readout: ``[d, d_model]``; ``None`` for sites that the residual stream does not see through a matrix, which then
            have no row and null part.
        v_true: Bases in the residual stream to compare with by seed, ``[d_model, k']``, oriented; own subspaces are
            compared with the first. ``None`` where the site's output is no residual vector.
        train: Training prompts: they choose the signs and the mean difference.
        test: Held-out prompts, whose projections are reported: the two of each pair whose values differ.
        bootstrap: Draws of the held-out prompts' groups.
        rank: Of the component's subspaces: the mean difference of more than two values has up to as many axes.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        random_directions: How many random subspaces of the same rank give the baselines of the cosines.
        seed: Their seed.
    """
    difference = mean_difference(train.activations, train.values, rank)
    subspaces = {SubspaceKey(MEAN_DIFFERENCE): difference}
    space = None if readout is None else row_space(readout, tolerance)
    subspaces |= row_parts(subspaces, space)
    summary, projections = [], []
    for key, unsigned in asked.items():
        basis = train.oriented(unsigned)
        subspaces[key] = basis
        coordinates = basis.mT @ main_axis(basis, difference)
        about = dict[str, object](subspace=key.subspace, seed=key.seed)
        row = about | dict(cos_mean_difference=closeness(basis, difference))
        axes = {key.of_axis(number): axis for axis, number in _axes(basis, train)}
        subspaces |= axes | row_parts(axes, space)
        parts = {WHOLE_BASIS: basis}
        if space is not None:
            divided = split_by(basis, space)
            row |= dict(
                row_norm=_size(divided.row_vectors), null_norm=_size(divided.null_vectors), readout_rank=divided.rank
            )
            for name, part in ((ROW, divided.row), (NULL, divided.null), (BOTH, divided.both)):
                if part is not None:
                    subspaces[key.of_part(name)] = part
            if divided.row is not None:
                parts[ROW] = divided.row_vectors
            if divided.null is not None:
                parts[NULL] = divided.null_vectors
            whole, null = (test.activations @ vectors @ coordinates for vectors in (basis, divided.null_vectors))
            row |= interval("lent_share", lent_draws(whole, null, test.values, bootstrap))
        if v_true is not None:
            true = v_true[next(iter(v_true)) if key.seed is None else key.seed]

            def seen(vectors: torch.Tensor) -> torch.Tensor:
                return vectors if readout is None else readout.mT @ vectors

            random = [closeness(seen(v), true) for v in _random(basis, random_directions, seed)]
            row |= dict(cos_v_true=closeness(seen(basis), true), cos_random=_rms(random))
        values = {name: (test.activations @ vectors @ coordinates).squeeze(1) for name, vectors in parts.items()}
        for name, projected in values.items():
            apart = gap(projected, values[WHOLE_BASIS], test.values)
            column = name.removesuffix(" part")
            row |= {f"gap_{column}": apart, f"d_prime_{column}": apart / _spread(projected, test.values)}
            lines = dict(part=name, row=range(len(projected)), projection=projected.numpy())
            projections.append(pd.DataFrame(about | lines))
        summary.append(row)
    return Decomposition(
        subspaces,
        pd.DataFrame(summary).astype({"seed": "Int64"}),
        pd.concat(projections, ignore_index=True).astype({"seed": "Int64"}),
        cosines_among(subspaces, random_directions, seed),
    )


def row_parts(bases: Mapping[SubspaceKey, torch.Tensor], space: torch.Tensor | None) -> dict[SubspaceKey, torch.Tensor]:
    """The row part of each basis, by its own key; a basis that is hardly seen has none.

    Args:
        bases: Bases ``[d, k]``.
        space: What the readout sees, as ``row_space`` gives it, ``[d, rank]``; without one there are no parts.
    """
    divided = split_each(bases, space) if bases and space is not None else {}
    rows = {key.of_part(ROW): parts.row for key, parts in divided.items()}
    return {key: row for key, row in rows.items() if row is not None}


def _axes(basis: torch.Tensor, train: Classes) -> list[tuple[torch.Tensor, int]]:
    """The principal axes of a subspace of several dimensions, each ``[d, 1]`` with its number; a direction has none."""
    if basis.shape[1] == 1:
        return []
    axes = train.oriented(principal_axes(basis, train.activations))
    return [(axes[:, [place]], place + 1) for place in range(axes.shape[1])]


def cosines_among(subspaces: Mapping[SubspaceKey, torch.Tensor], random_directions: int, seed: int) -> pd.DataFrame:
    """Cosines between the trained subspace of the first seed, the mean difference and the user's own.

    Returns:
        As ``Decomposition.cosines``.
    """
    first = [key for key in subspaces if key.is_trained][:1]
    users = [key for key in subspaces if key.is_entire and key.is_user]
    listed = {key.subspace: subspaces[key] for key in (*first, SubspaceKey(MEAN_DIFFERENCE), *users)}
    rows = [dict(subspace=a, other=b, cosine=closeness(listed[a], listed[b])) for a, b in combinations(listed, 2)]
    for name, basis in listed.items():
        drawn = [closeness(basis, v) for v in _random(basis, random_directions, seed)]
        rows.append(dict(subspace=name, other=SubspaceKey(RANDOM).subspace, cosine=_rms(drawn)))
    return table(rows)


def lent_draws(whole: torch.Tensor, null: torch.Tensor, values: torch.Tensor, bootstrap: Bootstrap) -> np.ndarray:
    """What the null part lends: ``mean (Delta.n) / mean (Delta.v)``, Delta from the one value to the other.

    A patch along v moves the activation by ``(Delta.v) v``, and ``Delta.n`` of that is read where the readout sees
    nothing. Over both swaps of pairs the means of Delta are the gaps between the values' means. Of more than two
    values, or of several columns, it is the slope of those means along n over those along v, which is the same where
    there are two and one.

    Args:
        whole: Projections of prompts on the columns of a basis, ``[n, k]``.
        null: Their projections on the columns' null parts, as they are, ``[n, k]``.
        values: As in ``Classes``.
        bootstrap: Draws of the prompts' groups.

    Returns:
        The share, then that of every draw, ``[1 + resamples]``.
    """
    among = [(values == value).numpy() for value in values.unique()]

    def means(projections: torch.Tensor) -> np.ndarray:
        columns = projections.double().T.numpy()
        of_values = np.array([[bootstrap.means(column, rows) for column in columns] for rows in among])
        return of_values - np.nanmean(of_values, 0)  # [values, k, draws]; a draw may lack a value

    of_null, of_whole = means(null), means(whole)
    return ratio(np.nansum(of_null * of_whole, (0, 1)), np.nansum(of_whole**2, (0, 1)))


def gap(part: torch.Tensor, whole: torch.Tensor, values: torch.Tensor) -> float:
    """How far the values lie apart along a part of a subspace, so that the parts' gaps add up to the whole's.

    Of two values the distance from the mean of the first to that of the second. Of more, twice the standard deviation
    of their means along the whole, times the slope of their means along the part over those along the whole.

    Args:
        part: Projections on the part, ``[n]``.
        whole: Projections on the whole, ``[n]``.
        values: As in ``Classes``.
    """
    of_part, of_whole = (
        np.array([float(x[values == value].mean()) for value in values.unique()]) for x in (part, whole)
    )
    if len(of_part) == 2:
        return float(of_part[1] - of_part[0])
    of_part, of_whole = of_part - of_part.mean(), of_whole - of_whole.mean()
    slope = ratio((of_part * of_whole).sum(), (of_whole**2).sum())
    return float(slope * 2 * of_whole.std())


def _spread(projected: torch.Tensor, values: torch.Tensor) -> float:
    """Standard deviation within values, from the mean of the variances of those with several prompts."""
    variances = [projected[values == value].var() for value in values.unique() if (values == value).sum() > 1]
    return float(torch.stack(variances).mean().sqrt()) if variances else float("nan")


def _random(basis: torch.Tensor, count: int, seed: int) -> list[torch.Tensor]:
    """Random subspaces of a basis's shape."""
    return [random_basis(*basis.shape, seed, "random", i) for i in range(count)]


def _rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _size(vectors: torch.Tensor) -> float:
    """Root mean square norm of the columns: for parts of a basis the squares of row and null sum to one."""
    return float(vectors.square().sum(0).mean().sqrt())
