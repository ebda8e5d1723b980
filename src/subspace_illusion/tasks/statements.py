"""Pairs of a table of statements with labels: of rows that are alike in some columns and have different labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming, renamed
from subspace_illusion.tasks.not_pairs import LABELS, TEXTS, column_called
from subspace_illusion.tasks.quoting import at, quoted

KNOWN = ("text", "label", "answer")
"""What is asked of a row: its text, what the text is, and what the model should say to it."""


@dataclass(frozen=True)
class MadePairs:
    """Pairs of statements.

    Attributes:
        table: ``base``, ``source``, ``base_answer``, ``source_answer``, ``value``, ``source_value`` (the labels),
            ``group`` (what rows are alike in).
        alone: How many rows have no partner.
        differ: The columns, besides those, in which the two rows of some pair differ.
    """

    table: pd.DataFrame
    alone: int
    differ: list[str]


def pairs_of_statements(
    rows: Sequence[Mapping[str, object]],
    naming: Naming,
    match: Sequence[str],
    answers: Mapping[str, str],
    ask: str = "",
) -> MadePairs:
    """Pairs every row with one that is alike in some columns and has another label.

    Within rows that are alike, the k-th of a label has for its source the k-th of the next label, beginning anew where
    there are fewer of them: every row is the base once, and with two labels that are as many, pairs go both ways.

    Args:
        rows: The statements.
        naming: What messages call them, and which of their columns are ``KNOWN``, where their names do not tell.
        match: The columns in which rows of a pair are alike.
        answers: By label what the model should answer, if no column says it.
        ask: What is put behind every text, such as a question.

    Raises:
        InputError: If a column is not there, a label has no answer, or no two rows can be paired.
    """
    table = _known(rows, naming, answers)
    if lacking := [column for column in match if column not in table]:
        raise InputError(f"{naming.name} has no column {quoted(lacking[0])}; found are {', '.join(table.columns)}")
    if not match:
        raise InputError("there is no column in which rows of a pair are alike; name one")
    base: list[int] = []
    source: list[int] = []
    for _, alike in table.groupby([table[column].map(str) for column in match], sort=False):
        labels = [list(rows.index) for _, rows in alike.groupby("label", sort=False)]
        for these, those in zip(labels, labels[1:] + labels[:1], strict=True):
            if these is not those:
                base += these
                source += [those[place % len(those)] for place in range(len(these))]
    if not base:
        raise InputError(
            f"no two rows of {naming.name} are alike in {' and '.join(match)} and have different labels; match "
            "another column"
        )
    left, right = (table.loc[rows].reset_index(drop=True) for rows in (base, source))
    made = pd.DataFrame(
        dict(
            base=left["text"] + ask,
            source=right["text"] + ask,
            base_answer=left["answer"],
            source_answer=right["answer"],
            value=left["label"],
            source_value=right["label"],
            group=left[list(match)].astype(str).agg(", ".join, axis=1),
        )
    )
    beside = [column for column in table if column not in (*KNOWN, *match)]
    differ = [column for column in beside if (left[column].map(str) != right[column].map(str)).any()]
    return MadePairs(made, len(table) - len(base), differ)


def _known(rows: Sequence[Mapping[str, object]], naming: Naming, answers: Mapping[str, str]) -> pd.DataFrame:
    """Statements with the columns ``KNOWN``, as texts.

    Raises:
        InputError: If one of them is not told, or a label has no answer.
    """
    table = renamed(pd.DataFrame(rows, dtype=object), naming, KNOWN)
    found = list(table.columns)
    for ours, names in (("text", TEXTS), ("label", LABELS)):
        theirs = ours if ours in table else column_called(names, found)
        if theirs is None:
            raise InputError(
                f"{naming.name} has no column that is called like a {ours} ({', '.join(names)}); found are "
                f"{', '.join(found)}; name it in columns ({ours}=...)"
            )
        table = table.rename(columns={theirs: ours})
    for index, text in enumerate(table["text"]):
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{at(naming.name, index)}: the text is {quoted(text)}; give words, or remove the row")
    table = table.assign(label=table["label"].map(str))
    if "answer" in table:
        return table.assign(answer=table["answer"].map(str))
    labels = list(dict.fromkeys(table["label"]))
    if unanswered := [label for label in labels if label not in answers]:
        asked = ",".join(f"{label}=..." for label in labels[:4])
        raise InputError(
            f"what should the model answer to a text of {naming.name} with the label {quoted(unanswered[0])}? Say it "
            f"in answers ({asked}), or name it in columns (answer=...)"
        )
    return table.assign(answer=table["label"].map(answers))
