"""A raw table of pairs with every column that it may have: what it lacks is made up."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answer_sets import Answers, common, spelled
from subspace_illusion.tasks.positions import LAST
from subspace_illusion.tasks.quoting import at, quoted
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

REQUIRED = ("base", "source", "base_answer", "source_answer")
OPTIONAL = (
    *("position", "source_position", "value", "source_value", "group", "split", "template", "foil", "kind"),
    *("joined",),
)
"""The columns that a raw table of pairs must have, and those that it may have."""
MAY_BE_BLANK = ("foil", "joined")
"""The columns that need not say something in every row."""


def values(raw: pd.DataFrame) -> pd.DataFrame:
    """The columns ``value`` and ``source_value`` of a raw table of pairs: where they are not given, the answers."""
    given = dict(value="base_answer", source_value="source_answer")
    answers = {own: raw[answer].map(spelled) for own, answer in given.items() if own not in raw}
    return pd.DataFrame({own: answers.get(own, raw.get(own)) for own in given}, index=raw.index)


def placed(raw: pd.DataFrame, position: str, source_position: str | None, name: str) -> pd.DataFrame:
    """A raw table of pairs with both columns of positions.

    Args:
        raw: The table.
        position: Position in the base, if the table does not give it.
        source_position: Position in the source, likewise; ``None``: what it is in the base.
        name: What messages call the table.

    Raises:
        InputError: If positions are given in sources alone.
    """
    theirs = raw.get("source_position", [source_position])
    beside = next((place for place in theirs if place not in (None, LAST)), None)
    if position == LAST and "position" not in raw and beside is not None:
        raise InputError(
            f"{name}: a position is given in the sources ({quoted(beside)}) and none in the bases; give it in a column "
            f"'position', or as position ('{LAST}' too, in a column, if it is meant)"
        )
    table = raw if "position" in raw else raw.assign(position=position)
    if "source_position" in raw:
        return table
    return table.assign(source_position=table["position"] if source_position is None else source_position)


def completed(raw: pd.DataFrame, test_share: float, seed: int, name: str) -> pd.DataFrame:
    """A raw table of pairs with every column that it may have.

    Args:
        raw: The table, with positions.
        test_share: Share of the groups that make up the test split.
        seed: Of this split.
        name: What messages call the table.

    Returns:
        The columns ``REQUIRED`` and ``OPTIONAL``; a foil is ``None`` where there is none.

    Raises:
        InputError: As ``tokenise``, for everything that needs no tokenizer.
    """
    if raw.empty:
        raise InputError(f"{name} has no pairs")
    constant = {"template": 0, "foil": None, "joined": None}
    lacking = {column: value for column, value in constant.items() if column not in raw}
    table = raw.assign(**values(raw), **lacking)
    defaults: dict[str, Callable[[], np.ndarray]] = {
        "kind": lambda: np.where(table["value"] == table["source_value"], SAME, DIFFERENT),
        "group": lambda: _linked(table),
        "split": lambda: _dealt(table, test_share, seed, name),
    }
    for column, default in defaults.items():
        if column not in table:
            table[column] = default()
    _check_splits(table, name)
    table["foil"] = _foils(table)
    return table[[*REQUIRED, *OPTIONAL]]


def _linked(table: pd.DataFrame, *columns: str) -> np.ndarray:
    """A number for each pair that pairs share if a chain of shared prompts links them, or of what columns say."""
    said = [table[column].map(lambda value: (value,)) for column in columns]  # no prompt, whatever the value
    codes, nodes = pd.factorize(pd.concat([table["base"], table["source"], *said]))
    base, *others = np.split(codes, 2 + len(columns))
    ends = np.tile(base, len(others)), np.concatenate(others)
    _, of_node = connected_components(coo_array((np.ones(len(ends[0])), ends), shape=(len(nodes),) * 2))
    return pd.factorize(of_node[base])[0]


def _dealt(table: pd.DataFrame, test_share: float, seed: int, name: str) -> np.ndarray:
    """The split of each pair, by its group; groups that share a prompt stay together.

    Raises:
        InputError: If there is only one group.
    """
    dealt = _linked(table, "group")
    groups = np.unique(dealt)
    if len(groups) < 2:
        raise InputError(
            f"{name}: all pairs are in one group (pairs that share a prompt are), and train and test need one each; "
            "add pairs of unrelated prompts"
        )
    n_test = min(max(round(len(groups) * test_share), 1), len(groups) - 1)
    test = groups[numpy_generator(seed, "split", "groups").permutation(len(groups))[:n_test]]
    return np.where(np.isin(dealt, test), "test", "train")


def _check_splits(table: pd.DataFrame, name: str) -> None:
    """Makes sure that both splits have a pair of different values, and that they share no prompt.

    Raises:
        InputError: If not.
    """
    for split in SPLITS:
        if not ((table["split"] == split) & (table["kind"] == DIFFERENT)).any():
            raise InputError(
                f"{name}: no pair of the {split} split has a source with another value than its base; add some, "
                "or set the splits in a column 'split'"
            )
    first: dict[str, tuple[str, int]] = {}
    for row in table.itertuples():
        for text in (row.base, row.source):
            split, index = first.setdefault(text, (row.split, row.Index))
            if split != row.split:
                raise InputError(
                    f"{at(name, index, row.Index)}: the prompt {quoted(text)} stands in both splits; give the rows "
                    "the same split, or the same group and no split"
                )


def _foils(table: pd.DataFrame) -> list[Answers | None]:
    """The foil of each pair, or several, ``None`` where there is none."""
    different = table["kind"] != SAME
    given = table["foil"].where(table["foil"].notna() | ~different, table["source_answer"])
    of_base: dict[str, Answers] = {}
    for base, foil in zip(table["base"][different], given[different], strict=True):
        of_base.setdefault(base, foil)
    answers = {
        split: list(dict.fromkeys(zip(rows["value"], rows["base_answer"], strict=True)))
        for split, rows in table.groupby("split")
    }
    foils = []
    for row, own in zip(table.itertuples(), given, strict=True):
        elsewhere = (found for value, found in answers[row.split] if value != row.value)
        others = (found for found in elsewhere if common(found, row.base_answer) is None)
        foils.append(own if pd.notna(own) else of_base.get(row.base, next(others, None)))
    return foils
