"""From a raw table of pairs, in words, to the pipeline's two tables, in tokens; whatever the task."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from typing import Any

import pandas as pd

from subspace_illusion.core.outcome import NONE
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answer_sets import common, texts_of, within
from subspace_illusion.tasks.answers import DIRECT, Ends, tell_apart
from subspace_illusion.tasks.bad_rows import BadRows
from subspace_illusion.tasks.completed import OPTIONAL, REQUIRED, completed, placed
from subspace_illusion.tasks.phrasing import (
    PLAIN,
    Phrased,
    Phrasing,
    check_markers,
    check_open_end,
    check_spelling,
    phrased,
)
from subspace_illusion.tasks.positions import Prompt, span_of, token_of
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.swaps import with_swaps
from subspace_illusion.tasks.table import NO_ANSWER, SAME, Span, goes_one_way

_IDS = ("answer_id", "foil_id", "target_id", "source_id")
_COLUMNS = (
    *("pair", "split", "kind", "group", "template", "base", "source"),
    *_IDS,
    *("base_value", "source_value"),
)
_MADE_LATER = (
    *("ld", "ld_source", "right", "kept", "base_text", "source_text", "base_token", "source_token"),
    *("base_token_index", "source_token_index"),
)
"""Columns that the table of pairs gets once the model has run."""
_REMEMBERED = 2048
"""How many texts' tokens are kept at hand."""
_UNSEEN = re.compile(
    "[\N{NO-BREAK SPACE}\N{SOFT HYPHEN}\N{ZERO WIDTH SPACE}\N{WORD JOINER}\N{ZERO WIDTH NO-BREAK SPACE}]"
)
_WRITTEN_OUT = re.compile(r"\\n(?![a-z])")
"""A line's end as a program writes it; before a small letter it begins a command of LaTeX."""
SKIP = "skip_bad_rows=True leaves them out"
"""How rows that are wrong are left out, as messages say it where that can be asked for."""


@dataclass(frozen=True)
class Tokenised:
    """A table of pairs in tokens.

    Attributes:
        prompts: The prompts.
        pairs: The pairs.
        notes: What was done that the table does not say, a sentence each.
    """

    prompts: pd.DataFrame
    pairs: pd.DataFrame
    notes: tuple[str, ...]


@dataclass
class _Remembering:
    """A tokenizer that answers at once what it was asked of late: most texts come in several pairs, close together."""

    encode: Callable[[str], list[int]]
    spans: Callable[[str], list[tuple[int, int]]]

    @classmethod
    def over(cls, tokenizer: Tokenizer) -> "_Remembering":
        """One that does, its token ids one object each: of millions, new ones take most of the memory."""
        ids: dict[int, int] = {}

        @lru_cache(_REMEMBERED)
        def encode(text: str) -> list[int]:
            return [ids.setdefault(token, token) for token in tokenizer.encode(text)]

        return cls(encode, lru_cache(_REMEMBERED)(tokenizer.spans))


def tokenise(
    raw: pd.DataFrame,
    tokenizer: Tokenizer,
    *,
    position: str,
    source_position: str | None,
    test_share: float,
    seed: int,
    name: str,
    phrasing: Phrasing = PLAIN,
    both_ways: bool = False,
    bad: BadRows | None = None,
    skip_bad_rows: bool | None = None,
    span: Span = "last",
) -> Tokenised:
    """The tables of prompts and of pairs that a raw table of pairs stands for.

    Where answer and foil begin with the same tokens, these are appended to both prompts, so that END is where the two
    differ; a text may so become several prompts. An answer is put after a space unless it begins with one or with
    closing punctuation, the prompt ends in a space, an opening bracket or an open double quote, or it follows directly
    (``answers.follows_directly``).

    A position is ``last``, the last token of the prompt as it is run; a token index, negative from that end; or a text
    that the prompt has once as whole words, whose last token counts (``tasks.positions``).

    What the table lacks is made up: values are the answers; kinds follow from the values; groups are what pairs that
    share a prompt are linked to, and are dealt whole to the splits; the template is 0. The foil of a pair of different
    values is the source's answer. That of a pair of the same value is the foil of the first pair of different values
    with the same base, else the first answer in its split that goes with another value. Given groups are taken as they
    are, even where two share a prompt, but no prompt may stand in both splits.

    Args:
        raw: One row a pair, with the columns ``REQUIRED``, any of ``OPTIONAL`` and any others, which are carried into
            the table of pairs. Answers are texts, or tuples of several. A foil may be missing, nothing else. Messages
            number the rows by the index, from 1.
        tokenizer: The model's.
        position: Position in the base, for tables that do not give it.
        source_position: Position in the source, likewise; ``None``: what it is in the base.
        test_share: Share of the groups that make up the test split, for tables that do not give it.
        seed: Seed of this split.
        name: What messages call the table.
        phrasing: How prompts are put to the model.
        both_ways: Whether every pair is added the other way round too, its source as the base.
        bad: Rows of the same table that are known to be wrong, and are not in it any more.
        skip_bad_rows: Whether rows that are wrong are left out; ``None`` where nobody can ask for that.
        span: Which tokens of a position of several count.

    Returns:
        Prompts, one row for each that differs in tokens, position or split: ``prompt`` (a running number), ``split``,
        ``template``, ``group``, ``text`` (with what is appended), ``tokens``, ``end`` (index of END), ``position``
        (index of the token), ``value``, and, unless the span is ``last``, ``span`` (how many tokens are read and
        patched, the last of them at the position). And pairs: ``pair`` (a running number), ``split``, ``kind``,
        ``group``, ``template``, ``base``, ``source`` (numbers of prompts), ``answer_id``, ``foil_id``, ``target_id``
        (the one that the source's value calls for), ``source_id`` (the source's own), each a number or, where a side of
        any pair has several right answers, a list (``tasks.table``), ``base_value``, ``source_value``, and the columns
        that were carried.

    Raises:
        InputError: If rows are wrong and are not to be left out, all of them in one line: a position is not there or
            not clear; answers cannot be told apart by a token at END, or there is no foil; a marker is another
            tokenizer's; the model does not take the prompt; the prompt has another value elsewhere. If a prompt stands
            in both splits; if there are no two groups to split, or a split has no pair of different values; if a column
            to carry has the name of one made here; if the tokenizer ends every text with a token of its own.
    """
    extra = [column for column in raw.columns if column not in REQUIRED + OPTIONAL]
    if taken := [column for column in extra if column in _COLUMNS + _MADE_LATER]:
        raise InputError(f"{name}: the column {quoted(taken[0])} has the name of one that is made here; rename it")
    bad = bad or BadRows(name, raw.index.nunique())
    remedy = "" if skip_bad_rows is None else SKIP
    check_open_end(tokenizer)
    if phrasing.chat:
        tokenizer.in_chat("said", phrasing.system)  # which refuses what no row can mend
    source_is_placed = "source_position" in raw or source_position is not None
    kept, added, one_way = placed(raw, position, source_position, name), 0, 0
    if both_ways:
        kept, added, one_way = with_swaps(kept)
    while True:
        try:
            table = completed(kept, test_share, seed, name)
        except InputError:
            if not skip_bad_rows:
                bad.refuse(remedy)
            raise
        found = _Rows(tokenizer, phrasing, span, source_is_placed)
        wrong = dict(found.read(table))
        bad = bad.and_also(wrong)
        if not skip_bad_rows:
            bad.refuse(remedy)
        if not wrong:
            break
        kept = kept[~kept.index.isin(wrong)]
    made = _as_columns(pd.DataFrame(found.pairs, columns=list(_COLUMNS)))
    carried = kept[extra].reset_index(drop=True).apply(_of_one_type)
    notes = [f"{len(bad.said)} of {bad.rows} rows are left out: {bad}"] if bad.said else []
    notes += [f"{added} pairs are added, the other way round"] if added else []
    if one_way:
        notes.append(
            f"{one_way} pairs are not added the other way round: their foil is not the source's answer, so nothing "
            "says what the base's value calls for in the source; add such pairs to the table"
        )
    notes += found.notes()
    if goes_one_way(made):
        swaps = "" if both_ways else "; both_ways (--both-ways) adds the swaps"
        notes.append(f"every pair goes one way, so effects are of that way alone{swaps}")
    prompts = pd.DataFrame(found.prompts.rows)
    if span == "last":
        prompts = prompts.drop(columns="span")
    else:
        notes.append(_of_spans(prompts, span))
    return Tokenised(prompts, pd.concat([made, carried], axis=1), tuple(notes))


def _of_spans(prompts: pd.DataFrame, span: Span) -> str:
    """What is said of positions of several tokens."""
    lengths = prompts["span"]
    untried = "verdicts rest on cases that were planted at one token, and none are planted here"
    if lengths.max() == 1:
        return f"every position is one token, so that span changes nothing; {untried}"
    several = f"in {(lengths > 1).sum()} of {len(lengths)} prompts the position is several tokens"
    moved = {
        "all": "each is patched from the source's in its place",
        "mean": "the difference of means is added to each",
    }
    return f"{several} ({lengths.max()} at most): their mean is read, and {moved[span]}; {untried}"


def _of_one_type(values: pd.Series) -> pd.Series:
    """A column that is carried along, as text where it holds anything but numbers: a file takes one type a column."""
    if pd.api.types.is_numeric_dtype(values):
        return values
    return values.map(lambda value: None if value is None or value is pd.NA or value != value else str(value))


class _Rows:
    """The rows of a table as they are read, one after the other.

    Args:
        tokenizer: The model's.
        phrasing: How prompts are put to it.
        span: Which tokens of a position of several count.
        source_is_placed: Whether positions in sources are given; if not, they are those in the bases.
    """

    def __init__(self, tokenizer: Tokenizer, phrasing: Phrasing, span: Span, source_is_placed: bool) -> None:
        self.tokenizer, self.phrasing, self.span = tokenizer, phrasing, span
        self.source_is_placed = source_is_placed
        self.words = _Remembering.over(tokenizer)
        self.phrased = cache(lambda side, text: phrased(side, text, phrasing, tokenizer))
        self.prompts = _Prompts()
        self.pairs: list[dict[str, Any]] = []
        self.noted: dict[str, set[int]] = {}
        self.rows: set[int] = set()
        self.answers = 1
        self.with_several: set[int] = set()

    def read(self, table: pd.DataFrame) -> Iterator[tuple[int, str]]:
        """Reads every row of a complete table, and gives the index of each that is wrong and what is wrong with it."""
        for row in table.itertuples():
            try:
                self._read(row)
            except InputError as error:
                yield row.Index, f": {error}"

    def _read(self, row: Any) -> None:
        """Reads a row.

        Raises:
            InputError: If it is wrong.
        """
        if pd.isna(row.foil):
            raise InputError(
                f"there is no foil for the answer {quoted(row.base_answer)}: no other pair of its split has an answer "
                "with another value; give one in a column 'foil'"
            )
        if (shared := common(row.foil, row.base_answer)) is not None:
            raise InputError(f"answer and foil are both {quoted(shared)}; give another foil in a column 'foil'")
        sides = {side: self.phrased(side, getattr(row, side)) for side in ("base", "source")}
        ends = self._ends(row, sides)
        base, source = (
            self._as_run(side, sides[side], place, ends)
            for side, place in (("base", row.position), ("source", row.source_position))
        )
        if self.span == "all" and base.span != source.span:
            raise InputError(
                f"the position {quoted(row.position)} is {base.span} tokens in the base and {source.span} in the "
                "source, and they are patched token by token; set span to mean, or name as many in both"
            )
        about = dict(split=row.split, group=row.group, template=row.template)
        numbers = dict(
            base=self.prompts.number(base, about | dict(value=row.value), row.Index),
            source=self.prompts.number(source, about | dict(value=row.source_value), row.Index),
        )
        self.pairs.append(
            dict(
                pair=len(self.pairs),
                **about,
                kind=row.kind,
                **numbers,
                answer_id=ends.answers,
                foil_id=ends.foils,
                target_id=ends.answers if row.kind == SAME else ends.foils,
                source_id=_own_answer(row, ends),
                base_value=row.value,
                source_value=row.source_value,
            )
        )
        self._note(row.Index, sides, ends, (base, source))

    def _ends(self, row: Any, sides: Mapping[str, Phrased]) -> Ends:
        """Where answer and foil part.

        Raises:
            InputError: If they do not, or one has a marker that the tokenizer does not know.
        """
        join = self.phrasing.join if pd.isna(row.joined) else row.joined
        answers = [
            tuple(text.lstrip() if self.phrasing.chat and join != DIRECT else text for text in texts_of(side))
            for side in (row.base_answer, row.foil)
        ]
        for what, side in zip(("the answer", "the foil"), answers, strict=True):
            for text in side:
                check_markers(what, text, self.tokenizer)
                check_spelling(what, text, self.tokenizer)
        texts = [side.text[side.start : side.stop] for side in sides.values()]
        ends = tell_apart(sides["base"].text, answers[0], answers[1], join, texts, self.words)
        self.tokenizer.check("an answer", [*ends.answers, *ends.foils])
        return ends

    def _as_run(self, side: str, said: Phrased, place: object, ends: Ends) -> "_Prompt":
        """A prompt with what answer and foil share, and its position.

        Raises:
            InputError: If the prompt has no such position, or several, or the model does not take it.
        """
        tokens = (*self.words.encode(said.text), *ends.shared)
        self.tokenizer.check(f"the {side}", tokens)
        prompt = Prompt(side, said.text, said.start, said.stop, partial(self.words.spans, said.text), len(tokens))
        try:
            named = [token_of(prompt, place)] if self.span == "last" else span_of(prompt, place)
        except InputError as error:
            if side == "base" or self.source_is_placed:
                raise
            raise InputError(f"{error}; this is the base's position: give the source its source_position") from error
        return _Prompt(said.text + ends.shared_text, tokens, named[-1], len(named))

    def _note(self, index: int, sides: Mapping[str, Phrased], ends: Ends, run: Sequence["_Prompt"]) -> None:
        """Keeps in mind what is said of a row that was read."""
        one = "a second " if self.tokenizer.marker else ""
        noted = {
            f"{one}{self.tokenizer.hf.bos_token} is left out where prompts begin with it": any(
                side.dropped for side in sides.values()
            ),
            "one of base and source is read at its last token and the other before it (position, source_position)": (
                len({prompt.position == len(prompt.tokens) - 1 for prompt in run}) > 1
            ),
            "answers follow their prompt directly, without a space (join says otherwise)": ends.direct,
            "a space is put before an answer that may follow directly (join says otherwise)": ends.doubtful,
            "answer and foil part behind white space alone, so that END is that space": (
                bool(ends.shared) and not ends.in_a_character and not ends.shared_text.strip()
            ),
            "a prompt ends in a space, so that END is that space; end it in a word, and let the answers begin with the "
            "space": any(prompt.text[-1:] == " " == self.tokenizer.text(prompt.tokens[-1:]) for prompt in run)
            and not ends.shared,
            "answer and foil part in the middle of a character, so that END is a part of one": ends.in_a_character,
            "a prompt has characters that are not seen, or a space of another kind": any(
                _UNSEEN.search(side.text) for side in sides.values()
            ),
            "a prompt has a backslash and an n where a line may have been meant to end": any(
                _WRITTEN_OUT.search(side.text) for side in sides.values()
            ),
        }
        self.rows.add(index)
        self.answers = max(self.answers, len(ends.answers), len(ends.foils))
        if len(ends.answers) > 1 or len(ends.foils) > 1:
            self.with_several.add(index)
        for words, is_so in noted.items():
            self.noted.setdefault(words, set()).update([index] if is_so else [])

    def notes(self) -> list[str]:
        """What was done that the table does not say."""
        several = f"a side has several right answers ({self.answers} at most), whose probabilities are summed"
        noted = {several: self.with_several} | self.noted
        return [f"in {len(found)} of {len(self.rows)} rows {words}" for words, found in noted.items() if found]


def _own_answer(row: Any, ends: Ends) -> tuple[int, ...]:
    """Which side's tokens at END are the source's own answer: ``NO_ANSWER`` where it has another."""
    if within(row.source_answer, row.foil):
        return ends.foils
    return ends.answers if within(row.source_answer, row.base_answer) else (NO_ANSWER,)


def _as_columns(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs whose token ids are numbers where every side has one answer, else lists of one length, filled up with
    ``NONE``."""
    most = int(pairs[["answer_id", "foil_id"]].map(len).max().max())
    lists = {name: [[*ids, *[NONE] * (most - len(ids))] for ids in pairs[name]] for name in _IDS}
    return pairs.assign(**{name: [ids[0] for ids in listed] if most == 1 else listed for name, listed in lists.items()})


@dataclass(frozen=True)
class _Prompt:
    """A prompt as it is run, and where it is read and patched: a token, or a span of which it is the last."""

    text: str
    tokens: tuple[int, ...]
    position: int
    span: int = 1


@dataclass
class _Prompts:
    """The table of prompts as it grows."""

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
                    span=prompt.span,
                )
            )
        known = self.rows[number]["value"]
        if known != about["value"]:
            raise InputError(
                f"the prompt {quoted(prompt.text)} has two values, {quoted(known)} (in row {first + 1}) and "
                f"{quoted(about['value'])}; give it one in the columns 'value' and 'source_value' (by default they are "
                "the answers)"
            )
        return number
