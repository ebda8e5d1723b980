"""How a user's pairs were read, for the user to see: the first row in tokens, and what the table left open."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from subspace_illusion.core.tokenizer import Tokenizer

_SHOWN = 12
"""Of a long prompt, so many tokens are shown on either side of what counts."""


@dataclass(frozen=True)
class FirstRow:
    """The first pair in tokens, as texts.

    Attributes:
        base: The tokens of the base as it is run; the last is END.
        position: The index of the one that is read and patched.
        answer: The token of the answer.
        foil: That of the foil.
    """

    base: Sequence[str]
    position: int
    answer: str
    foil: str

    @classmethod
    def told(cls, prompts: pd.DataFrame, pairs: pd.DataFrame, tokenizer: Tokenizer) -> "FirstRow":
        """That of the tables that ``tasks.tokenise`` makes."""
        pair = pairs.iloc[0]
        base = prompts.set_index("prompt").loc[pair["base"]]
        answer, foil = (tokenizer.text([pair[name]]) for name in ("answer_id", "foil_id"))
        return cls([tokenizer.text([token]) for token in base["tokens"]], int(base["position"]), answer, foil)

    def __str__(self) -> str:
        at, end = self.base[self.position], self.base[-1]
        last = len(self.base) - 1
        ends = (0, self.position, last)
        near = [place for place in range(last + 1) if any(abs(place - here) <= _SHOWN for here in ends)]
        gaps = ["" if place - 1 in near or place == 0 else "..." for place in near]
        shown = "|".join(gap + self.base[place] for gap, place in zip(gaps, near, strict=True))
        return (
            f"the first row is read as {shown!r}: patched at token {self.position}, {at!r}; END is token "
            f"{len(self.base) - 1}, {end!r}; answer {self.answer!r}, foil {self.foil!r}"
        )


@dataclass(frozen=True)
class AsRead:
    """How the pairs were read.

    Attributes:
        bos: The beginning-of-sequence token that stands before every prompt; ``None`` where none does.
        first_row: The first pair.
        notes: What was done that the table does not say, a sentence each.
    """

    bos: str | None
    first_row: FirstRow
    notes: Sequence[str]

    @classmethod
    def told(cls, about: Mapping[str, Any]) -> "AsRead":
        """That which ``about`` gives."""
        return cls(about["bos"], FirstRow(**about["first_row"]), about["notes"])

    def lines(self) -> Iterator[str]:
        """All of it, for people."""
        bos = "no beginning-of-sequence token" if self.bos is None else self.bos
        yield f"{self.first_row}; {bos} stands before prompts"
        yield from (f"note: {note}" for note in self.notes)

    @property
    def about(self) -> dict[str, object]:
        """All of it, as values of JSON."""
        return asdict(self)
