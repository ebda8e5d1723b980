"""The methods, by the names that tables and pictures use.

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
METHODS = (WHOLE, TRAINED, LENT, OWN, ROW, NULL, BOTH, MEAN_DIFFERENCE, MEAN_ROW, GRADIENT, RANDOM)
"""The methods, in the order in which tables and pictures show them."""

PROBE = "probe"
ARBITRARY = "arbitrary labels"
OFF_ROUTE = "off the route"
"""Ways that planted cases are found in besides: a probe's weights, DAS on arbitrary labels, and DAS on what a component
holds beside what it was made to carry. Elsewhere they are free for a user's own label."""

PARTS = (LENT, OWN, ROW, NULL, BOTH)


def part_of(method: str, part: str) -> str:
    """The name of a part (``ROW``, ``NULL``, ``BOTH``, ``LENT``, ``OWN``) of a subspace; the trained one's go without
    its name."""
    return (
        part if method == TRAINED else f"{part} of the {method}" if method == MEAN_DIFFERENCE else f"{part} of {method}"
    )


def axis_of(method: str, number: int) -> str:
    """The name of one principal axis of a subspace of several dimensions, counted from 1."""
    return f"axis {number} of {method}"


def axes_among(method: str, methods: Iterable[str]) -> list[str]:
    """The principal axes of a subspace among the names of methods, in their order."""
    named = re.compile(rf"axis \d+ of {re.escape(method)}")
    return [other for other in dict.fromkeys(methods) if named.fullmatch(other)]


def user_labels(methods: Iterable[str]) -> list[str]:
    """The users' own subspaces among the names of methods, in their order."""
    names = list(dict.fromkeys(methods))
    known = {*METHODS, *(part_of(MEAN_DIFFERENCE, part) for part in PARTS)}
    labels = [method for method in names if method not in known]
    axes = {axis for method in (*labels, TRAINED, MEAN_DIFFERENCE) for axis in axes_among(method, names)}
    parts = {part_of(of, part) for of in (*labels, *axes) for part in PARTS}
    return [method for method in labels if method not in axes and method not in parts]
