"""The sub-scores of the illusion score (E13), by name and in words."""

from collections.abc import Iterable, Mapping

LENT, LOST, APART, OFF = "lent", "lost", "apart", "off"
SUB_SCORES: Mapping[str, str] = {
    LENT: "share of what the patch writes that was read where nothing reads",
    LOST: "share of the effect that is lost without the null part",
    APART: "how far the effect is from the whole component's",
    OFF: "how far what is written leaves the natural distribution",
}
"""The sub-scores, in words."""

NEEDED = 2
"""Sub-scores that must apply: one alone may mislead."""

NAMED = "figures"
"""The column of tables that says which sub-scores apply, as ``named`` does."""


def named(sub_scores: Iterable[str]) -> str:
    """The sub-scores that a score is the mean of, as one text."""
    given = set(sub_scores)
    return "+".join(name for name in SUB_SCORES if name in given)
