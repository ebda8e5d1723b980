"""Subspaces of one component patched, and what is seen of them, on pairs in memory, without the pipeline's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effects import Patched, Subspaces
from subspace_illusion.measures.own_difference import Natural
from subspace_illusion.measures.own_readers import OwnReaders, own_readers
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.verdict.seen import Seen, patched_and_seen


@dataclass(frozen=True)
class Looked:
    """What was found at a component.

    Attributes:
        patched: What patching it did.
        readers: The heads downstream that read it.
        seen: By subspace.
    """

    patched: Patched
    readers: OwnReaders
    seen: Mapping[SubspaceKey, Seen]


def look_in_memory(
    train: Pairs,
    test: Pairs,
    site: Site,
    bases: Mapping[SubspaceKey, torch.Tensor],
    *,
    rank: int,
    tolerance: float,
    resamples: int,
    seed: int,
    batch: int,
    noise: float = 0.0,
) -> Looked:
    """Patches held-out pairs along every subspace, and looks for a residual vector's readers.

    Args:
        train: Pairs that tell what the component does by itself, and the readers; those of equal values are left out.
        test: Held-out pairs of different values.
        site: The component.
        bases: Bases ``[d, k]``, row parts and axes among them.
        rank: Of the random subspace beside them.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws and the random subspaces.
        batch: Pairs at a time.
        noise: As for ``see_component``.
    """
    learnt, settings = train.different, dict[str, Any](tolerance=tolerance, batch=batch)
    component = Subspaces(site, bases, test.model.readout(site), rank)
    natural = Natural.of(Component.of(learnt, site), **settings)
    draws = dict[str, Any](resamples=resamples, seed=seed, noise=noise)
    patched, seen = patched_and_seen(test, component, natural, **settings, **draws)
    return Looked(patched, own_readers(learnt, site, seed=seed, batch=batch), seen)
