"""How figures are written, the order of the methods, and the words of each task."""

from collections.abc import Iterable

from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.methods import METHODS, PARTS, TRAINED, part_of, user_labels
from subspace_illusion.tasks.table import AGREEMENT, FACTS, IOI

_VARIABLES = {IOI: "the place of the repeated name", AGREEMENT: "the subject's number", FACTS: "the fact"}
_FOILS = {IOI: "S"}
MANY_VALUES = "a fact has as many values as there are answers, and one direction cannot carry them, wherever they are"


def variable_of(task: str) -> str:
    """What a task's variable is, in words."""
    return _VARIABLES.get(task, "the variable")


def foil_of(task: str) -> str:
    """What the foil of a task is called."""
    return _FOILS.get(task, "the foil")


def place(at_end: bool) -> str:
    """The token where components are read and patched, in a sentence."""
    return "END" if at_end else "the task's own token"


def fixed(x: float) -> str:
    """A figure with two decimals, none of them a minus zero."""
    return f"{round(x, 2) + 0.0:.2f}"


def with_ends(estimate: Estimate) -> str:
    """A figure with its interval where that can be seen, or with the single values that it is the mean of, or alone."""
    value = fixed(estimate.value)
    if estimate.low is not None and estimate.high is not None:
        low, high = fixed(estimate.low), fixed(estimate.high)
        return value if low == value == high else f"{value} [{low}, {high}]"
    return f"{value} ({', '.join(map(fixed, estimate.each))})" if estimate.each else value


def in_order(names: Iterable[str]) -> list[str]:
    """The names of ways in the order in which tables and pictures show them: that of ``METHODS``, and after the trained
    subspace and its parts the user's own, each with its parts."""
    given = list(dict.fromkeys(names))
    own = [method for label in user_labels(given) for method in (label, *(part_of(label, part) for part in PARTS))]
    behind = max(map(METHODS.index, (TRAINED, *PARTS))) + 1
    return [method for method in (*METHODS[:behind], *own, *METHODS[behind:]) if method in given]
