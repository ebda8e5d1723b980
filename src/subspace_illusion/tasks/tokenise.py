"""From a raw table of pairs, in words, to the pipeline's two tables, in tokens; whatever the task."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.table import DIFFERENT, NO_ANSWER, SAME, SPLITS

REQUIRED = ("base", "source", "base_answer", "source_answer")
OPTIONAL = (*("position", "source_position", "value", "source_value", "group", "split", "template", "foil", "kind"),)
"""The columns that a raw table of pairs must have, and those that it may have."""
LAST = "last"
"""The position that is a prompt's last token, wherever that is."""

_COLUMNS = (
    *("pair", "split", "kind", "group", "template", "base", "source"),
    *("answer_id", "foil_id", "target_id", "source_id", "base_value", "source_value"),
)
_MADE_LATER = (
    *("ld", "ld_source", "right", "kept", "base_text", "source_text", "base_token", "source_token"),
    *("base_token_index", "source_token_index"),
)
"""Columns that the table of pairs gets once the model has run."""
_CLOSING = tuple(".,;:!?)]}'\N{RIGHT SINGLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}")
_OPENING = tuple("([{\N{LEFT SINGLE QUOTATION MARK}\N{LEFT DOUBLE QUOTATION MARK}")


class TextTokenizer(Protocol):
    """What is asked of a tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with whatever special tokens the tokenizer puts before it."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of ``encode(text)`` begins and ends in the text; (0, 0) for a special token."""


@dataclass(frozen=True)
class _Remembering:
    """A tokenizer that answers at once what it was asked before: most texts come in several pairs."""

    encode: Callable[[str], list[int]]
    spans: Callable[[str], list[tuple[int, int]]]


def at(name: str, *index: int) -> str:
    """How messages name a row of a table, or several, by their index."""
    numbers = [str(number + 1) for number in index]
    return f"{name}, row {numbers[0]}" if len(numbers) == 1 else f"{name}, rows {' and '.join(numbers)}"


def quoted(text: object) -> str:
    """The beginning of a text, on one line and in quotes."""
    shown = str(text)
    return repr(shown if len(shown) <= 60 else shown[:57] + "...")


def values(raw: pd.DataFrame) -> pd.DataFrame:
    """The columns ``value`` and ``source_value`` of a raw table of pairs: where they are not given, the answers."""
    given = dict(value="base_answer", source_value="source_answer")
    return pd.DataFrame(
        {own: raw[own] if own in raw else raw[answer].str.strip() for own, answer in given.items()}, index=raw.index
    )


def tokenise(
    raw: pd.DataFrame,
    tokenizer: TextTokenizer,
    *,
    position: str,
    source_position: str,
    test_share: float,
    seed: int,
    name: str,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of prompts and of pairs that a raw table of pairs stands for.

    Where answer and foil begin with the same tokens, these are appended to both prompts, so that END is where the two
    differ; a text may so become several prompts. An answer is put after a space unless it begins with one or with
    closing punctuation, or the prompt ends in a space, an opening bracket or an open double quote.

    A position is ``last``, the last token of the prompt as it is run; a token index, negative from that end; or a text
    that the prompt has once, whose last token counts.

    What the table lacks is made up: values are the answers; kinds follow from the values; groups are what pairs that
    share a prompt are linked to, and are dealt whole to the splits; the template is 0. The foil of a pair of different
    values is the source's answer. That of a pair of the same value is the foil of the first pair of different values
    with the same base, else the first answer in its split that goes with another value. Given groups are taken as they
    are, even where two share a prompt, but no prompt may stand in both splits.

    Args:
        raw: One row a pair, with the columns ``REQUIRED``, any of ``OPTIONAL`` and any others, which are carried into
            the table of pairs. A foil may be missing, nothing else. Messages number the rows by the index, from 1.
        tokenizer: The model's.
        position: Position in the base, for tables that do not give it.
        source_position: Position in the source, likewise.
        test_share: Share of the groups that make up the test split, for tables that do not give it.
        seed: Seed of this split.
        name: What messages call the table.

    Returns:
        Prompts, one row for each that differs in tokens, position or split: ``prompt`` (a running number), ``split``,
        ``template``, ``group``, ``text`` (with what is appended), ``tokens``, ``end`` (index of END), ``position``
        (index of the token), ``value``. And pairs: ``pair`` (a running number), ``split``, ``kind``, ``group``,
        ``template``, ``base``, ``source`` (numbers of prompts), ``answer_id``, ``foil_id``, ``target_id`` (the one that
        the source's value calls for), ``source_id`` (the source's own), ``base_value``, ``source_value``, and the
        columns that were carried.

    Raises:
        InputError: If a position is not there or not clear; if answers cannot be told apart by a token at END, or no
            foil is found; if a prompt stands in both splits or has two values; if there are no two groups to split, or
            a split has no pair of different values; if a column to carry has the name of one made here.
    """
    extra = [column for column in raw.columns if column not in REQUIRED + OPTIONAL]
    if taken := [column for column in extra if column in _COLUMNS + _MADE_LATER]:
        raise InputError(f"{name}: the column {quoted(taken[0])} has the name of one that is made here; rename it")
    table = _complete(raw, dict(position=position, source_position=source_position), test_share, seed, name)

    tokenizer = _Remembering(cache(tokenizer.encode), cache(tokenizer.spans))
    prompts = _Prompts(name)
    pairs: list[dict[str, Any]] = []
    for row in table.itertuples():
        try:
            ends = _tell_apart(row.base, row.base_answer, row.foil, tokenizer)
            base, source = (
                _as_run(side, text, place, ends, tokenizer)
                for side, text, place in (
                    ("base", row.base, row.position),
                    ("source", row.source, row.source_position),
                )
            )
        except InputError as error:
            raise InputError(f"{at(name, row.Index)}: {error}") from error
        shared = dict(split=row.split, group=row.group, template=row.template)
        pairs.append(
            dict(
                pair=len(pairs),
                **shared,
                kind=row.kind,
                base=prompts.number(base, shared | dict(value=row.value), row.Index),
                source=prompts.number(source, shared | dict(value=row.source_value), row.Index),
                answer_id=ends.answer_id,
                foil_id=ends.foil_id,
                target_id=ends.answer_id if row.kind == SAME else ends.foil_id,
                source_id=_own_answer(row, ends),
                base_value=row.value,
                source_value=row.source_value,
            )
        )
    made = pd.DataFrame(pairs, columns=list(_COLUMNS))
    carried = raw[extra].reset_index(drop=True).apply(_of_one_type)
    return pd.DataFrame(prompts.rows), pd.concat([made, carried], axis=1)


def _of_one_type(values: pd.Series) -> pd.Series:
    """A column that is carried along, as text where it holds anything but numbers: a file takes one type a column."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    return values.map(lambda value: None if value is None or value is pd.NA or value != value else str(value))


def _complete(raw: pd.DataFrame, positions: Mapping[str, str], test_share: float, seed: int, name: str) -> pd.DataFrame:
    """A raw table of pairs with every column that it may have, its foils filled in.

    Raises:
        InputError: As ``tokenise``, for everything that needs no tokenizer.
    """
    if raw.empty:
        raise InputError(f"{name} has no pairs")
    constant = {"template": 0, "foil": None, **positions}
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
    table["foil"] = _foils(table, name)
    return table[[*REQUIRED, *OPTIONAL]]


def _linked(table: pd.DataFrame) -> np.ndarray:
    """The group of each pair: a number that pairs share if a chain of shared prompts links them."""
    codes, texts = pd.factorize(pd.concat([table["base"], table["source"]]))
    base, source = np.split(codes, 2)
    _, of_text = connected_components(coo_array((np.ones(len(base)), (base, source)), shape=(len(texts),) * 2))
    return pd.factorize(of_text[base])[0]


def _dealt(table: pd.DataFrame, test_share: float, seed: int, name: str) -> np.ndarray:
    """The split of each pair, by its group.

    Raises:
        InputError: If there is only one group.
    """
    groups = table["group"].drop_duplicates().to_numpy()
    if len(groups) < 2:
        raise InputError(
            f"{name}: all pairs are in one group (by default, pairs that share a prompt are), and train and test "
            "need one each; add pairs of unrelated prompts, or a column 'group' or 'split'"
        )
    n_test = min(max(round(len(groups) * test_share), 1), len(groups) - 1)
    test = groups[numpy_generator(seed, "split", "groups").permutation(len(groups))[:n_test]]
    return np.where(table["group"].isin(test), "test", "train")


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


def _foils(table: pd.DataFrame, name: str) -> list[str]:
    """The foil of each pair.

    Raises:
        InputError: If a pair of different values has its answer for a foil, or a pair of the same value has none.
    """
    different = table["kind"] != SAME
    given = table["foil"].where(table["foil"].notna() | ~different, table["source_answer"])
    of_base: dict[str, str] = {}
    for base, foil in zip(table["base"][different], given[different], strict=True):
        of_base.setdefault(base, foil)
    answers = {
        split: list(dict.fromkeys(zip(rows["value"], rows["base_answer"], strict=True)))
        for split, rows in table.groupby("split")
    }
    foils = []
    for row, own in zip(table.itertuples(), given, strict=True):
        others = (text for value, text in answers[row.split] if value != row.value and not _same(text, row.base_answer))
        foil = own if pd.notna(own) else of_base.get(row.base, next(others, None))
        if foil is None:
            raise InputError(
                f"{at(name, row.Index)}: there is no foil for the answer {quoted(row.base_answer)}: no other pair of "
                "its split has an answer with another value; give one in a column 'foil'"
            )
        if _same(foil, row.base_answer):
            raise InputError(
                f"{at(name, row.Index)}: answer and foil are both {quoted(foil)}; give another foil in a column 'foil'"
            )
        foils.append(foil)
    return foils


def _same(answer: str, other: str) -> bool:
    """Whether two answers are one, but for the space before them."""
    return answer.strip() == other.strip()


def _own_answer(row: Any, ends: "_Ends") -> int:
    """Which of the two tokens at END is the source's own answer: ``NO_ANSWER`` where it has another."""
    if _same(row.source_answer, row.foil):
        return ends.foil_id
    return ends.answer_id if _same(row.source_answer, row.base_answer) else NO_ANSWER


@dataclass(frozen=True)
class _Ends:
    """Where answer and foil part: the tokens (and their text) that both begin with, and the first of each after."""

    shared: list[int]
    shared_text: str
    answer_id: int
    foil_id: int


def _tell_apart(prompt: str, answer: str, foil: str, tokenizer: TextTokenizer) -> _Ends:
    """Where answer and foil part.

    Raises:
        InputError: If one of them is a beginning of the other, or merges with the prompt.
    """
    answer_ids, foil_ids = (_continuation(prompt, text, tokenizer) for text in (answer, foil))
    n = next((i for i, (a, f) in enumerate(zip(answer_ids, foil_ids, strict=False)) if a != f), None)
    if n is None:
        if len(answer_ids) == len(foil_ids):
            raise InputError(f"answer {quoted(answer)} and foil {quoted(foil)} are the same tokens; change one of them")
        short, long = (answer, foil) if len(answer_ids) < len(foil_ids) else (foil, answer)
        raise InputError(
            f"{quoted(short)} is, in tokens, a beginning of {quoted(long)}, and no token tells them apart; "
            "change one of them, or end both with what would follow (such as a full stop)"
        )
    whole, start = _joined(prompt, answer), len(tokenizer.encode(prompt))
    text = whole[len(prompt) : tokenizer.spans(whole)[start + n - 1][1]] if n else ""
    return _Ends(answer_ids[:n], text, answer_ids[n], foil_ids[n])


def _joined(prompt: str, answer: str) -> str:
    """A prompt and an answer, with a space between them where words need one."""
    opened = prompt.endswith(_OPENING) or (prompt.endswith('"') and prompt.count('"') % 2 == 1)
    apart = prompt[-1:].isspace() or answer[:1].isspace() or answer.startswith(_CLOSING) or opened
    return prompt + ("" if apart else " ") + answer


def _continuation(prompt: str, answer: str, tokenizer: TextTokenizer) -> list[int]:
    """The tokens that an answer adds to its prompt.

    Raises:
        InputError: If it adds none, or changes the prompt's own.
    """
    before, whole = tokenizer.encode(prompt), tokenizer.encode(_joined(prompt, answer))
    if whole[: len(before)] != before:
        raise InputError(
            f"the answer {quoted(answer)} merges with the last token of the prompt {quoted(prompt)}; "
            "remove a trailing space from the prompt, or end it in a whole word"
        )
    if len(whole) == len(before):
        raise InputError(f"the answer {quoted(answer)} is no token; give one that is")
    return whole[len(before) :]


@dataclass(frozen=True)
class _Prompt:
    """A prompt as it is run, and the token where it is read and patched."""

    text: str
    tokens: tuple[int, ...]
    position: int


def _as_run(side: str, text: str, place: object, ends: _Ends, tokenizer: TextTokenizer) -> _Prompt:
    """A prompt with what answer and foil share, and its position.

    Args:
        side: What messages call it: base or source.
        text: The prompt alone.
        place: Its position, as the table gives it.
        ends: Where answer and foil part.
        tokenizer: The model's.

    Raises:
        InputError: If the prompt has no such position, or several.
    """
    tokens = (*tokenizer.encode(text), *ends.shared)
    wanted = str(place)
    if wanted == LAST:
        position = len(tokens) - 1
    elif re.fullmatch(r"\s*[+-]?[0-9]+\s*", wanted):
        position = int(wanted) if int(wanted) >= 0 else len(tokens) + int(wanted)
    else:
        position = _last_token(side, text, wanted, tokenizer)
    if not 0 <= position < len(tokens):
        raise InputError(f"the {side} has no token {wanted}: it has {len(tokens)}, numbered from 0")
    return _Prompt(text + ends.shared_text, tokens, position)


def _last_token(side: str, text: str, wanted: str, tokenizer: TextTokenizer) -> int:
    """Index of the last token of the one place where a text has another.

    Raises:
        InputError: If there is no such place, or there are several.
    """
    starts = [match.start() for match in re.finditer(f"(?={re.escape(wanted)})", text)]
    if not starts:
        raise InputError(
            f"the {side} has no {quoted(wanted)} to take for its position: {quoted(text)}; give a text that it has, "
            f"a token index or '{LAST}'"
        )
    start, end = starts[-1], starts[-1] + len(wanted)
    tokens = [i for i, (first, beyond) in enumerate(tokenizer.spans(text)) if first < end and beyond > start]
    if not tokens:
        raise InputError(f"the {side} has no token for {quoted(wanted)}; give a token index")
    if len(starts) > 1:
        raise InputError(
            f"the {side} has {quoted(wanted)} {len(starts)} times, and a position is one place: {quoted(text)}; "
            f"give a longer text or a token index (that of the last one is {tokens[-1]})"
        )
    return tokens[-1]


@dataclass
class _Prompts:
    """The table of prompts as it grows."""

    name: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[tuple[_Prompt, str], tuple[int, int]] = field(default_factory=dict)
    """The number and the row of the first pair of each prompt of each split."""

    def number(self, prompt: _Prompt, about: Mapping[str, Any], index: int) -> int:
        """The number of a prompt, which is new or not.

        Args:
            prompt: The prompt.
            about: Its split, template, group and value.
            index: Index of the pair.

        Raises:
            InputError: If the prompt had another value in an earlier pair.
        """
        number, first = self.seen.setdefault((prompt, about["split"]), (len(self.rows), index))
        if number == len(self.rows):
            self.rows.append(
                dict(
                    prompt=number,
                    split=about["split"],
                    template=about["template"],
                    group=about["group"],
                    text=prompt.text,
                    tokens=list(prompt.tokens),
                    end=len(prompt.tokens) - 1,
                    position=prompt.position,
                    value=about["value"],
                )
            )
        known = self.rows[number]["value"]
        if known != about["value"]:
            raise InputError(
                f"{at(self.name, first, index)}: the prompt {quoted(prompt.text)} has two values, {quoted(known)} and "
                f"{quoted(about['value'])}; give it one in the columns 'value' and 'source_value' (by default they are "
                "the answers)"
            )
        return number
