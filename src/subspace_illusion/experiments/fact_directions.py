"""Facts, patched block by block (E16, second half of arXiv 2311.17030): an MLP's hidden activations at the subject.

Two ways of finding a direction. *One direction per pair*, as in the paper: DAS fitted to a single pair and measured on
that same pair. Wu et al. (arXiv 2401.12631) object that such a direction proves little: with hundreds of dimensions and
one example, something that gives the wanted token can nearly always be found, whether or not the model stores facts
there, and nothing asks it to serve for another pair. So beside it *one shared direction*: DAS fitted to all pairs of
the training split and measured on pairs of subjects and sentences that it never saw.

Either is split into row and null part by the MLP's output matrix, and patched beside its row part, its null part and
the whole MLP, on the same pairs.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import SMALLEST_PART, split
from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.seeds import derive, numpy_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, interval, ratio_by_draw, summarise
from subspace_illusion.subspace.das import Examples, Loss, train_das
from subspace_illusion.subspace.keys import NULL, ROW, TRAINED, WHOLE, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs

ONE = "one direction per pair"
SHARED = "one shared direction"
"""What a direction was fitted to; the whole MLP, which is fitted to nothing, goes by ``WHOLE_MLP``."""
WHOLE_MLP = WHOLE.subspace

GEOMETRY = ("row_norm", "null_norm", "cos_row", "cos_null", "lent_share")
"""What is said of directions without running the model; each comes with its interval."""


def sites_of_blocks(model: Model, site: Site, blocks: Sequence[int]) -> list[Site]:
    """A component's hook in each of some blocks.

    Raises:
        InputError: If it is no MLP's hidden activations, or the model lacks a block.
    """
    if not site.is_mlp_hidden:
        raise InputError(f"facts are patched in MLPs' hidden activations, and '{site.name}' is none")
    if beyond := [block for block in blocks if not 0 <= block < model.n_blocks]:
        raise InputError(f"facts.blocks: there is no block {beyond[0]}, the model has 0 to {model.n_blocks - 1}")
    listed = [replace(site, block=block) for block in blocks]
    for each in listed:
        model.check(each)
    return listed


def spread_over_groups(pairs: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """So many pairs, or all, of as many groups as there are: a second of a group only after one of every other.

    Args:
        pairs: The table of pairs, column ``group``.
        count: How many.
        seed: Of the order in which a group's pairs, and the groups, are drawn.
    """
    drawn = pairs.iloc[numpy_generator(seed, "pairs of facts").permutation(len(pairs))]
    turns = drawn.groupby("group", sort=False).cumcount()
    return drawn.loc[turns.sort_values(kind="stable").index[:count]].reset_index(drop=True)


def directions_of_pairs(
    pairs: Pairs,
    site: Site,
    *,
    steps: int,
    lr: float,
    loss: Loss,
    matmul_dtype: MatmulDtype = "float32",
    seed: int,
    on_step: Callable[[float], None] = lambda loss: None,
) -> torch.Tensor:
    """One DAS direction for each pair, fitted to it alone; all of them are trained in one batch.

    Args:
        pairs: The pairs.
        site: Where.
        steps: As for ``train_das``.
        lr: Likewise.
        loss: Likewise.
        matmul_dtype: Likewise.
        seed: Of the first directions.
        on_step: As for ``train_das``.

    Returns:
        ``[n, d]``.
    """
    tail = pairs.tail(site.start)(torch.arange(len(pairs))).to(pairs.model.device)
    ends = pairs.base(site), pairs.source(site)
    # Of every run its only example, in the order of the runs.
    base, source, target, other, changes = (of_pairs[:, None] for of_pairs in (*ends, *pairs.targets))
    alone = Examples(base, source, target, other, changes, lambda _: tail)
    seeds = [derive(seed, "direction of a pair", number) for number in range(len(pairs))]
    trained = train_das(
        pairs.model,
        site,
        alone,
        rank=1,
        seeds=seeds,
        steps=steps,
        batch=1,
        lr=lr,
        loss=loss,
        matmul_dtype=matmul_dtype,
        on_step=on_step,
    )
    return trained.bases[..., 0]


def change_along(difference: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """What patching each pair along a direction of its own adds, ``(Delta.v) v``, ``[..., n, d]``.

    Args:
        difference: Delta, source minus base, ``[n, d]``.
        directions: Unit vectors, ``[..., n, d]``.
    """
    return (difference * directions).sum(-1, keepdim=True) * directions


def parts_of(directions: torch.Tensor, readout: torch.Tensor, tolerance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Row and null part of directions, not normalised, each ``[..., d]``.

    Args:
        directions: ``[..., d]``.
        readout: ``[d, d_model]``.
        tolerance: Singular values of the readout below this share of the largest count as zero.
    """
    divided = split(directions.flatten(0, -2).mT, readout, tolerance)
    row, null = (part.mT.reshape(directions.shape) for part in (divided.row_vectors, divided.null_vectors))
    return row, null


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors ``[..., d]`` with length one; those shorter than ``SMALLEST_PART``, no directions, stay short."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(SMALLEST_PART)


def patch_block(
    pairs: Pairs,
    site: Site,
    found: Mapping[str, torch.Tensor],
    readout: torch.Tensor,
    bootstrap: Bootstrap,
    *,
    tolerance: float,
    batch: int,
) -> list[dict[str, object]]:
    """Patches one block along directions, their row parts, their null parts, and whole.

    Args:
        pairs: Pairs of facts.
        site: The MLP's hidden activations.
        found: Directions ``[seeds, n, d]``, one a pair, by what they were fitted to; a shared one is repeated.
        readout: The MLP's output matrix, ``[d, d_model]``.
        bootstrap: Draws of the pairs' groups.
        tolerance: As for ``parts_of``.
        batch: Pairs at a time.

    Returns:
        Rows ``block``, ``what`` (``ONE``, ``SHARED`` or ``WHOLE_MLP``), ``subspace`` (the trained one, its row part,
        its null part, or the whole component), ``seeds``, ``pairs`` and the measures of a patch;
        ``interchange_accuracy`` is the share of patches that give the source's answer as the top token, ``flip_rate``
        that of LD < 0. Trained directions also have ``GEOMETRY``.
    """
    difference = pairs.source(site) - pairs.base(site)
    trained = SubspaceKey(TRAINED)
    changes: dict[tuple[str, SubspaceKey], torch.Tensor] = {(WHOLE_MLP, WHOLE): difference[None]}
    geometry_of: dict[tuple[str, SubspaceKey], dict[str, float]] = {}
    for what, directions in found.items():
        row, null = parts_of(directions, readout, tolerance)
        changes[what, trained] = change_along(difference, directions)
        for part, vectors in ((ROW, unit(row)), (NULL, unit(null))):
            changes[what, trained.of_part(part)] = change_along(difference, vectors)
        geometry_of[what, trained] = geometry(difference, row, null, bootstrap)
    rows: list[dict[str, object]] = []
    for (what, key), by_seed in changes.items():
        outcomes = pairs.patch(site, dict(enumerate(change.__getitem__ for change in by_seed)), batch)
        about = dict[str, object](
            block=site.block, what=what, subspace=key.subspace, seeds=len(by_seed), pairs=len(pairs)
        )
        measured = summarise(Outcome.pooled(list(outcomes.values())), pairs.ld_clean, bootstrap)
        rows.append(about | measured | geometry_of.get((what, key), {}))
    return rows


def geometry(difference: torch.Tensor, row: torch.Tensor, null: torch.Tensor, bootstrap: Bootstrap) -> dict[str, float]:
    """Norms of the parts, how Delta lies to them, and what the null part lends, means over pairs with intervals.

    Args:
        difference: Delta, source minus base, ``[n, d]``.
        row: Row parts r, not normalised, ``[seeds, n, d]``.
        null: Null parts n, likewise.
        bootstrap: Draws of the pairs' groups.

    Returns:
        ``GEOMETRY``: ``|r|``, ``|n|``, ``|cos(Delta, r)|``, ``|cos(Delta, n)|``, and the lent share: mean (Delta.n)
        over mean (Delta.v), every direction with the sign that makes its Delta.v positive.
    """
    length = difference.norm(dim=-1)
    along_row, along_null = ((difference * part).sum(-1) for part in (row, null))
    along = along_row + along_null
    values = dict(
        row_norm=row.norm(dim=-1),
        null_norm=null.norm(dim=-1),
        cos_row=(difference * unit(row)).sum(-1).abs() / length,
        cos_null=(difference * unit(null)).sum(-1).abs() / length,
    )
    measured: dict[str, float] = {}
    for name, value in values.items():
        measured |= interval(name, bootstrap.means(value.double().numpy()))
    lent, whole = (bootstrap.means(np.asarray(x.double())) for x in (along_null * along.sign(), along.abs()))
    return measured | interval("lent_share", ratio_by_draw(lent, whole))
