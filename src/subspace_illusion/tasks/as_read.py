"""How a user's pairs were read, for the user to see: the first row in tokens, and what the table left open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.core.outcome import NONE
from subspace_illusion.core.tokenizer import Tokenizer

_BROKEN, _PARTS = "\N{REPLACEMENT CHARACTER}", 12
"""What a tokenizer says of a part of a character, and of how many tokens one is at most."""
_SHOWN = 12
"""Of a long prompt, so many tokens are shown on either side of what counts."""


@dataclass(frozen=True)
class FirstRow:
    """The first pair in tokens, as texts.

    Attributes:
        base: The tokens of the base as it is run; the last is END.
        position: The index of the one that is read and patched.
        answer: The token of the answer, or those of several.
        foil: Likewise.
        span: How many tokens are read and patched, the last of them at the position.
        source: The tokens that are read in the source and patched in, if they are told.
        source_position: The index of the last of these.
    """

    base: Sequence[str]
    position: int
    answer: str | Sequence[str]
    foil: str | Sequence[str]
    span: int = 1
    source: Sequence[str] = ()
    source_position: int = -1

    @classmethod
    def told(cls, prompts: pd.DataFrame, pairs: pd.DataFrame, tokenizer: Tokenizer) -> "FirstRow":
        """That of the tables that ``tasks.tokenise`` makes."""
        pair = pairs.iloc[0]
        base, source = (prompts.set_index("prompt").loc[pair[side]] for side in ("base", "source"))
        answer, foil = (_spelled(pair[name], tokenizer) for name in ("answer_id", "foil_id"))
        words, others = (_words([*side["tokens"]], tokenizer) for side in (base, source))
        span, theirs = (int(side.get("span", 1)) for side in (base, source))
        here, there = (int(side["position"]) for side in (base, source))
        return cls(words, here, answer, foil, span, others[there - theirs + 1 : there + 1], there)

    def __str__(self) -> str:
        first, end = self.position - self.span + 1, self.base[-1]
        at = ", ".join(map(repr, self.base[first : self.position + 1]))
        where = f"token {first}" if self.span == 1 else f"each of tokens {first} to {self.position}"
        if self.source:
            begins, ends = self.source_position - len(self.source) + 1, self.source_position
            theirs = f"token {ends}" if begins == ends else f"tokens {begins} to {ends}"
            at += f", from {theirs} of the source, {', '.join(map(repr, self.source))}"
        last = len(self.base) - 1
        ends = (0, first, self.position, last)
        near = [place for place in range(last + 1) if any(abs(place - here) <= _SHOWN for here in ends)]
        gaps = ["" if place - 1 in near or place == 0 else "..." for place in near]
        shown = "|".join(gap + self.base[place] for gap, place in zip(gaps, near, strict=True))
        return (
            f"the first row is read as {shown!r}: patched at {where}, {at}; END is token "
            f"{len(self.base) - 1}, {end!r}; answer {_named(self.answer)}, foil {_named(self.foil)}"
        )


def _words(ids: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """The text of each token; of one that is a part of a character, that character and which part it is."""
    words: list[str] = []
    while len(words) < len(ids):
        start = len(words)
        pieces = (ids[start : start + parts] for parts in range(1, _PARTS + 1))
        whole = next((piece for piece in pieces if _BROKEN not in tokenizer.text(piece)), ids[start : start + 1])
        text, parts = tokenizer.text(whole), len(whole)
        if _BROKEN in text:
            words.append(_piece(whole[0], tokenizer))
            continue
        words += [text] if parts == 1 else [f"{text} ({part}/{parts})" for part in range(1, parts + 1)]
    return words


def _piece(token: int, tokenizer: Tokenizer) -> str:
    """What the vocabulary calls a token that is a part of a character alone."""
    return f"{tokenizer.hf.convert_ids_to_tokens(token)} (part of a character)"


def _spelled(ids: Any, tokenizer: Tokenizer) -> str | list[str]:
    """The text of a token id, or of each of a side's several."""
    listed = [ids] if np.ndim(ids) == 0 else [token for token in ids if token != NONE]
    texts = [_words([int(token)], tokenizer)[0] for token in listed]
    return texts[0] if len(texts) == 1 else texts


def _named(texts: str | Sequence[str]) -> str:
    return repr(texts) if isinstance(texts, str) else " or ".join(map(repr, texts))


@dataclass(frozen=True)
class AsRead:
    """How the pairs were read.

    Attributes:
        bos: The beginning-of-sequence token that stands before every prompt; ``None`` where it does not.
        first_row: The first pair.
        notes: What was done that the table does not say, a sentence each.
    """

    bos: str | None
    first_row: FirstRow
    notes: Sequence[str]

    @classmethod
    def from_tables(
        cls, prompts: pd.DataFrame, pairs: pd.DataFrame, notes: Sequence[str], tokenizer: Tokenizer
    ) -> "AsRead":
        """That of the tables, and notes, that ``tasks.tokenise`` makes."""
        marker = tokenizer.hf.bos_token
        begin = [tokens[0] == tokenizer.hf.bos_token_id for tokens in prompts["tokens"]]
        if any(begin) and not all(begin):
            notes = [*notes, f"{marker} stands before {sum(begin)} of {len(begin)} prompts, and not before the others"]
        return cls(marker if all(begin) else None, FirstRow.told(prompts, pairs, tokenizer), notes)

    @classmethod
    def told(cls, about: Mapping[str, Any]) -> "AsRead":
        """That which ``about`` gives."""
        return cls(about["bos"], FirstRow(**about["first_row"]), about["notes"])

    def lines(self) -> Iterator[str]:
        """All of it, for people."""
        stands, *notes = self.left_open()
        yield f"{self.first_row}; {stands}"
        yield from notes

    def left_open(self) -> Iterator[str]:
        """What the table left open, without the first pair."""
        yield f"{'no beginning-of-sequence token' if self.bos is None else self.bos} stands before prompts"
        yield from (f"note: {note}" for note in self.notes)

    @property
    def about(self) -> dict[str, object]:
        """All of it, as values of JSON."""
        return asdict(self)
