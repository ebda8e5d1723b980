"""Pairs the other way round: their source as the base."""

import numpy as np
import pandas as pd

from subspace_illusion.tasks.answer_sets import within
from subspace_illusion.tasks.completed import values

_OTHER = dict(base="source", base_answer="source_answer", position="source_position", value="source_value")


def with_swaps(raw: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """A raw table of pairs with each pair of different values the other way round too, where it is not there already.

    A pair whose foil is not its source's answer has no such other way: the source's value calls for one answer in the
    base and another in the source itself, and nothing says what the base's value calls for there.

    Args:
        raw: The table, with positions.

    Returns:
        The table, the new rows with the index of those that they are made from; how many are new; and how many pairs
        have no other way.
    """
    table = raw.assign(**values(raw))
    swapped = table.rename(columns=_OTHER | {other: one for one, other in _OTHER.items()})[table.columns]
    prompts = ["base", "source"]
    known = {*table[prompts].itertuples(index=False, name=None)}
    new = [pair not in known for pair in swapped[prompts].itertuples(index=False, name=None)]
    new = np.array(new) & (table["value"] != table["source_value"])
    if "foil" not in table:
        return pd.concat([table, swapped[new]]), int(new.sum()), 0
    foils = zip(table["foil"], table["source_answer"], strict=True)
    own = np.array([pd.isna(foil) or (within(foil, answer) and within(answer, foil)) for foil, answer in foils])
    swapped = swapped.assign(foil=None)  # by default it is the answer of the other side
    return pd.concat([table, swapped[new & own]]), int((new & own).sum()), int((new & ~own).sum())
