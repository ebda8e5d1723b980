"""Tables that hold something else than pairs, told by their columns: what they are, and what a pair would be."""

from collections.abc import Sequence
from pathlib import Path

from subspace_illusion.tasks.completed import REQUIRED
from subspace_illusion.tasks.naming import plain_name
from subspace_illusion.tasks.quoting import quoted

PAIR = (
    "A pair is two prompts that differ in one thing, each with what the model should answer: "
    f"{', '.join(REQUIRED[:-1])} and {REQUIRED[-1]}"
)
TEXTS = (
    *("statement", "claim", "proposition", "sentence", "text"),
    *("prompt", "question", "query", "instruction", "input"),
)
"""What the column with a row's one text is called, the likeliest first."""
LABELS = ("label", "labels", "is_true", "truth", "truth_value", "true", "correct", "target", "class", "y")
"""What the column is called that says what a text is, such as true or false."""
_TWO_ANSWERS = (
    ("answer_matching_behavior", "answer_not_matching_behavior"),
    ("chosen", "rejected"),
    ("target_true", "target_new"),
    ("correct_answer", "incorrect_answer"),
    ("correct_answers", "incorrect_answers"),
    ("best_answer", "incorrect_answers"),
    ("correct", "incorrect"),
    ("positive", "negative"),
)
"""Two columns of answers to one prompt: contrast pairs, preferences, facts to edit."""
_ONE_ANSWER = ("attribute", "answer", "answers", "completion", "response", "output", "object", "obj_label")
"""The one answer to a prompt, as in lists of facts."""
_CHOICES = ("choices", "options")
_NUMBERS = ("id", "idx", "index", "unnamed: 0")
_TWO_TEXTS = (
    ("positive", "negative"),
    ("pos", "neg"),
    ("sentence_good", "sentence_bad"),
    ("good", "bad"),
    ("chosen", "rejected"),
    ("honest", "dishonest"),
    ("sentence1", "sentence2"),
    ("sent_more", "sent_less"),
)
"""Two columns of texts without an answer."""


def what_it_holds(columns: Sequence[str], name: str) -> str | None:
    """What is said of a table that holds no pairs; ``None`` where its columns do not tell.

    Args:
        columns: Its columns.
        name: What messages call it.
    """
    text, label = column_called(TEXTS, columns), column_called(LABELS, columns)
    file = name if Path(name).suffix else "FILE"
    choices, answers = column_called(_CHOICES, columns), _both(_TWO_ANSWERS, columns)
    if text and (choices or answers):
        what = f"contrast pairs, one prompt ({quoted(text)}) with two answers ({answers})"
        if not answers:
            what = f"questions with choices ({quoted(text)}, {quoted(choices)})"
        return (
            f"{name} holds {what}, and no counterfactual pairs: there is no second prompt to patch from. {PAIR}; write "
            "one beside each prompt to which another answer is right"
        )
    if text and label:
        others = [column for column in columns if column not in (text, label) and column.lower() not in _NUMBERS]
        match = others[0] if others else "COLUMN"
        return (
            f"{name} holds statements with labels ({quoted(text)}, {quoted(label)}), one a row, and no counterfactual "
            f"pairs. {PAIR}; subspace-illusion pairs {file} --match {match} makes pairs of rows that are alike in a "
            "column and have different labels"
        )
    if text and (answer := column_called(_ONE_ANSWER, columns)):
        return (
            f"{name} holds prompts with one answer each ({quoted(text)}, {quoted(answer)}), and no counterfactual "
            f"pairs: there is no second prompt to patch from. {PAIR}; subspace-illusion pairs {file} --match COLUMN "
            f"--columns text={text},label={answer},answer={answer} makes pairs of rows that are alike in a column and "
            "have different answers"
        )
    if texts := _both(_TWO_TEXTS, columns):
        return (
            f"{name} holds pairs of texts ({texts}) without answers. {PAIR}; add the answers, and say which columns "
            "are which in columns (base=...,source=...,base_answer=...,source_answer=...)"
        )
    return None


def column_called(names: Sequence[str], columns: Sequence[str]) -> str | None:
    """The column that has the first of some names that any has, for a key of a mapping that of its column with a dot;
    capital letters and spaces in its own are no matter. A key that several mappings have tells of two sides."""
    plain = {column: plain_name(column.rpartition(".")[2]) for column in columns}
    keys = [plain[column] for column in columns if "." in column]
    by_name = {name: column for column, name in reversed(plain.items()) if "." not in column or keys.count(name) == 1}
    return next((by_name[name] for name in names if name in by_name), None)


def _both(pairs: Sequence[tuple[str, str]], columns: Sequence[str]) -> str:
    """The first of some pairs of columns that are both there, in quotes; empty where none is."""
    found = [[column_called([name], columns) for name in pair] for pair in pairs]
    return next((", ".join(map(quoted, pair)) for pair in found if all(pair)), "")
