"""What a row, an outcome or a basis is about: one subspace of one component, and what tables call it.

Nobody else puts such names together or takes them apart: ``SubspaceKey.subspace`` and ``SubspaceKey.seed_text`` write
the columns ``subspace`` and ``seed`` of a table, ``SubspaceKey.read`` reads them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import total_ordering

import pandas as pd

from subspace_illusion.errors import InputError

TRAINED = "trained"
MEAN_DIFFERENCE = "mean difference"
GRADIENT = "gradient"
RANDOM = "random"
WHOLE_COMPONENT = "whole component"
PROBE = "probe"
OFF_ROUTE = "off the route"
PLANTED_ALONE = (PROBE, OFF_ROUTE)
"""Methods of planted cases alone: a probe's weights, and DAS on what a component holds beside what it was made to
carry."""
METHODS = (WHOLE_COMPONENT, TRAINED, MEAN_DIFFERENCE, GRADIENT, RANDOM, *PLANTED_ALONE)
"""How a subspace was found, besides by the user; in the order in which tables and pictures show them."""

ENTIRE = ""
"""No part: the subspace as it is."""
LENT_HALF = "lent by the null part"
OWN_HALF = "inside the row space"
"""The two halves of what patching a subspace does: what the coordinates along the null part add through the row part,
and what the coordinates along the row part do themselves."""
OWN = "own difference"
"""The component's own difference, moved alone as far as patching the subspace moves it (E13)."""
ABLATION, STEERING = "mean ablation", "steering"
"""Other things that are done along a subspace."""
ROW = "row part"
NULL = "null part"
BOTH = "span of both"
PARTS = (ENTIRE, OWN, LENT_HALF, OWN_HALF, ROW, NULL, BOTH, ABLATION, STEERING)
"""The parts of a subspace, and what else is done along it, in the order in which tables and pictures show them."""

POOLED = "pooled"
"""The seed, or the draw, of a row of a table that has all of them together, or of what none of them made."""

USER_MARK = "user: "
"""Before the label of a user's subspace in what tables call it."""

LABELS = "take a letter, then letters, digits, spaces, - and _, and not the name of a method such as trained"
"""What a user's subspace may be called, in words."""
_LABEL = re.compile(r"[A-Za-z][\w -]*")
_OF_PART = re.compile(rf"({'|'.join(part for part in PARTS if part)}) of (.+)", re.DOTALL)
_OF_AXIS = re.compile(r"axis ([1-9]\d*) of (.+)", re.DOTALL)


@total_ordering
@dataclass(frozen=True)
class SubspaceKey:
    """A subspace of a component, or a part of it. Ordered by component, name and seed, the pooled ones last.

    Attributes:
        method: How it was found, one of ``METHODS``; the label of a user's subspace.
        part: One of ``PARTS``.
        seed: Its training seed; ``None`` for no single seed: all of them pooled, or nothing trained.
        axis: The number of a principal axis of a subspace of several dimensions, counted from 1; ``None`` for all.
        is_user: Whether it is the user's.
        component: The component; left out where only one is at hand.
    """

    method: str
    part: str = ENTIRE
    seed: int | None = None
    axis: int | None = None
    is_user: bool = False
    component: str = ""

    @classmethod
    def user(cls, label: str, component: str = "") -> "SubspaceKey":
        """A user's subspace by its label."""
        return cls(label, is_user=True, component=component)

    @classmethod
    def read(cls, subspace: str, seed: str = POOLED, component: str = "") -> "SubspaceKey":
        """The key of a row of a table.

        Args:
            subspace: What ``subspace`` gives.
            seed: What ``seed_text`` gives.
            component: The component.

        Raises:
            InputError: If no subspace is called so.
        """
        part, axis, name = ENTIRE, None, subspace
        if subspace in PARTS:
            part, name = subspace, TRAINED
        elif found := _OF_PART.fullmatch(name):
            part, name = found.groups()
        if found := _OF_AXIS.fullmatch(name):
            axis, name = int(found[1]), found[2]
        is_user = name.startswith(USER_MARK)
        method = name.removeprefix(USER_MARK) if is_user else name.removeprefix("the ")
        try:
            key = cls(method, part, None if seed == POOLED else int(seed), axis, is_user, component)
        except ValueError as error:
            raise InputError(f"'{seed}' is no training seed") from error
        if not (is_user or method in METHODS) or key.subspace != subspace:
            raise InputError(f"'{subspace}' is the name of no subspace")
        return key

    @property
    def subspace(self) -> str:
        """What tables call it, whatever its component and seed."""
        name = USER_MARK + self.method if self.is_user else self.method
        name = name if self.axis is None else f"axis {self.axis} of {name}"
        if not self.part:
            return name
        if name == TRAINED:  # whose parts go without its name
            return self.part
        return f"{self.part} of the {name}" if name == MEAN_DIFFERENCE else f"{self.part} of {name}"

    @property
    def seed_text(self) -> str:
        """What tables call the seed."""
        return seed_text(self.seed)

    @property
    def is_entire(self) -> bool:
        """Whether it is a subspace as it was found, neither a part nor an axis."""
        return not self.part and self.axis is None

    @property
    def is_trained(self) -> bool:
        """Whether it is a subspace that DAS trained, as it was found."""
        return self.is_entire and self.method == TRAINED and not self.is_user

    @property
    def is_asked(self) -> bool:
        """Whether it is what a run asks about: a subspace that was trained, or the user's."""
        return self.is_trained or (self.is_entire and self.is_user)

    @property
    def entire(self) -> "SubspaceKey":
        """What it is a part of."""
        return replace(self, part=ENTIRE)

    @property
    def pooled(self) -> "SubspaceKey":
        """The same of all seeds."""
        return self.of_seed(None)

    def of_part(self, part: str) -> "SubspaceKey":
        """A part of it."""
        return replace(self, part=part)

    def of_axis(self, number: int) -> "SubspaceKey":
        """One of its principal axes, counted from 1."""
        return replace(self, axis=number)

    def of_seed(self, seed: int | None) -> "SubspaceKey":
        """The same of one training seed."""
        return replace(self, seed=seed)

    def at(self, component: str) -> "SubspaceKey":
        """The same at a component."""
        return replace(self, component=component)

    def __lt__(self, other: "SubspaceKey") -> bool:
        return self._place < other._place

    @property
    def _place(self) -> tuple[str, str, bool, int]:
        return self.component, self.subspace, self.seed is None, self.seed or 0


WHOLE = SubspaceKey(WHOLE_COMPONENT)
"""All of a component."""


def seed_text(seed: int | None) -> str:
    """What tables call a training seed, or all of them together."""
    return POOLED if seed is None else str(seed)


def axes_among(key: SubspaceKey, keys: Iterable[SubspaceKey]) -> list[SubspaceKey]:
    """The principal axes of a subspace among others, in their order."""
    return [other for other in dict.fromkeys(keys) if other.axis is not None and replace(other, axis=None) == key]


def is_label(text: str) -> bool:
    """Whether a user's subspace may be called so: no name that a run gives, and none like that of a part or an axis."""
    if not _LABEL.fullmatch(text) or _OF_PART.fullmatch(text) or _OF_AXIS.fullmatch(text):
        return False
    try:
        return SubspaceKey.read(text).method in PLANTED_ALONE
    except InputError:
        return True


def with_keys(table: pd.DataFrame) -> pd.DataFrame:
    """A table with keys, of no component and seed, in place of the names in its columns ``subspace`` and ``other``."""
    columns = [name for name in ("subspace", "other") if name in table]
    return table.assign(**{name: [SubspaceKey.read(text) for text in table[name]] for name in columns})
