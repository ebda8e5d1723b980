"""The table of pairs: what a pair is, whatever the task.

Prompts, one row each: ``prompt`` (a running number), ``split``, ``group`` (prompts that share what they are made of),
``template`` (the sentence), ``text``, ``tokens``, ``end`` (index of END), ``position`` (index of the token at which
components are read and patched), ``value`` (of the variable); where positions are spans of tokens, ``span`` (how many,
the last of them at the position).

Pairs, one row each: ``pair`` (a running number), ``split``, ``kind``, ``group`` (pairs that share what they are made
of, resampled whole), ``template``, ``base``, ``source`` (numbers of prompts), ``answer_id``, ``foil_id`` (token ids of
the base's answer and foil), ``target_id`` (the one of the two that the source's value calls for), ``source_id`` (the
source's own answer where it is one of them, else ``NO_ANSWER``; in IOI base and source have the same), ``base_value``,
``source_value``. Where a side of any pair has several right answers, the four ids are lists of one length in every row,
``core.outcome.NONE`` in the place of what a side has fewer.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import torch

from subspace_illusion.errors import InputError

IOI, AGREEMENT, FACTS, PRONOUN = "ioi", "agreement", "facts", "pronoun"
"""The tasks that are made here; every other is a table of the user's. IOI is the task of the post and the paper, with
which alone their figures are comparable."""
SPLITS = ("train", "test")
OTHER_SPLITS = ("validation", "valid", "val", "dev")
"""What others call a split that is not used here."""
DIFFERENT = "different value"
DIFFERENT_UNRELATED = "different value, unrelated words"
SAME = "same value"
PAIR_KINDS = (DIFFERENT, DIFFERENT_UNRELATED, SAME)
"""Kinds of pair: the source has another value of the variable than the base or, as a control, the same; other values
with the base's words as far as the task allows, and where it makes such pairs with unrelated ones. Effects are measured
on the first kind."""
Span = Literal["last", "all", "mean"]
"""Where a position is a text of several tokens: whether the last of them is read and patched; each, from the source's
token in the same place; or each by the same, the difference of their means, which is also what is read then."""
NO_ANSWER = -1
"""The token of a source's own answer that is neither the base's answer nor its foil."""


def chosen(pairs: pd.DataFrame, split: str, *kinds: str) -> pd.DataFrame:
    """The pairs of one split and some kinds."""
    return pairs[(pairs["split"] == split) & pairs["kind"].isin(kinds)]


def replayed(pairs: pd.DataFrame) -> set[int]:
    """The prompts that are replayed: base prompts, and sources of another value, whose own run stands beside."""
    return {*pairs["base"], *pairs.loc[pairs["kind"] == DIFFERENT, "source"]}


def prompts_of(prompts: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The prompts of some pairs, base prompts and sources, each once."""
    return prompts[prompts["prompt"].isin({*pairs["base"], *pairs["source"]})].reset_index(drop=True)


def unrelated(pairs: pd.DataFrame) -> str:
    """The kind of pair with another value whose words tell least of the base: unrelated ones where there are any."""
    return DIFFERENT_UNRELATED if (pairs["kind"] == DIFFERENT_UNRELATED).any() else DIFFERENT


def goes_one_way(pairs: pd.DataFrame) -> bool:
    """Whether no value is patched in from a source where it is also the base's value of a pair the other way round."""
    different = pairs[pairs["base_value"] != pairs["source_value"]]
    ways = {*different[["base_value", "source_value"]].itertuples(index=False, name=None)}
    return not any((source, base) in ways for base, source in ways)


def values_of(pairs: pd.DataFrame) -> list[str]:
    """The values of the variable that the pairs have, in order; directions point from the first to the last."""
    return sorted({*pairs["base_value"], *pairs["source_value"]})


def codes(values: pd.Series, among: Sequence[str]) -> torch.Tensor:
    """Values as their places in a list of all, ``[n]``."""
    return torch.tensor(pd.Categorical(values, categories=list(among)).codes.astype(int))


def source_sign(pairs: pd.DataFrame) -> np.ndarray:
    """Which sign the source's clean LD should have, in terms of the base's answer and foil: 1 where its own answer is
    the base's answer, -1 where it is the foil, 0 where it is neither, ``[n]``."""
    own, answer, foil = (np.array(pairs[name].tolist()) for name in ("source_id", "answer_id", "foil_id"))
    same = [(own == ids).reshape(len(own), -1).all(1) if len(own) else own == ids for ids in (answer, foil)]
    return np.select(same, [1, -1], 0)


def mark_kept(pairs: pd.DataFrame, filter_incorrect: bool, parameter: str = "filter_incorrect") -> pd.DataFrame:
    """Tells the pairs that the model gets right, and keeps all or those alone.

    A pair is right where its own answer is likelier than the other one in the base and, if it is one of the two, in the
    source.

    Args:
        pairs: Columns ``ld``, ``ld_source`` besides those of a pair.
        filter_incorrect: Whether pairs that the model gets wrong are left out.
        parameter: What the user calls that, for the message.

    Returns:
        The pairs with ``right`` and ``kept``.

    Raises:
        InputError: If a split is left without a pair that effects are measured on.
    """
    sign = source_sign(pairs)
    right = (pairs["ld"] > 0) & ((sign == 0) | (pairs["ld_source"] * sign > 0))
    marked = pairs.assign(right=right, kept=right | (not filter_incorrect))
    for split in SPLITS:
        of_split = chosen(marked, split, DIFFERENT)
        if not of_split["kept"].any():
            raise InputError(
                f"the model gets none of the {len(of_split)} {split} pairs right (base and source both likelier to "
                "give their own answer), so there is nothing to patch: use prompts that it can answer, or set "
                f"{parameter} to false"
            )
    return marked
