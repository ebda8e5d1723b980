"""Subspaces of residual vectors split by what their readers see, the readers found on the spot (E3).

The pipeline finds the readers once, of v_true; whoever asks about another place has to find that place's own.
"""

from collections.abc import Mapping

import pandas as pd
import torch

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
from subspace_illusion.subspace.pairs import Pairs

RULE = Rule(reader=0.1, minor=0.01, mover=0.1)
"""What makes a reader, as in the pipeline's defaults."""
DRAWS = 5
"""Random subspaces of the readers' rank."""


def can_be_read(site: Site, n_blocks: int) -> bool:
    """Whether what a site holds is a vector of the residual stream with attention downstream of it."""
    return site.is_residual_vector and first_reached(site) < n_blocks


def split_by_own_readers(
    train: Pairs,
    test: Pairs,
    site: Site,
    bases: Mapping[SubspaceKey, torch.Tensor],
    *,
    tolerance: float,
    resamples: int,
    seed: int,
    batch: int,
) -> pd.DataFrame | None:
    """Splits subspaces of a residual vector by what the heads see that respond to patching it.

    Args:
        train: Pairs that tell the readers.
        test: Pairs that the parts are patched in.
        site: Where the subspaces live.
        bases: Bases ``[d_model, k]``.
        tolerance: Singular values of what the readers see below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws and the random subspaces.
        batch: Pairs at a time.

    Returns:
        What ``split_directions`` tells pair for pair; ``None`` where no attention reads the site.
    """
    model = train.model
    if not can_be_read(site, model.n_blocks):
        return None
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    response = respond(train, site, batch)
    found = reader_table(heads, response, train.ld_clean, Bootstrap.of(train.groups, 1, seed), RULE)
    readers = [head for head in heads if name_of(head) in listed(found, "reader", READER)]
    return split_directions(
        test,
        site,
        bases,
        readers,
        test.tokens > 1,
        Bootstrap.of(test.groups, resamples, seed),
        tolerance=tolerance,
        draws=DRAWS,
        seed=seed,
        batch=batch,
    )[1]
