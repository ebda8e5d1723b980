"""A few pairs of random prompts of the tiny models, of every kind, run in memory."""

from collections.abc import Sequence

import pandas as pd
import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.table import KINDS, SAME_UNRELATED


def prompts_and_pairs(cases: int = 4, kinds: Sequence[str] = KINDS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of prompts, four a case, of two lengths, and of pairs: both swaps of every case and kind."""
    generator = torch.Generator().manual_seed(5)
    prompts, pairs = [], []
    for case in range(cases):
        for number in range(4):
            tokens = torch.randint(1, 500, (7 + case % 2,), generator=generator).tolist()
            prompts.append(dict(prompt=4 * case + number, tokens=tokens, text=f"case {case}, prompt {number}"))
        for base in (0, 1):
            for kind in kinds:
                source = {KINDS[0]: 1 - base, KINDS[1]: 3 - base, KINDS[2]: 2 + base}[kind]
                io, s = 5 + 2 * case + base, 6 + 2 * case - base
                pairs.append(
                    dict(
                        pair=len(pairs), case=f"case-{case}", template=case % 2, kind=kind, base=4 * case + base,
                        source=4 * case + source, io_id=io, s_id=s, target_id=io if kind == SAME_UNRELATED else s,
                    )
                )  # fmt: skip
    return pd.DataFrame(prompts), pd.DataFrame(pairs)


def some_pairs(model: Model, sites: Sequence[Site], start: int, cases: int = 4, kinds: Sequence[str] = KINDS) -> Pairs:
    prompts, pairs = prompts_and_pairs(cases, kinds)
    return recorded_pairs(model, prompts, pairs, sites, start, batch=3)
