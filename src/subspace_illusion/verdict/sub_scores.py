"""The figures of the illusion score (E13), by name and in words."""

from collections.abc import Iterable, Mapping

LENT, LOST, APART, OFF = "lent", "lost", "apart", "off"
FIGURES: Mapping[str, str] = {
    LENT: "share of what the patch writes that was read where nothing reads",
    LOST: "share of the effect that is lost without the null part",
    APART: "how far the effect is from the whole component's",
    OFF: "how far what is written leaves the natural distribution",
}
"""The figures of the score, in words."""

NEEDED = 2
"""Figures that must apply: one alone may mislead."""


def named(figures: Iterable[str]) -> str:
    """The figures that a score is the mean of, as one text."""
    given = set(figures)
    return "+".join(name for name in FIGURES if name in given)
