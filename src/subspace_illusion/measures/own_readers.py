"""Subspaces of residual vectors split by what their readers see, the readers found on the spot (E3).

The pipeline's stages find v_true's and split by them in full; whoever asks about another place finds that place's own,
by the same rule.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch

from subspace_illusion.core.model import open_model
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.find_readers import (
    READER,
    Rule,
    first_reached,
    heads_reached,
    listed,
    name_of,
    reader_table,
    respond,
)
from subspace_illusion.measures.split_directions import split_directions
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import Pairs, cached_pairs
from subspace_illusion.tasks.table import DIFFERENT

RULE = Rule(share=0.1, minor_share=0.01, mover_share=0.1)
"""What makes a reader where no parameters say it: the pipeline's defaults."""
DRAWS = 5
"""Likewise, random subspaces of the readers' rank."""


def can_be_read(site: Site, n_blocks: int) -> bool:
    """Whether what a site holds is a vector of the residual stream with attention downstream of it."""
    return site.is_residual_vector and first_reached(site) < n_blocks


def both_splits(model: Path, cache: Path, most: int) -> tuple[Pairs, Pairs]:
    """Pairs to find readers on, as many as v_true's are found on, and held-out ones to patch parts in.

    Args:
        model: The folder of the model.
        cache: That of the activations.
        most: Held-out pairs at most.
    """
    opened = open_model(model)
    return cached_pairs(opened, cache, "train", DIFFERENT), cached_pairs(opened, cache, "test", DIFFERENT, most=most)


class ReadSplit(NamedTuple):
    """What the readers of a residual vector see of its subspaces.

    Attributes:
        by_pair: What ``split_directions`` tells pair for pair.
        readers: The table of heads downstream, ``find_readers.reader_table``.
    """

    by_pair: pd.DataFrame
    readers: pd.DataFrame


def split_by_own_readers(
    train: Pairs,
    test: Pairs,
    site: Site,
    bases: Mapping[SubspaceKey, torch.Tensor],
    *,
    rule: Rule,
    draws: int,
    tolerance: float,
    resamples: int,
    seed: int,
    batch: int,
) -> ReadSplit | None:
    """Splits subspaces of a residual vector by what the heads see that respond to patching it.

    Args:
        train: Pairs that tell the readers.
        test: Pairs that the parts are patched in.
        site: Where the subspaces live.
        bases: Bases ``[d_model, k]``.
        rule: What makes a reader.
        draws: Random subspaces of the readers' rank.
        tolerance: Singular values of what the readers see below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws and the random subspaces.
        batch: Pairs at a time.

    Returns:
        ``None`` where no attention reads the site.
    """
    model = train.model
    if not can_be_read(site, model.n_blocks):
        return None
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    response = respond(train, site, batch)
    found = reader_table(heads, response, train.ld_clean, Bootstrap.of(train.groups, 1, seed), rule)
    readers = [head for head in heads if name_of(head) in listed(found, "reader", READER)]
    _, by_pair = split_directions(
        test,
        site,
        bases,
        readers,
        test.tokens > 1,
        Bootstrap.of(test.groups, resamples, seed),
        tolerance=tolerance,
        draws=draws,
        seed=seed,
        batch=batch,
    )
    return ReadSplit(by_pair, found)
