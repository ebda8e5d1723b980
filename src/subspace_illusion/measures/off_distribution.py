"""Off the natural distribution (E15): how far a patch takes activations from the cloud of natural ones.

The distance is the energy distance between the patched and the natural cloud as a share of twice the mean distance
between a point of the one and a point of the other (the coefficient of inhomogeneity of Szekely and Rizzo): 0 where the
two are the same, 1 where they lie infinitely far apart. Coordinates are standardised by the natural cloud, never by the
patched one, whose spread the patch has made (Grant et al., arXiv 2511.04638).

Every mean is over points of *different groups* (a U-statistic of groups; Hoeffding, 1948). Points of one group are
near each other by what they are made of: a prompt can stand in two pairs, and a patched prompt lies beside itself
unpatched. They would bias the estimate, and every bootstrap draw, in which a group stands twice, once more; without
them draws lie about the estimate. Where the clouds are the same the bootstrap of such a statistic is too wide (Arcones
and Gine, 1992): it then errs towards saying less.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import euclidean_distances

from subspace_illusion.core.basis import Spaces, patch_change, spaces
from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.statistics import Bootstrap, interval, ratio
from subspace_illusion.subspace.keys import WHOLE, SubspaceKey

ALL_OF_IT, ACTS, UNREAD, WRITTEN = "all of it", "what acts", "what nothing reads", "along what is written"
"""The parts of a cloud: what the readout sees of a component, what it maps to zero, and, of its output, what lies along
the directions that the patch writes."""
COMPONENT, OUTPUT, NEXT_INPUT = "component", "output", "next block's input"
"""Where the clouds are looked at."""

SMALLEST_SPREAD = 1e-6
"""The standard deviation, beside the largest coordinate's, of a coordinate that does not vary: it is left out."""


MOST_PAIRS = 1000
"""How many pairs a distance is taken between: its cost grows with their square. Of more, whole groups are drawn."""


@dataclass(frozen=True)
class Cloud:
    """Natural and patched activations of the same pairs.

    Attributes:
        base: The base prompts, ``[n, d]``.
        source: The sources, natural too, ``[n, d]``.
        patched: The base prompts under the patch, ``[n, d]``.
    """

    base: torch.Tensor
    source: torch.Tensor
    patched: torch.Tensor

    def through(self, matrix: torch.Tensor) -> "Cloud":
        """The cloud as a matrix ``[d, d']`` sees it."""
        return Cloud(self.base @ matrix, self.source @ matrix, self.patched @ matrix)


def cloud(base: torch.Tensor, source: torch.Tensor, basis: torch.Tensor | None) -> Cloud:
    """The cloud of patching along a basis ``[d, k]``, or the whole component where it is ``None``."""
    return Cloud(base, source, base + patch_change(base, source, basis))


def inhomogeneity(points: Cloud, bootstrap: Bootstrap) -> np.ndarray:
    """The distance of the patched cloud from the natural one, in ``[0, 1]``: the figure, then every draw's.

    The natural cloud holds base prompts and sources alike, so that a patch that gives the source's own activation leads
    nowhere new.

    Args:
        points: The clouds.
        bootstrap: Draws of the pairs' groups, which draw a pair's natural and patched points together.
    """
    natural, patched = _standardised(points)
    counts, unit = bootstrap.counts.astype(float), bootstrap.unit
    if natural.shape[1] == 0:  # nothing varies, and there is nowhere to go
        return np.zeros(len(counts))
    one, both = (np.eye(counts.shape[1])[places] for places in (unit, np.tile(unit, 2)))
    clouds = ((patched, one), (natural, both)), ((patched, one), (patched, one)), ((natural, both), (natural, both))
    return _coefficient(*(_Apart.between(*ends).means(counts, counts) for ends in clouds))


def floor(points: Cloud, groups: np.ndarray, halvings: int, seed: int) -> float:
    """What the same distance is between two halves of the natural cloud, groups kept whole: the mean of some halvings.

    Args:
        points: The clouds; the patched one is not used.
        groups: The group of each pair, ``[n]``.
        halvings: How often the groups are dealt to two halves.
        seed: Deals them.

    Returns:
        NaN where a half has one group only.
    """
    drawn, (natural, _) = Bootstrap.of(groups, 0, seed), _standardised(points)
    if natural.shape[1] == 0:
        return 0.0
    number, rng = drawn.counts.shape[1], numpy_generator(seed, "halves")
    one = np.stack([rng.permutation(number) % 2 for _ in range(halvings)]).astype(float)
    points_of = natural, np.eye(number)[np.tile(drawn.unit, 2)]
    apart, other = _Apart.between(points_of, points_of), 1 - one
    halves = (one, other), (one, one), (other, other)
    return float(_coefficient(*(apart.means(*ends) for ends in halves)).mean())


def along_what_is_written(points: Cloud, basis: torch.Tensor, readout: torch.Tensor) -> Cloud:
    """The clouds as far as they lie in what the patch writes through a readout: its output in the span of ``W^T V``.

    Args:
        points: Clouds at the component.
        basis: The subspace, ``[d, k]``.
        readout: ``[d, d_out]``.
    """
    axes, sizes, _ = torch.linalg.svd((readout.mT @ basis).double(), full_matrices=False)
    kept = axes[:, sizes > SMALLEST_SPREAD * sizes[0]] if float(sizes[0]) > 0 else axes[:, :0]
    return points.through(readout @ kept.float())


def looked_at(
    base: torch.Tensor,
    source: torch.Tensor,
    basis: torch.Tensor | None,
    readout: torch.Tensor | None,
    halves: Spaces | None,
    after: tuple[torch.Tensor, torch.Tensor] | None,
) -> Iterator[tuple[str, str, Cloud]]:
    """The clouds of one patch, as ``(place, part, cloud)``.

    Args:
        base: Activations of the base prompts at the component, ``[n, d]``.
        source: Those of the sources, ``[n, d]``.
        basis: The subspace, ``[d, k]``; the whole component where it is ``None``.
        readout: ``[d, d_model]``; ``None`` where what the component holds is itself a vector of the residual stream.
        halves: What the readout sees and what it maps to zero; ``None`` likewise.
        after: The residual stream that enters the next block, of base prompts and sources, ``[n, d_model]``; ``None``
            where the patch changes it by more than what it writes itself (``Model.hands_on_alone``).
    """
    at = cloud(base, source, basis)
    yield COMPONENT, ALL_OF_IT, at
    written = at.patched - at.base
    if readout is not None and halves is not None:
        yield COMPONENT, ACTS, at.through(halves.seen)
        if halves.seen.shape[1] < len(halves.seen):
            yield COMPONENT, UNREAD, Cloud(*map(halves.unread, (at.base, at.source, at.patched)))
        yield OUTPUT, ALL_OF_IT, at.through(readout)
        if basis is not None:
            yield OUTPUT, WRITTEN, along_what_is_written(at, basis, readout)
        written = written @ readout
    if after is not None:
        yield NEXT_INPUT, ALL_OF_IT, Cloud(*after, after[0] + written)


def distances(
    clouds: Iterator[tuple[str, str, Cloud]],
    groups: np.ndarray,
    bootstrap: Bootstrap,
    halvings: int,
    seed: int,
    floors: dict[tuple[str, str], float],
) -> Iterator[dict[str, object]]:
    """One row a cloud: ``place``, ``part``, ``distance`` with its interval, ``floor`` (see ``floor``).

    Args:
        clouds: The clouds.
        groups: As for ``floor``.
        bootstrap: As for ``inhomogeneity``.
        halvings: As for ``floor``.
        seed: Likewise.
        floors: By place and part what is known, and is added to: a component's natural cloud is every patch's, but for
            what lies along the directions that each writes.
    """
    for place, part, points in clouds:
        if part == WRITTEN or (place, part) not in floors:
            floors[place, part] = floor(points, groups, halvings, seed)
        about: dict[str, object] = dict(place=place, part=part, floor=floors[place, part])
        yield about | interval("distance", inhomogeneity(points, bootstrap))


def distances_of_component(
    component: str,
    ends: tuple[torch.Tensor, torch.Tensor],
    after: tuple[torch.Tensor, torch.Tensor] | None,
    bases: Mapping[SubspaceKey, torch.Tensor],
    asked: Collection[SubspaceKey],
    readout: torch.Tensor | None,
    bootstrap: Bootstrap,
    *,
    tolerance: float,
    halvings: int,
    seed: int,
) -> Iterator[dict[str, object]]:
    """How far patching a component leaves the natural distribution: whole, and along each subspace's first seed; of
    many pairs by ``MOST_PAIRS``.

    Args:
        component: Its name.
        ends: Activations of the base prompts and of the sources, each ``[n, d]``.
        after: As for ``looked_at``.
        bases: Bases ``[d, k]``.
        asked: The subspaces that are asked about, of all their seeds.
        readout: As for ``looked_at``.
        bootstrap: Draws of the pairs' groups, which are kept whole for the floor as well.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        halvings: As for ``floor``.
        seed: Likewise.

    Returns:
        Rows with ``component``, ``subspace`` and the columns of ``distances``.
    """
    halves = None if readout is None else spaces(readout, tolerance)
    bootstrap, rows = bootstrap.some(MOST_PAIRS)
    ends, after = (ends[0][rows], ends[1][rows]), None if after is None else (after[0][rows], after[1][rows])
    first = {key.pooled: bases[key] for key in reversed(list(bases)) if key.pooled in asked}
    floors: dict[tuple[str, str], float] = {}
    for key, basis in {WHOLE: None, **first}.items():
        clouds = looked_at(*ends, basis, readout, halves, after)
        for row in distances(clouds, bootstrap.unit, bootstrap, halvings, seed, floors):
            yield dict(component=component, subspace=key.subspace) | row


def _standardised(points: Cloud) -> tuple[np.ndarray, np.ndarray]:
    """The natural points, base prompts before sources, ``[2 n, d]``, and the patched ones ``[n, d]``."""
    natural = torch.cat([points.base, points.source]).double().numpy()
    patched = points.patched.double().numpy()
    centre, spread = natural.mean(0), natural.std(0)
    varies = spread > SMALLEST_SPREAD * spread.max(initial=0)
    natural, patched = ((x[:, varies] - centre[varies]) / spread[varies] for x in (natural, patched))
    return natural, patched


def _coefficient(across: np.ndarray, of_one: np.ndarray, of_other: np.ndarray) -> np.ndarray:
    """The coefficient of inhomogeneity from mean distances across and within two clouds, by draw, ``[draws]``.

    The energy distance is never negative, though its estimate can be.
    """
    return np.clip(ratio(2 * across - of_one - of_other, 2 * across), 0, 1)


@dataclass(frozen=True)
class _Apart:
    """How far the points of groups lie from those of other groups.

    Attributes:
        sums: Of the distances between the points of two groups, ``[groups, groups]``, zero within a group.
        pairs: How many distances these are.
    """

    sums: np.ndarray
    pairs: np.ndarray

    @classmethod
    def between(cls, one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> "_Apart":
        """From two clouds: points ``[n, d]``, and ones where they belong to a group, ``[n, groups]``."""
        sums = one[1].T @ euclidean_distances(one[0], other[0]) @ other[1]
        pairs = np.outer(one[1].sum(0), other[1].sum(0))
        for of_groups in (sums, pairs):
            np.fill_diagonal(of_groups, 0)
        return cls(sums, pairs)

    def means(self, counts: np.ndarray, other_counts: np.ndarray) -> np.ndarray:
        """The mean distance by draw, ``[draws]``, of clouds that have every group so often; NaN between no two groups.

        Args:
            counts: Of the one cloud, ``[draws, groups]``.
            other_counts: Of the other.
        """
        return ratio(*(((counts @ of_groups) * other_counts).sum(1) for of_groups in (self.sums, self.pairs)))
