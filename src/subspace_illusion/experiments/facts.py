"""Facts in full (E16): every block's directions and edits, on the same held-out pairs."""

from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.experiments.fact_directions import (
    ONE,
    SHARED,
    directions_of_pairs,
    patch_block,
    spread_over_groups,
)
from subspace_illusion.experiments.fact_edits import edit_block
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.das import Loss, train_das
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT, chosen

BATCH = 32
"""Prompts, and pairs, in one forward pass."""


def facts_pairs(
    model: Model, prompts: pd.DataFrame, pairs: pd.DataFrame, sites: Sequence[Site], count: int, seed: int
) -> tuple[Pairs, Pairs]:
    """Pairs of facts to train on and held-out ones to measure, their prompts run at every block.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: The pairs that are kept.
        sites: The MLPs' hidden activations.
        count: The most pairs of either split.
        seed: Of the choice of pairs.
    """
    first = min(site.start for site in sites)
    train, test = (
        recorded_pairs(
            model,
            prompts,
            spread_over_groups(chosen(pairs, split, DIFFERENT), count, seed),
            sites,
            first,
            BATCH,
        )
        for split in ("train", "test")
    )
    return train, test


def facts_tables(
    prompts: pd.DataFrame,
    train: Pairs,
    test: Pairs,
    covariance: Mapping[Site, torch.Tensor],
    *,
    steps: int,
    shared_steps: int,
    shared_batch: int,
    lr: float,
    edit_steps: int,
    edit_lr: float,
    ridge: float,
    seed: int,
    loss: Loss,
    matmul_dtype: MatmulDtype,
    tolerance: float,
    resamples: int,
    on_block: Callable[[], object] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Directions and edits, block by block, on the same held-out pairs.

    Args:
        prompts: The table of prompts.
        train: What shared directions are fitted to: other subjects and sentences than ``test`` has.
        test: What everything is measured on, and what each pair's own direction and edit are fitted to.
        covariance: Of every block's hidden activations, by site, ``[d, d]``.
        steps: Of the fit of one direction per pair.
        shared_steps: Of the fit of a shared direction.
        shared_batch: Pairs a step of the same.
        lr: Of both.
        edit_steps: Of the search for an edit.
        edit_lr: Of the same.
        ridge: As for ``edit_keys``.
        seed: Of the first directions and the bootstrap.
        loss: As for ``train_das``.
        matmul_dtype: What everything is searched for in; it is measured in float32.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        resamples: Draws of the bootstrap over groups.
        on_block: Called after every block.

    Returns:
        ``patch_block``'s and ``edit_block``'s rows.
    """
    bootstrap = Bootstrap.of(test.groups, resamples, seed)
    tokens = prompts.set_index("prompt")["tokens"].loc[test.base_prompts].tolist()
    patched, edited = [], []
    for site, of_site in covariance.items():
        readout = test.model.readout(site)
        assert readout is not None
        own = directions_of_pairs(test, site, steps=steps, lr=lr, loss=loss, matmul_dtype=matmul_dtype, seed=seed)
        shared = train_das(
            train.model,
            site,
            train.examples(site),
            rank=1,
            seeds=[seed],
            steps=shared_steps,
            batch=shared_batch,
            lr=lr,
            loss=loss,
            matmul_dtype=matmul_dtype,
        ).bases[..., 0]
        found = {ONE: own[None], SHARED: shared[:, None].expand(-1, len(test), -1)}
        patched += patch_block(test, site, found, readout, bootstrap, tolerance=tolerance, batch=BATCH)
        edited += edit_block(
            test,
            tokens,
            site,
            own,
            of_site,
            readout,
            bootstrap,
            steps=edit_steps,
            lr=edit_lr,
            matmul_dtype=matmul_dtype,
            ridge=ridge,
            tolerance=tolerance,
            batch=BATCH,
        )
        on_block()
    return table(patched), table(edited)
