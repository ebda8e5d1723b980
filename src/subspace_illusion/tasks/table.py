"""The table of pairs: what a pair is, whatever the task.

One row a pair: ``pair`` (a running number), ``split``, ``kind``, ``case`` (its group: pairs that share what they are
made of, resampled whole), ``template`` (the sentence), ``base``, ``source`` (numbers of prompts), ``io_id``, ``s_id``
(token ids of the base's answer and foil), ``target_id`` (the answer that the source's value calls for).
"""

import pandas as pd

SPLITS = ("train", "test")
OPPOSITE = "opposite"
OPPOSITE_UNRELATED = "opposite_unrelated"
SAME_UNRELATED = "same_unrelated"
KINDS = (OPPOSITE, OPPOSITE_UNRELATED, SAME_UNRELATED)
"""Kinds of pair: the source has S at the opposite position or the same, and the base's names or unrelated ones."""


def chosen(pairs: pd.DataFrame, split: str, *kinds: str) -> pd.DataFrame:
    """The pairs of one split and some kinds."""
    return pairs[(pairs["split"] == split) & pairs["kind"].isin(kinds)]
