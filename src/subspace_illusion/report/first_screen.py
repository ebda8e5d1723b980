"""What a page opens with: the question, a line a verdict, and then a prompt as it was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subspace_illusion.report.verdict import NO_SHARE, NOT_ASKED, why
from subspace_illusion.report.words import shown, with_ends
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.tasks.as_read import FirstRow
from subspace_illusion.verdict.judge import Verdict

TITLE = "Is this the subspace you are looking for?"
QUESTION = (
    "Does the model use these directions, or do patches along them work because one part, which varies and is "
    "discarded, lends its variation to another, which the model hardly moves?"
)


@dataclass(frozen=True)
class VerdictLine:
    """A verdict in one line.

    Attributes:
        name: What the subspace is called.
        component: Of what it is one.
        verdict: The word.
        share: The estimated mediated share in its prediction interval; empty where no interval is known, and in words
            where the share was not asked.
        why: One sentence, without a figure.
    """

    name: str
    component: str
    verdict: str
    share: str
    why: str


def verdict_lines(
    verdicts: Mapping[SubspaceKey, Verdict], roles: Mapping[SubspaceKey, str] | None = None
) -> list[VerdictLine]:
    """A line a verdict.

    Args:
        verdicts: By subspace of a component.
        roles: What some of them are called beside, such as v_mlp.
    """
    lines = []
    for key, verdict in verdicts.items():
        role = (roles or {}).get(key)
        name = shown(key) if role is None else f"{shown(key)} ({role})"
        share = with_ends(verdict.share)
        share = NO_SHARE if verdict.reason in NOT_ASKED else share
        lines.append(VerdictLine(name, key.component, verdict.verdict, share, why(verdict)))
    return lines


_MEANT = {
    TRAINED: "trained is what DAS, distributed alignment search, found on half of the pairs",
    MEAN_DIFFERENCE: "mean difference is how that half's activations differ between the values on average",
}


def names_meant(verdicts: Mapping[SubspaceKey, Verdict]) -> str:
    """What the names are of subspaces that the user has not brought, in a sentence."""
    methods = {key.method for key in verdicts if not key.is_user}
    said = "; ".join(words for method, words in _MEANT.items() if method in methods)
    return f"{said[0].upper()}{said[1:]}. Effects are measured on the other half." if said else ""


@dataclass(frozen=True)
class Token:
    """A token of a prompt.

    Attributes:
        text: Its text, with what cannot be seen in words.
        marks: Of ``MARKS``, what it is.
    """

    text: str
    marks: Sequence[str]


PATCHED, END = "patched", "END"
MARKS = (PATCHED, END)
"""What tokens are marked for."""
_NEAR = 40
"""Of a long prompt, so many tokens are shown on either side of what is marked."""


def tokens_of(row: FirstRow) -> list[Token]:
    """The tokens of a prompt, those marked that are read and patched or predict; what is left out of a long one is an
    ellipsis."""
    last = len(row.base) - 1
    marked: dict[int, list[str]] = {place: [] for place in range(last + 1)}
    first = row.position - row.span + 1
    for place in range(first, row.position + 1):
        marked[place].append(PATCHED)
    marked[last].append(END)
    near = [place for place in marked if any(abs(place - here) <= _NEAR for here in (0, first, row.position, last))]
    tokens: list[Token] = []
    for before, place in zip([-1, *near], near, strict=False):
        if place - before > 1:
            tokens.append(Token("…", []))
        tokens.append(Token(row.base[place].replace("\n", "⏎"), marked[place]))
    return tokens
