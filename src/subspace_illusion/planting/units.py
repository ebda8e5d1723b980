"""Cases whose mediated share is known, from plain values (E14): a unit of work is a block, wherever it is done."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.sites import Site
from subspace_illusion.planting.mediated import Plan, cases_of_block
from subspace_illusion.planting.places import sites_read
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.make import make_task
from subspace_illusion.tasks.table import DIFFERENT, chosen, mark_kept

RECORDED = 32
"""Prompts in one forward pass while they are recorded."""


def cases_of(*, pairs: Mapping[str, Any], plan: Mapping[str, Any], block: int) -> pd.DataFrame:
    """The cases of one block, as ``mediated.cases_of_block`` gives them.

    Args:
        pairs: ``model`` and ``path`` (folders), ``task``, ``cases`` by split, ``test_share``, ``seed``, ``same_value``.
        plan: The fields of ``mediated.Plan``.
        block: The block.
    """
    planned, model = Plan(**plan), open_model(Path(pairs["model"]))
    made = (pairs[name] for name in ("cases", "test_share", "seed"))
    prompts, listed = make_task(pairs["task"], Path(pairs["path"]), model.tokenizer, *made)
    sites = sites_read(model, block, planned.places)
    train, test = both_splits(model, prompts, listed, sites, training_kinds(pairs["same_value"]))
    return cases_of_block(train, test, block, planned)


def both_splits(
    model: Model, prompts: pd.DataFrame, pairs: pd.DataFrame, sites: Sequence[Site], of_training: Sequence[str]
) -> tuple[Pairs, Pairs]:
    """The pairs of both splits that the model gets right, their prompts run now.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: The pairs.
        sites: What to record.
        of_training: The kinds of pair that are trained on.

    Raises:
        InputError: If the model lacks a site, or gets no pair right.
    """
    for site in sites:
        model.check(site)
    everything = recorded_pairs(model, prompts, pairs, sites, min(site.start for site in sites), RECORDED)
    marked = mark_kept(everything.table, filter_incorrect=True)
    right = replace(everything, table=marked).among(marked["kept"].to_numpy())
    train, test = (
        right.among(right.table.index.isin(chosen(right.table, split, *kinds).index))
        for split, kinds in (("train", of_training), ("test", (DIFFERENT,)))
    )
    return train, test
