"""Answers that a table gives as ids of tokens: what they are in words, once the model's tokenizer is known."""

import json
from collections.abc import Mapping

import pandas as pd

from subspace_illusion.core.checkpoints import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.tokenise import at, quoted

IDS = {"base_answer": "base_answer_id", "source_answer": "source_answer_id"}
"""By answer the column of a raw table with its id. Until it is in words, the answer is called after the id."""


def id_columns(ids: Mapping[str, pd.Series], name: str) -> dict[str, pd.Series]:
    """The columns of a raw table for answers that are given as ids of tokens, the first where there is a list of them.

    Args:
        ids: By answer what the table gives: numbers, or what is read as one.
        name: What messages call the table.

    Raises:
        InputError: If one is no id.
    """
    found = {IDS[answer]: _numbers(given, name) for answer, given in ids.items()}
    return found | {answer: found[IDS[answer]].map(lambda number: f"token {number}") for answer in ids}


def _numbers(given: pd.Series, name: str) -> pd.Series:
    """Ids as numbers.

    Raises:
        InputError: If one is none.
    """
    numbers = []
    for index, cell in given.items():
        try:
            read = json.loads(cell) if isinstance(cell, str) else cell
        except ValueError:
            read = None
        first = read[0] if isinstance(read, list) and read else read
        if isinstance(first, bool) or not isinstance(first, int) or first < 0:
            raise InputError(f"{at(name, index)}: '{given.name}' is {quoted(cell)}, which is no id of a token")
        numbers.append(first)
    return pd.Series(numbers, given.index)


def in_words(raw: pd.DataFrame, tokenizer: Tokenizer, name: str) -> pd.DataFrame:
    """A raw table whose answers are all texts.

    Args:
        raw: A raw table of pairs, which may have the columns of ``id_columns``.
        tokenizer: That of the model; that of the ids is taken to be the same.
        name: What messages call the table.

    Raises:
        InputError: If the tokenizer has no such id, or its text is another token behind the prompt.
    """
    for answer, column in IDS.items():
        if column in raw:
            rows = zip(raw.index, raw[answer.removesuffix("_answer")], raw[column], strict=True)
            texts = [_word(prompt, int(number), tokenizer, at(name, index)) for index, prompt, number in rows]
            raw = raw.assign(**{answer: texts}).drop(columns=column)
    return raw


def _word(prompt: str, number: int, tokenizer: Tokenizer, where: str) -> str:
    """The text of a token behind its prompt.

    Raises:
        InputError: If it has none there.
    """
    if number >= len(tokenizer.hf):
        raise InputError(f"{where}: the tokenizer has no token {number}; is the table made for another model?")
    text = tokenizer.hf.decode([number])
    if not text[:1].isspace() or tokenizer.encode(prompt + text) != [*tokenizer.encode(prompt), number]:
        raise InputError(
            f"{where}: token {number} is {quoted(text)}, which is not read as that token behind {quoted(prompt)}; is "
            "the table made for another model? If not, give the answers as texts"
        )
    return text
