"""Subspaces of one component patched and scored on pairs in memory, without the pipeline's files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effects import Patched, Subspaces, by_pair, patch_everything
from subspace_illusion.measures.own_readers import DRAWS, RULE, split_by_own_readers
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import go_both_ways
from subspace_illusion.verdict.score import Score, score_component


@dataclass(frozen=True)
class Scored:
    """What was found at a component.

    Attributes:
        patched: What patching it did.
        readers: The heads downstream and which of them read it; ``None`` where it is no residual vector.
        scores: By subspace.
    """

    patched: Patched
    readers: pd.DataFrame | None
    scores: Mapping[SubspaceKey, Score]


def score_in_memory(
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
) -> Scored:
    """Patches held-out pairs along every subspace, looks for a residual vector's readers, and scores.

    Args:
        train: Pairs that tell the readers; those of equal values are left out.
        test: Held-out pairs of different values.
        site: The component.
        bases: Bases ``[d, k]``, row parts and axes among them.
        rank: Of the random subspace beside them.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws and the random subspaces.
        batch: Pairs at a time.
    """
    readout = test.model.readout(site)
    settings: dict[str, Any] = dict(tolerance=tolerance, resamples=resamples, seed=seed)
    split = split_by_own_readers(train.different, test, site, bases, rule=RULE, draws=DRAWS, batch=batch, **settings)
    component = Subspaces(site, bases, readout, rank)
    patched = patch_everything(test, site.name, component, tolerance=tolerance, seed=seed, batch=batch)
    did = by_pair(test, patched)
    activations = test.base(site), test.source(site)
    by_readers, readers = (None, None) if split is None else split
    swaps = go_both_ways(test.table)
    scores = score_component(did, bases, *activations, test.values, readout, by_readers, swaps=swaps, **settings)
    return Scored(patched, readers, scores)
