"""E14: how good the estimate of the mediated share is on models that were left out, in words and tables."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.report.section import Grid
from subspace_illusion.report.words import fixed, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.estimate import ADDED, KINDS, STREAM, WRITES
from subspace_illusion.verdict.evidence import ESTIMATE, UNFITTED
from subspace_illusion.verdict.held_out import HIGH, LOW
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, called

WRONG = dict(
    below_02_called_faithful=f"up to {LOW:g}, called {FAITHFUL}",
    above_08_called_illusory=f"from {HIGH:g} on, called {ILLUSORY}",
)
"""The shares of wrong calls, by the true mediated share, in words."""


def in_words(calibration: Calibration) -> str:
    """How good the estimate is on models that were left out, in a few sentences."""
    reached = calibration.pooled
    ends = zip(WRONG, (f"up to {LOW:g}", f"from {HIGH:g} on"), (FAITHFUL, ILLUSORY), strict=True)
    said = [
        f"{_percent(reached[name])} of those with a mediated share {where} are called {verdict}"
        for name, where, verdict in ends
        if not pd.isna(reached[name])
    ]
    measured = (
        "What that is worth was measured on planted cases: a component is made to hold a signal to a known dose, "
        "without changing anything that the model computes, so that the mediated share of any subspace of it can be "
        f"run. Each of {len(calibration.models)} models ({', '.join(calibration.models)}; "
        f"{', '.join(calibration.tasks)}) was left out in turn. On {int(reached['cases'])} cases, the median error is "
        f"{fixed(reached['median_error'])}, where the best constant has {fixed(reached['nothing_error'])}. "
    )
    if not reached["told"]:
        return f"{measured}The other models' cases are of too few blocks for intervals."
    return (
        f"{measured}For {int(reached['told'])} of them the other models give an interval. Of these "
        f"{_percent(reached['coverage_90'])} lie in it, where {_percent(reached['level'])} were promised. "
        f"Called wrongly: {' and '.join(said) or 'none is clear'}. {_unclear(calibration)}"
    )


def _unclear(calibration: Calibration) -> str:
    """How many clear cases get no word, by kind of place: from the best to the worst model."""
    told = calibration.held_out.dropna(subset=["inconclusive"]).groupby("kind", sort=False)["inconclusive"]
    shares = [
        f"{_percent(least)} to {_percent(most)} ({kind})"
        for kind, least, most in zip(told.groups, told.min(), told.max(), strict=True)
    ]
    return f"Of those of either end, so many are {INCONCLUSIVE}, model by model: {', '.join(shares)}." if shares else ""


def held_out_grid(calibration: Calibration) -> Grid:
    """What is reached on each model with its own cases left out, by kind of place, and on all together."""
    rows = [_row(row) for row in calibration.held_out.to_dict("records")]
    rows.append(_row(dict(calibration.pooled) | dict(model="all", kind="all")))
    counts = ("cases", "blocks", "median error", "best constant's", "with an interval")
    return Grid(["model left out", "kind of place", *counts, *REACHED.values()], rows)


GOALS: Mapping[str, tuple[str, Callable[[float, str], bool]]] = dict(
    median_error=(
        "median error at most 0.10, in the stream 0.15",
        lambda x, kind: x <= (0.15 if kind == STREAM else 0.1),
    ),
    coverage_90=("85 to 95 % in the interval", lambda x, _: 0.85 <= x <= 0.95),
    below_02_called_faithful=(f"up to {LOW:g}: at most 5 % {FAITHFUL}", lambda x, _: x <= 0.05),
    above_08_called_illusory=(f"from {HIGH:g} on: at most 5 % {ILLUSORY}", lambda x, _: x <= 0.05),
    inconclusive=(f"of either at most 30 % {INCONCLUSIVE}", lambda x, _: x <= 0.3),
)
"""What the estimate and its intervals were meant to reach on a model left out, in words, and whether a figure does."""


def goals_grid(calibration: Calibration) -> Grid:
    """Which of the goals are reached on each model with its own cases left out, place by place."""
    rows = []
    for row in calibration.places.sort_values(["model", "kind", "place"], key=_in_order).to_dict("records"):
        none = "no such cases" if row["told"] else "no interval"
        reached = [_reached(row[name], str(row["kind"]), meets) or none for name, (_, meets) in GOALS.items()]
        rows.append([str(row["model"]), str(row["place"]), str(int(row["units"])), *reached])
    return Grid(["model left out", "place", "blocks", *(words for words, _ in GOALS.values())], rows)


def _in_order(column: pd.Series) -> pd.Series:
    """Kinds of place as they are listed elsewhere, all else by name."""
    return column.map(KINDS.index) if column.name == "kind" else column


def _reached(value: float | None, kind: str, meets: Callable[[float, str], bool]) -> str:
    if value is None or pd.isna(value):
        return ""
    return f"{'yes' if meets(value, kind) else 'NO'} ({fixed(value)})"


def words_grid(calibration: Calibration) -> Grid:
    """Which estimates get which word on a model that nothing was planted in, by kind of place: from the planted cases'
    interval alone, which others widen."""
    estimates, rows = np.linspace(0, 1, 101), []
    for kind in KINDS:
        low, high, _, cases = calibration.planted.around(estimates, kind)
        words = np.where(cases > 0, called(low, high, LIMITS), INCONCLUSIVE)
        rows.append([kind, *(_stretches(estimates, words == word) for word in (ILLUSORY, FAITHFUL))])
    return Grid(["kind of place", *(f"{word} if the estimate is" for word in (ILLUSORY, FAITHFUL))], rows)


def _stretches(values: np.ndarray, chosen: np.ndarray) -> str:
    """Which of some values are chosen, in words: the first and the last of each stretch."""
    places = np.flatnonzero(chosen)
    stretches = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    ends = [tuple(fixed(values[at]) for at in (stretch[0], stretch[-1])) for stretch in stretches if len(stretch)]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in ends) or "never"


def compared_grid(calibration: Calibration) -> Grid:
    """The median error of the estimate, and of whatever else a verdict could rest on, on each model left out."""
    errors = calibration.evidence.pivot(index="evidence", columns=["model", "kind"], values="median_error")
    named = calibration.evidence["evidence"].unique()
    columns = [(model, kind) for model in calibration.models for kind in KINDS if (model, kind) in errors]
    rows = [[name, *(_error(errors.loc[name, column]) for column in columns)] for name in named]
    return Grid(["median error", *(f"{model}, {kind}" for model, kind in columns)], rows)


SHORT_KINDS = {WRITES: "MLP neurons, heads", ADDED: "what a block adds", STREAM: "residual stream"}
"""The kinds of place, where there is no room to say what they are."""
_MATCH = "match with the whole component"
SHORT_EVIDENCE = {
    ESTIMATE: ESTIMATE,
    f"{_MATCH}{UNFITTED}": "`match`",
    _MATCH: "`match`, fitted",
    "cosine with a probe": "cosine with a probe",
    "interchange accuracy": "interchange accuracy",
    "the whole component's effect": "the whole component's effect",
    "what is left without the null part": "what is left without the null part",
    "nothing": "nothing: the best constant",
}
"""The evidence that stands beside the estimate there, and what it is called."""


def short_held_out_grid(calibration: Calibration) -> Grid:
    """What is reached with each model left out, in a line a kind of place: one figure a model."""
    figures = dict(coverage_90=REACHED["coverage_90"], called="gets a word")
    figures |= {name: REACHED[name] for name in ("faithful_wrong", "illusory_wrong")}
    rows = []
    for kind, here in calibration.held_out.groupby("kind", sort=False):
        shares = ([_percent(share) or "-" for share in here[name]] for name in figures)
        cells = ([_error(error) for error in here["median_error"]], *shares)
        rows.append([SHORT_KINDS[str(kind)], *(", ".join(of_models) for of_models in cells)])
    return Grid([f"{', '.join(calibration.models)} left out", "median error", *figures.values()], rows)


def short_compared_grid(calibration: Calibration) -> Grid:
    """The median error of the estimate and of some other evidence, on the model on which it is the largest."""
    errors = calibration.evidence.pivot_table("median_error", index="evidence", columns="kind", aggfunc="max")
    kinds = [kind for kind in KINDS if kind in errors]
    named = {name: words for name, words in SHORT_EVIDENCE.items() if name in errors.index}
    rows = [[words, *(_error(error) for error in errors.loc[name, kinds])] for name, words in named.items()]
    return Grid(["median error", *(SHORT_KINDS[kind] for kind in kinds)], rows)


def errors_by_kind(calibration: Calibration) -> dict[str, float]:
    """The estimate's median error on models that were left out, by kind of place: the largest of all models."""
    return calibration.held_out.groupby("kind", sort=False)["median_error"].max().to_dict()


REACHED = dict(
    coverage_90="in the interval",
    level="promised",
    **WRONG,
    called="called",
    faithful_wrong=f"wrong of those called {FAITHFUL}",
    illusory_wrong=f"wrong of those called {ILLUSORY}",
    inconclusive=f"{INCONCLUSIVE} of either end",
)
"""The shares of a row, in words; all of the cases with an interval."""


def _row(row: Mapping[str, Any]) -> list[str]:
    """What a row says of, how many cases there are and the errors on them; then the shares, empty where there are
    none."""
    counts = [str(int(row["cases"])), str(int(row["units"]))]
    median, held = (Estimate.of(row, name) for name in ("median_error", "coverage_90"))
    errors = [with_ends(median), _error(row["nothing_error"]), str(int(row["told"]))]
    shares = ["" if held is None else _in_percent(held)]
    shares += [_percent(row[name]) for name in REACHED if name != "coverage_90"]
    return [str(row["model"]), str(row["kind"]), *counts, *errors, *shares]


def _error(error: float | None) -> str:
    return "" if error is None or pd.isna(error) else fixed(error)


def _in_percent(share: Estimate) -> str:
    """A share with its interval."""
    if share.low is None or share.high is None:
        return _percent(share.value)
    return f"{_percent(share.value)} [{100 * share.low:.0f}, {100 * share.high:.0f}]"


def _percent(share: float | None) -> str:
    return "" if share is None or pd.isna(share) else f"{share:.0%}"
