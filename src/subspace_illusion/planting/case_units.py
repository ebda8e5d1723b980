"""Cases whose mediated share is known, from plain values (E14): a unit of work is a block, wherever it is done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.core.model import open_model
from subspace_illusion.planting.cases import both_splits
from subspace_illusion.planting.mediated import Plan, cases_of_block, sites_read
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.tasks.make import make_task


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
