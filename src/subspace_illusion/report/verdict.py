"""The verdict on a subspace (E13): faithful, illusory or inconclusive, from figures and never from a name.

Each criterion asks one question of a figure with its 95 % interval. It speaks for faithful or illusory where the whole
interval lies beyond the threshold of that side, and is undecided where the interval straddles one, lies between, or is
missing. The criteria are the questions that the post and the paper (arXiv 2311.17030) ask of their direction.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pandas as pd

from subspace_illusion.experiments.split_directions import WHOLE
from subspace_illusion.report.results import Results
from subspace_illusion.statistics import POOLED, Estimate, table
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, TRAINED

FAITHFUL, ILLUSORY, INCONCLUSIVE = "faithful", "illusory", "inconclusive"
UNDECIDED, MISSING, UNMEASURED = "undecided", "not applicable", "not measured"
NEEDED = 2
"""Criteria that must agree: one alone may mislead, as a component that helps the task does for the first."""


class Sides(Protocol):
    """What has the thresholds of a criterion."""

    @property
    def faithful(self) -> float | None: ...

    @property
    def illusory(self) -> float | None: ...


@dataclass(frozen=True)
class Thresholds:
    """From where on a criterion speaks for either side; ``None`` where it never does.

    Attributes:
        faithful: The figure up to which, or from which, it speaks for faithful.
        illusory: The same for illusory. The larger of the two is the side of large figures.
    """

    faithful: float | None
    illusory: float | None


@dataclass(frozen=True)
class Criterion:
    """One question.

    Attributes:
        key: Its name in parameters and tables.
        words: What the figure is, in words that a figure can be put behind.
        large_is_faithful: Whether large figures speak for faithful.
    """

    key: str
    words: str
    large_is_faithful: bool

    def says(self, figure: Estimate | None, thresholds: Sides) -> str:
        """For which side the figure speaks."""
        if figure is None:
            return MISSING
        # A figure that is the same for every draw has no interval to show, and is as sure as it can be.
        low, high = (figure.value if end is None else end for end in (figure.low, figure.high))
        sides = ((FAITHFUL, thresholds.faithful, self.large_is_faithful),
                 (ILLUSORY, thresholds.illusory, not self.large_is_faithful))  # fmt: skip
        for side, threshold, large in sides:
            if threshold is not None and (low >= threshold if large else high <= threshold):
                return side
        return UNDECIDED


CRITERIA = (
    Criterion("whole_component", "effect of the whole component over that of the subspace", True),
    Criterion(
        "without_null_part", "share of the effect that is lost without the part that nothing downstream reads", False
    ),
    Criterion("clean_range", "share of patched outputs outside their clean range along v_true", False),
    Criterion("random_mlp", "effect in random MLPs over that in the real one", False),
)
"""The post's questions: does the whole component do as much (its section on the direction in the wild), is the part in
the output matrix' null space needed (on what the direction is made of), does the patch take the component's output out
of its range (on the dormant pathway), does a random MLP do it too (on MLPs with random weights)?"""


SMALLEST_EFFECT = 0.1
"""The share of the clean LD below which no effect is judged, unless the parameters say otherwise."""
DEFAULTS = {
    "whole_component": Thresholds(faithful=0.5, illusory=0.25),
    "without_null_part": Thresholds(faithful=0.25, illusory=0.5),
    "clean_range": Thresholds(faithful=0.1, illusory=0.5),
    "random_mlp": Thresholds(faithful=None, illusory=0.5),
}
"""The thresholds of the criteria, unless the parameters say otherwise."""


@dataclass(frozen=True)
class Evidence:
    """What one criterion found."""

    criterion: Criterion
    figure: Estimate | None
    thresholds: Sides
    says: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on one subspace.

    Attributes:
        verdict: ``faithful``, ``illusory`` or ``inconclusive``.
        reason: Why, in words.
        evidence: One for each criterion.
    """

    verdict: str
    reason: str
    evidence: tuple[Evidence, ...]


def judge(
    effect: Estimate | None,
    figures: Mapping[str, Estimate | None],
    thresholds: Mapping[str, Sides],
    smallest_effect: float,
) -> Verdict:
    """Judges one subspace.

    It is illusory if at least ``NEEDED`` criteria say so and none says faithful, faithful if it is the other way round,
    and inconclusive otherwise, also where the effect is too small to ask what it is made of.

    Args:
        effect: Effect of patching the subspace, as a share of the clean LD (FLDD); ``None`` where it was not measured.
        figures: The criteria's figures by key; ``None`` where a criterion does not apply, missing where its figure was
            not measured.
        thresholds: By key.
        smallest_effect: Share of the clean LD that the whole interval of the effect must exceed.
    """
    evidence = tuple(
        Evidence(
            criterion,
            figures.get(key),
            thresholds[key],
            criterion.says(figures[key], thresholds[key]) if key in figures else UNMEASURED,
        )
        for criterion in CRITERIA
        for key in [criterion.key]
    )
    votes = {side: sum(found.says == side for found in evidence) for side in (FAITHFUL, ILLUSORY)}
    if effect is None:
        return Verdict(INCONCLUSIVE, "its effect was not measured", evidence)
    if effect.value > smallest_effect and effect.low is None:
        return Verdict(INCONCLUSIVE, "its effect has no interval", evidence)
    if effect.low is None or not effect.low > smallest_effect:
        return Verdict(INCONCLUSIVE, "the effect is too small to ask what it is made of", evidence)
    for side, other in ((FAITHFUL, ILLUSORY), (ILLUSORY, FAITHFUL)):
        if votes[side] >= NEEDED and not votes[other]:
            return Verdict(side, f"{votes[side]} criteria say {side}, none says {other}", evidence)
    if votes[FAITHFUL] and votes[ILLUSORY]:
        return Verdict(INCONCLUSIVE, f"{votes[FAITHFUL]} say faithful, {votes[ILLUSORY]} illusory", evidence)
    told = votes[FAITHFUL] + votes[ILLUSORY]
    return Verdict(INCONCLUSIVE, f"only {told} of the {NEEDED} criteria needed say anything", evidence)


def evidence_table(verdicts: Mapping[tuple[str, str], Verdict]) -> pd.DataFrame:
    """One row a component, subspace and criterion: the figure, the thresholds and what it says."""
    nan = float("nan")
    rows = []
    for (component, subspace), verdict in verdicts.items():
        for found in verdict.evidence:
            figure = found.figure or Estimate(nan)
            rows.append(
                dict(
                    component=component,
                    subspace=subspace,
                    verdict=verdict.verdict,
                    criterion=found.criterion.key.replace("_", " "),
                    value=figure.value,
                    lo=nan if figure.low is None else figure.low,
                    hi=nan if figure.high is None else figure.high,
                    faithful=found.thresholds.faithful,
                    illusory=found.thresholds.illusory,
                    says=found.says,
                )
            )
    return table(rows)


@dataclass(frozen=True)
class Tables:
    """What subspaces are judged by.

    Attributes:
        effects: What patching did, as ``experiments.evaluate.effects`` gives it; the rows that pool the seeds count.
        dormant: What components write along v_true, as ``experiments.dormant.summary`` gives it, with ``component``;
            without rows where that applies to none.
        splits: Subspaces split by what the readers see, as ``experiments.split_directions`` gives them, for the
            components for which that was measured.
        random_mlps: What random MLPs do, as ``experiments.random_mlp`` gives it, likewise.
    """

    effects: pd.DataFrame
    dormant: pd.DataFrame
    splits: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    random_mlps: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def judge_subspaces(
    subspaces: Iterable[tuple[str, str]], tables: Tables, thresholds: Mapping[str, Sides], smallest_effect: float
) -> dict[tuple[str, str], Verdict]:
    """Judges subspaces by what was measured of them.

    Args:
        subspaces: Each as its component and the way in which it was chosen: ``trained``, ``mean difference``, or the
            label of one of the user's own.
        tables: What was measured.
        thresholds: As for ``judge``.
        smallest_effect: Likewise.

    Returns:
        The verdicts in the order of the subspaces.
    """
    effects = tables.effects[tables.effects["seed"] == POOLED].set_index(["component", "subspace"])
    verdicts = {}
    for component, way in subspaces:
        row = effects.loc[(component, way)] if (component, way) in effects.index else pd.Series(dtype=float)
        figures = dict(figures_of(component, way, row, tables))
        verdicts[component, way] = judge(Estimate.of(row, "fldd"), figures, thresholds, smallest_effect)
    return verdicts


def judge_all(
    results: Results, thresholds: Mapping[str, Sides], smallest_effect: float
) -> dict[tuple[str, str], Verdict]:
    """Judges the trained subspace, the user's own and the mean difference of every component.

    Args:
        results: The results of a run.
        thresholds: As for ``judge``.
        smallest_effect: Likewise.
    """
    return judge_subspaces(judged(results), tables_of(results), thresholds, smallest_effect)


def judged(results: Results) -> list[tuple[str, str]]:
    """The subspaces of a run that are judged, as component and way of choosing."""
    trained = [(component, TRAINED) for component in results.trained]
    return [*trained, *results.own_subspaces, *((component, MEAN_DIFFERENCE) for component in results.components)]


def tables_of(results: Results) -> Tables:
    """The tables of a run that verdicts rest on, of the experiments that ran."""
    return Tables(
        results.effects.reset_index(),
        results.table("dormant.csv"),
        {
            name: results.table(f"split_directions/{name}.csv", text=("seed",))
            for name in results.ran("split_directions")
        },
        {name: results.table(f"random_mlp/{name}.csv", text=("draw",)) for name in results.ran("random_mlp")},
    )


def figures_of(
    component: str, way: str, effect: Mapping[str, Any] | pd.Series, tables: Tables
) -> Iterator[tuple[str, Estimate | None]]:
    """The criteria's figures of one subspace, as far as they were measured.

    What a component's output matrix does not see is its null part; a component in the residual stream has no such
    matrix, and there it is what the readers do not see, where its subspaces were split by that. Readers that see most
    of the residual stream see most of any direction: the figure counts only where it differs from that of random
    subspaces of their rank. Random MLPs are compared with what was trained in the real one, and with nothing else.

    Args:
        component: The component.
        way: How the subspace was chosen.
        effect: Its row in the table of effects.
        tables: What else was measured.

    Yields:
        The criterion's key and its figure, ``None`` where it does not apply.
    """
    if (whole := Estimate.of(effect, "whole_share")) is not None:
        yield "whole_component", whole
    if (row_share := Estimate.of(effect, "row_share")) is not None:
        yield "without_null_part", row_share.complement()
    elif (splits := tables.splits.get(component)) is not None:
        rows = splits[(splits["subspace"] == way) & (splits["part"] == WHOLE) & (splits["seed"] == POOLED)]
        seen, by_chance = _only(rows, "row_share"), _only(rows, "random_row_share")
        if seen is not None and (by_chance is None or _apart(seen, by_chance)):
            yield "without_null_part", seen.complement()
        elif seen is not None:
            yield "without_null_part", None
    dormant = tables.dormant
    yield "clean_range", _only(dormant[(dormant["component"] == component) & (dormant["subspace"] == way)], "outside")
    if way != TRAINED or row_share is None:
        yield "random_mlp", None  # no subspace of an MLP's that was trained
    elif (drawn := tables.random_mlps.get(component)) is not None:
        yield "random_mlp", _only(drawn[drawn["draw"] == POOLED], "share_of_real")


def _apart(a: Estimate, b: Estimate) -> bool:
    """Whether the intervals of two figures do not touch."""
    ends = [(e.value if e.low is None else e.low, e.value if e.high is None else e.high) for e in (a, b)]
    return ends[0][1] < ends[1][0] or ends[1][1] < ends[0][0]


def _only(rows: pd.DataFrame, name: str) -> Estimate | None:
    """The measure in the one row of a table; ``None`` if there is no such row."""
    return None if rows.empty else Estimate.of(rows.iloc[0], name)
