"""Pairs the other way round: their source as the base."""

import numpy as np
import pandas as pd

from subspace_illusion.tasks.completed import values

_OTHER = dict(base="source", base_answer="source_answer", position="source_position", value="source_value")


def with_swaps(raw: pd.DataFrame, position: str, source_position: str) -> tuple[pd.DataFrame, int]:
    """A raw table of pairs with each pair of different values the other way round too, where it is not there already.

    Args:
        raw: The table.
        position: Position in the base, if the table does not give it.
        source_position: Position in the source, likewise.

    Returns:
        The table, the new rows with the index of those that they are made from; and how many are new.
    """
    places = dict(position=position, source_position=source_position)
    table = raw.assign(**values(raw), **{column: place for column, place in places.items() if column not in raw})
    swapped = table.rename(columns=_OTHER | {other: one for one, other in _OTHER.items()})[table.columns]
    if "foil" in table:  # which was given for the other base; by default it is that base's answer
        swapped = swapped.assign(foil=None)
    prompts = ["base", "source"]
    known = {*table[prompts].itertuples(index=False, name=None)}
    new = [pair not in known for pair in swapped[prompts].itertuples(index=False, name=None)]
    new = np.array(new) & (table["value"] != table["source_value"])
    return pd.concat([table, swapped[new]]), int(new.sum())
