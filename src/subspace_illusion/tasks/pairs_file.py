"""A table of pairs of one's own, read from a file: this project's columns, or those of other tools; and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.bad_rows import BadRows
from subspace_illusion.tasks.checked import OnBad, checked
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.reading import PairsReading
from subspace_illusion.tasks.rows import read_rows
from subspace_illusion.tasks.table import Span
from subspace_illusion.tasks.token_ids import in_words
from subspace_illusion.tasks.tokenise import Tokenised, tokenise
from subspace_illusion.tasks.tools import in_our_columns


@dataclass(frozen=True)
class RawPairs:
    """A raw table of pairs, before a model is known.

    Attributes:
        table: The table, without the rows that are wrong.
        bad: What is wrong with those; and what messages call the table.
        reading: How it is read.
        said: What the table was taken for, and what was assumed, a line each.
    """

    table: pd.DataFrame
    bad: BadRows
    reading: PairsReading
    said: tuple[str, ...]

    @classmethod
    def read(cls, rows: Sequence[Mapping[str, Any]], name: str, reading: PairsReading) -> Self:
        """Some rows as such a table.

        Args:
            rows: As ``pairs_of`` takes them.
            name: What messages call them.
            reading: How they are read.

        Raises:
            InputError: If they are no table of pairs; not if rows of one are wrong.
        """
        wrong: dict[int, str] = {}
        said: list[str] = []
        table = pairs_of(rows, Naming(name, reading.columns, reading.counterfactual, said.append), wrong.setdefault)
        return cls(table, BadRows(name, len(rows), wrong), reading, tuple(said))

    def tokenised(self, tokenizer: Tokenizer, test_share: float, seed: int, span: Span = "last") -> Tokenised:
        """The tables of prompts and of pairs for a model.

        Args:
            tokenizer: The model's, which puts a beginning-of-sequence token or none as ``reading`` says.
            test_share: Share of the groups that make up the test split.
            seed: Of this split.
            span: Which tokens of a position of several count.

        Raises:
            InputError: If rows are wrong, and are not to be left out.
        """
        table, wrong = in_words(self.table, tokenizer, self.reading.phrasing)
        return tokenise(
            table,
            tokenizer,
            position=self.reading.position,
            source_position=self.reading.source_position,
            test_share=test_share,
            seed=seed,
            name=self.bad.name,
            phrasing=self.reading.phrasing,
            both_ways=self.reading.both_ways,
            bad=self.bad.and_also(wrong),
            skip_bad_rows=self.reading.skip_bad_rows,
            span=span,
        )


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
        The columns ``REQUIRED`` of ``tasks.completed``, those of ``OPTIONAL`` that the file has, and the file's others
        except where they hold lists or tables. Answers are texts, or tuples where several are right: a cell lists them,
        or several rows give a pair one each. Answers that are given as ids have those of ``tasks.token_ids`` too. The
        index is the row's number in the file, from 0; it repeats where a row makes several pairs.

    Raises:
        InputError: If the file cannot be read, is no table of pairs, lacks a column or a value, holds something else
            than text where text is needed, has a pair twice, a foil that is the answer, a split that is neither train
            nor test or a group that is in both.
    """
    return pairs_of(read_rows(path), Naming(str(path), columns or {}, counterfactual, say))


def pairs_of(rows: Sequence[Mapping[str, Any]], naming: Naming, on_bad: OnBad | None = None) -> pd.DataFrame:
    """The raw table of pairs of some rows, from a file or from memory.

    Args:
        rows: One a pair, with the columns of ``read_pairs``.
        naming: What messages call them, and what the user does.
        on_bad: Told of each row that is wrong, which is left out then; by default such a table is refused.

    Returns:
        As ``read_pairs``.

    Raises:
        InputError: As ``read_pairs``, for what is wrong with the rows.
    """
    if not rows:
        raise InputError(f"{naming.name} is empty; it needs one row for each pair")
    return checked(in_our_columns(rows, naming), naming, on_bad).infer_objects()
