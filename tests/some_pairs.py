"""A few pairs of random prompts of the tiny models, of every kind, run in memory."""

from collections.abc import Sequence

import pandas as pd
import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.table import NO_ANSWER, PAIR_KINDS, SAME

VALUES = ("first", "second")


def prompts_and_pairs(
    cases: int = 4, kinds: Sequence[str] = PAIR_KINDS, position: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of prompts, four a case, of two lengths, read at END or another token, and of pairs: both swaps of every
    case and kind."""
    generator = torch.Generator().manual_seed(5)
    prompts, pairs = [], []
    for case in range(cases):
        for number in range(4):
            tokens = torch.randint(1, 500, (7 + case % 2,), generator=generator).tolist()
            at = len(tokens) - 1 if position is None else position
            prompts.append(
                dict(
                    prompt=4 * case + number, tokens=tokens, end=len(tokens) - 1, position=at,
                    value=VALUES[number % 2], text=f"case {case}, prompt {number}",
                )
            )  # fmt: skip
        for base in (0, 1):
            for kind in kinds:
                source = {PAIR_KINDS[0]: 1 - base, PAIR_KINDS[1]: 3 - base, PAIR_KINDS[2]: 2 + base}[kind]
                answer, foil = 5 + 2 * case + base, 6 + 2 * case - base
                pairs.append(
                    dict(
                        pair=len(pairs), group=f"case-{case}", template=case % 2, kind=kind, base=4 * case + base,
                        source=4 * case + source, answer_id=answer, foil_id=foil,
                        target_id=answer if kind == SAME else foil,
                        source_id=answer if kind == PAIR_KINDS[0] else NO_ANSWER,
                        base_value=VALUES[base], source_value=VALUES[source % 2],
                    )
                )  # fmt: skip
    return pd.DataFrame(prompts), pd.DataFrame(pairs)


def some_pairs(
    model: Model,
    sites: Sequence[Site],
    start: int,
    cases: int = 4,
    kinds: Sequence[str] = PAIR_KINDS,
    position: int | None = None,
) -> Pairs:
    prompts, pairs = prompts_and_pairs(cases, kinds, position)
    return recorded_pairs(model, prompts, pairs, sites, start, batch=3)
