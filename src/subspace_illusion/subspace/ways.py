"""The ways of choosing a subspace of a component, by the names that tables and pictures use.

A user's own subspace has its label for a name, and its parts are named after it.
"""

import re
from collections.abc import Iterable

TRAINED = "trained"
MEAN_DIFFERENCE = "mean difference"
LENT = "lent by the null part"
OWN = "inside the row space"
"""The two halves of what patching a subspace does: what the coordinates along the null part add through the row part,
and what the coordinates along the row part do themselves."""
ROW = "row part"
NULL = "null part"
BOTH = "span of both"
MEAN_ROW = "row part of the mean difference"
GRADIENT = "gradient"
RANDOM = "random"
WHOLE = "whole component"
WAYS = (WHOLE, TRAINED, LENT, OWN, ROW, NULL, BOTH, MEAN_DIFFERENCE, MEAN_ROW, GRADIENT, RANDOM)
"""The ways of choosing a subspace of a component, in the order in which tables and pictures show them."""

PROBE = "probe"
ARBITRARY = "arbitrary labels"
OFF_ROUTE = "off the route"
"""Ways that planted cases are found in besides: a probe's weights, DAS on arbitrary labels, and DAS on what a component
holds beside what it was made to carry. Elsewhere they are free for a user's own label."""

PARTS = (LENT, OWN, ROW, NULL, BOTH)


def part_of(way: str, part: str) -> str:
    """The name of a part (``ROW``, ``NULL``, ``BOTH``, ``LENT``, ``OWN``) of a subspace; the trained one's go without
    its name."""
    return part if way == TRAINED else f"{part} of the {way}" if way == MEAN_DIFFERENCE else f"{part} of {way}"


def axis_of(way: str, number: int) -> str:
    """The name of one principal axis of a subspace of several dimensions, counted from 1."""
    return f"axis {number} of {way}"


def axes_among(way: str, ways: Iterable[str]) -> list[str]:
    """The principal axes of a subspace among the names of ways, in their order."""
    named = re.compile(rf"axis \d+ of {re.escape(way)}")
    return [other for other in dict.fromkeys(ways) if named.fullmatch(other)]


def own_labels(ways: Iterable[str]) -> list[str]:
    """The users' own subspaces among the names of ways, in their order."""
    names = list(dict.fromkeys(ways))
    known = {*WAYS, *(part_of(MEAN_DIFFERENCE, part) for part in PARTS)}
    labels = [way for way in names if way not in known]
    axes = {axis for way in (*labels, TRAINED, MEAN_DIFFERENCE) for axis in axes_among(way, names)}
    parts = {part_of(of, part) for of in (*labels, *axes) for part in PARTS}
    return [way for way in labels if way not in axes and way not in parts]
