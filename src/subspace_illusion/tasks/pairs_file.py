"""A table of pairs of one's own, read from a file: this project's columns, or those of other tools; and checked."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.rows import read_rows
from subspace_illusion.tasks.table import PAIR_KINDS, SAME, SPLITS
from subspace_illusion.tasks.tokenise import OPTIONAL, REQUIRED, at, quoted, values
from subspace_illusion.tasks.tools import in_our_columns

_POSITIONS = ("position", "source_position")
_LABELS = ("value", "source_value", "group", "split", "template", "kind")
"""The columns that are only compared and shown, so that a number will do."""
_BETWEEN = ("validation", "valid", "val", "dev")


def read_pairs(
    path: Path,
    columns: Mapping[str, str] | None = None,
    counterfactual: str | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> pd.DataFrame:
    """The raw table of pairs of a file.

    Tables of other tools are told by their columns, unless the table has all of ours that are needed:

    - causalgym: ``base``, ``src`` (texts, or lists of regions, which are joined), ``base_label``, ``src_label`` and,
      as the values, ``base_type``, ``src_type``.
    - feature-circuits: ``clean_prefix``, ``patch_prefix``, ``clean_answer``, ``patch_answer``.
    - EAP-IG: ``clean``, ``corrupted``, and answers to both as texts or ids of tokens, such as ``correct_idx`` and
      ``incorrect_idx``.
    - RAVEL: ``input``, ``source_input``, ``label``, ``source_label``; the answer that the source's value calls for,
      ``inv_label``, is the foil and the source's value; ``entity``, ``source_entity`` are the positions; its ``split``
      is the template where it is a sentence with a gap.
    - causalab: ``input`` and ``counterfactual_inputs``, one pair for each of the latter. The answers stand in these
      or beside them (``base_answer``, ``cf_answer``); ``label`` is what RAVEL calls ``inv_label``.
    - MIB: ``prompt`` with ``choices`` and ``answerKey``, and columns ``..._counterfactual`` that hold the same.

    Args:
        path: A file as ``tasks.rows`` reads them.
        columns: By our name of a column the one that the file has for it.
        counterfactual: Which kind of MIB's counterfactuals, with or without ``_counterfactual`` behind it.
        say: Told what the table is taken for, and what is assumed.

    Returns:
        The columns ``REQUIRED`` of ``tasks.tokenise``, those of ``OPTIONAL`` that the file has, and the file's others
        except where they hold lists or tables. Answers that are given as ids have those of ``tasks.token_ids`` too. The
        index is the row's number in the file, from 0; it repeats where a row makes several pairs.

    Raises:
        InputError: If the file cannot be read, is no table of pairs, lacks a column or a value, holds something else
            than text where text is needed, has a pair twice, a foil that is the answer, a split that is neither train
            nor test or a group that is in both.
    """
    return pairs_of(read_rows(path), Naming(str(path), columns or {}, counterfactual, say))


def pairs_of(rows: Sequence[Mapping[str, Any]], naming: Naming) -> pd.DataFrame:
    """The raw table of pairs of some rows, from a file or from memory.

    Args:
        rows: One a pair, with the columns of ``read_pairs``.
        naming: What messages call them, and what the user does.

    Returns:
        As ``read_pairs``.

    Raises:
        InputError: As ``read_pairs``, for what is wrong with the rows.
    """
    if not rows:
        raise InputError(f"{naming.name} is empty; it needs one row for each pair")
    table = in_our_columns(rows, naming)
    for check in (_check_values, _check_words, _check_foils, _check_twice, _check_groups):
        check(table, naming.name)
    return table.infer_objects()


def _cells(table: pd.DataFrame, *columns: str) -> Iterator[tuple[int, str, Any]]:
    """Row, column and value of each cell of some columns, as far as the table has them; row by row."""
    present = [column for column in columns if column in table]
    for index, *row in table[present].itertuples(name=None):
        yield from ((index, column, value) for column, value in zip(present, row, strict=True))


def _check_values(table: pd.DataFrame, name: str) -> None:
    """Makes sure that nothing is missing and text is text, and turns labels into text and blank foils into none.

    Raises:
        InputError: If not.
    """
    if "foil" in table:
        table["foil"] = table["foil"].where(table["foil"].notna() & (table["foil"] != ""), None)
    for index, column, value in _cells(table, *REQUIRED, *OPTIONAL):
        blank = value is None or value == "" or value != value
        if blank and column != "foil":
            remedy = "fill it in" + ("" if column in REQUIRED else ", or leave the column out")
            raise InputError(f"{at(name, index)}: '{column}' is missing; {remedy}")
        number = isinstance(value, int) and not isinstance(value, bool)
        fits = (
            blank
            or isinstance(value, str)
            or (column in _POSITIONS and number)
            or (column in _LABELS and not isinstance(value, list | dict))
        )
        if not fits:
            wanted = "a text or a whole number" if column in _POSITIONS else "text"
            raise InputError(
                f"{at(name, index)}: '{column}' is {quoted(value)}, of type {type(value).__name__}; it must be {wanted}"
            )
    for column in _LABELS:
        if column in table:
            table[column] = table[column].map(lambda label: str(label).strip())


def _check_words(table: pd.DataFrame, name: str) -> None:
    """Makes sure that splits and kinds are of those that there are.

    Raises:
        InputError: If not.
    """
    for index, _, split in _cells(table, "split"):
        if split.lower() in _BETWEEN:
            raise InputError(
                f"{at(name, index)}: the split is {quoted(split)}, and only train and test are used; "
                "remove such rows, or call them train or test"
            )
        if split not in SPLITS:
            raise InputError(f"{at(name, index)}: the split is {quoted(split)}; it must be train or test")
    for index, _, kind in _cells(table, "kind"):
        if kind not in PAIR_KINDS:
            raise InputError(
                f"{at(name, index)}: the kind is {quoted(kind)}; it must be one of {', '.join(PAIR_KINDS)}"
            )


def _check_foils(table: pd.DataFrame, name: str) -> None:
    """Makes sure that no foil that a row gives is its answer, nor what stands for it where the values differ.

    Raises:
        InputError: If one is.
    """
    both = values(table)
    differ = table["kind"] != SAME if "kind" in table else both["value"] != both["source_value"]
    foils = table["foil"] if "foil" in table else pd.Series(None, table.index, dtype=object)
    rows = zip(table.index, differ, table["base_answer"], table["source_answer"], foils, strict=True)
    for index, different, answer, source_answer, given in rows:
        foil = source_answer if pd.isna(given) and different else given
        if pd.notna(foil) and foil.strip() == answer.strip():
            raise InputError(
                f"{at(name, index)}: the answer and its foil are both {quoted(foil)}; give the wrong answer that it is "
                "compared with in a column 'foil'"
            )


def _check_twice(table: pd.DataFrame, name: str) -> None:
    """Makes sure that no two rows have the same base, source and positions.

    Raises:
        InputError: If two have.
    """
    keys = [column for column in ("base", "source", *_POSITIONS) if column in table]
    first: dict[tuple, int] = {}
    for index, *key in table[keys].itertuples(name=None):
        same = tuple(map(str, key))
        if same in first:
            raise InputError(
                f"{at(name, first[same], index)} are the same pair (base {quoted(key[0])}); remove one of them"
            )
        first[same] = index


def _check_groups(table: pd.DataFrame, name: str) -> None:
    """Makes sure that no group is in both splits.

    Raises:
        InputError: If one is.
    """
    if not {"group", "split"} <= {*table.columns}:
        return
    first: dict[str, tuple[str, int]] = {}
    for index, group, split in table[["group", "split"]].itertuples(name=None):
        known, before = first.setdefault(group, (split, index))
        if known != split:
            raise InputError(
                f"{at(name, before, index)}: the group {quoted(group)} is in both splits; put it in one, or leave out "
                "the column 'split'"
            )
