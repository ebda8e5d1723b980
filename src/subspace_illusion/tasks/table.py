"""The table of pairs: what a pair is, whatever the task."""

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
