"""The pairs that an audit is given, whatever form they come in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.auditing.settings import Reading
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import sha256
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.tasks.pairs_file import RawPairs
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.rows import read_rows
from subspace_illusion.tasks.table import Span
from subspace_illusion.tasks.tokenise import Tokenised


@dataclass(frozen=True)
class GivenPairs:
    """A raw table of pairs.

    Attributes:
        raw: The table.
        about: Where it is from, as values of JSON.
    """

    raw: RawPairs
    about: Mapping[str, Any]

    def read(
        self,
        tokenizer: Tokenizer,
        reading: Reading,
        test_share: float,
        *,
        said: Sequence[str] = (),
        span: Span = "last",
    ) -> tuple[Tokenised, AsRead]:
        """The tables of prompts and of pairs for a model, before its weights are read; and how they were read.

        Args:
            tokenizer: The model's, of ``given_tokenizer``.
            reading: How they are read.
            test_share: Share of the groups that make up the test split.
            said: What is to be said of the tokenizer.
            span: Which tokens of a position of several count.

        Raises:
            InputError: If rows are wrong, and are not to be left out.
        """
        found = self.raw.tokenised(tokenizer, test_share, reading.seed, span)
        return found, AsRead.from_tables(found.prompts, found.pairs, [*said, *found.notes], tokenizer)


def given_pairs(given: Any, reading: Reading) -> GivenPairs:
    """The raw table of pairs; what is wrong with its rows is kept beside it.

    Args:
        given: A file, a data frame, a list of rows, or a mapping of columns.
        reading: How they are read.

    Raises:
        InputError: If it is none of these, or no table of pairs; not if rows of one are wrong.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        raw = RawPairs.read(read_rows(path), str(path), reading)
        return GivenPairs(raw, dict(file=path.name, sha256=sha256(path)) | _told(raw))
    try:
        table = pd.DataFrame(given)
        if any(name is not None for name in table.index.names):
            table = table.reset_index()
        rows = table.to_dict("records")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"a {type(given).__name__} is no table of pairs: give a file, a data frame, or a list with a mapping of "
            "base, source, base_answer and source_answer for every pair"
        ) from error
    if twice := [str(column) for column in table.columns[table.columns.duplicated()]]:
        raise InputError(f"the pairs have the column {quoted(twice[0])} twice; remove or rename one")
    listed = [{str(column): value for column, value in row.items()} for row in rows]
    raw = RawPairs.read(listed, "the pairs", reading)
    return GivenPairs(raw, _told(raw))


def _told(raw: RawPairs) -> dict[str, Any]:
    """How a table was read, where that has to be said."""
    return dict(read=list(raw.said)) if raw.said else {}
