"""How figures and subspaces are written, the order of subspaces, and the words of each task."""

from collections.abc import Iterable

from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import METHODS, PARTS, TRAINED, USER_MARK, SubspaceKey
from subspace_illusion.tasks.table import AGREEMENT, FACTS, IOI, PRONOUN

_VARIABLES = {
    IOI: "the place of the repeated name",
    AGREEMENT: "the subject's number",
    FACTS: "the fact",
    PRONOUN: "the name's pronoun",
}
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


def with_ends(estimate: Estimate | None) -> str:
    """A figure with its interval where that can be seen, or with the single values that it is the mean of, or alone;
    empty where there is none."""
    if estimate is None:
        return ""
    value = fixed(estimate.value)
    if estimate.low is not None and estimate.high is not None:
        low, high = fixed(estimate.low), fixed(estimate.high)
        return value if low == value == high else f"{value} [{low}, {high}]"
    return f"{value} ({', '.join(map(fixed, estimate.each))})" if estimate.each else value


def percent(share: Estimate) -> str:
    """A share with its interval in percent, without decimals."""
    value = f"{100 * share.value:.0f} %"
    if share.low is None or share.high is None:
        return value
    return f"{value} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def shown(key: SubspaceKey) -> str:
    """What people read of a subspace, whatever its component and seed: what tables call it, the user's without mark."""
    return key.subspace.replace(USER_MARK, "", 1)


def in_order(keys: Iterable[SubspaceKey]) -> list[SubspaceKey]:
    """Subspaces without their axes in the order in which tables and pictures show them: that of ``METHODS``, the user's
    own behind the trained one, each with its parts."""
    given = [key for key in dict.fromkeys(keys) if key.axis is None]
    users = list(dict.fromkeys(key.method for key in given if key.is_user))

    def place(key: SubspaceKey) -> tuple[int, int, int]:
        behind = 1 + users.index(key.method) if key.is_user else 0
        return METHODS.index(TRAINED if key.is_user else key.method), behind, PARTS.index(key.part)

    return sorted(given, key=place)
