"""Planted and natural cases from plain values (E14): what one unit of work is, wherever it is done.

A unit is the planted cases of one block, or one natural component. It opens the model and runs the task's prompts by
itself; units of the same task that are done by one process share that.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.core.model import open_model
from subspace_illusion.core.sites import Site
from subspace_illusion.files import hash_of
from subspace_illusion.planting.cases import Dose, Plan, both_splits, plant, sites_read
from subspace_illusion.planting.natural import natural_case, sites_looked_at
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.make import make_task


def plan_of(plan: Mapping[str, Any]) -> Plan:
    """A plan from plain values: the fields of ``Plan``, each dose as a pair of numbers."""
    return Plan(**{**plan, "doses": [Dose(*dose) for dose in plan["doses"]]})


def plant_block(
    *,
    pairs: Mapping[str, Any],
    plan: Mapping[str, Any],
    block: int,
    kinds: Sequence[str],
    recorded: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """The planted cases of one block, as ``planted.plant`` gives them.

    Args:
        pairs: What ``both_of`` takes.
        plan: What ``plan_of`` takes.
        block: The block.
        kinds: The kinds of carrier.
        recorded: The blocks and natural components that the prompts are recorded for, where other units of this
            process want them too. It changes no result.
    """
    train, test = both_of(pairs, **recorded or dict(blocks=[block], natural=[]))
    return plant(train, test, block, kinds, plan_of(plan))


def look_at(
    *, pairs: Mapping[str, Any], plan: Mapping[str, Any], hook: str, recorded: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """One natural component, as ``natural.natural_case`` gives it.

    Args:
        pairs: What ``both_of`` takes.
        plan: What ``plan_of`` takes.
        hook: The component.
        recorded: As for ``plant_block``.
    """
    train, test = both_of(pairs, **recorded or dict(blocks=[], natural=[hook]))
    return natural_case(train, test, Site.parse(hook), plan_of(plan))


def both_of(pairs: Mapping[str, Any], blocks: Sequence[int], natural: Sequence[str]) -> tuple[Pairs, Pairs]:
    """Training and held-out pairs of a task with what planted and natural cases read of them.

    Args:
        pairs: ``model`` and ``path`` (folders), ``task``, ``train_cases``, ``test_cases``, ``test_share``, ``seed``,
            ``same_value``.
        blocks: The blocks of the planted cases.
        natural: The hooks of the natural ones.
    """
    content = tuple(hash_of(Path(pairs[name])) for name in ("model", "path"))
    return _both_of(json.dumps(pairs), tuple(blocks), tuple(natural), content)


@lru_cache(maxsize=1)
def _both_of(
    pairs: str, blocks: tuple[int, ...], natural: tuple[str, ...], content: tuple[str, ...]
) -> tuple[Pairs, Pairs]:
    """The same, kept until something else is asked, or the folders hold something else."""
    asked = json.loads(pairs)
    model = open_model(Path(asked["model"]))
    cases = dict(train=asked["train_cases"], test=asked["test_cases"])
    share, seed = asked["test_share"], asked["seed"]
    prompts, listed = make_task(asked["task"], Path(asked["path"]), model.tokenizer, cases, share, seed)
    sites = [*sites_looked_at([Site.parse(hook) for hook in natural]), *sites_read(model, blocks)]
    return both_splits(model, prompts, listed, list(dict.fromkeys(sites)), training_kinds(asked["same_value"]))
