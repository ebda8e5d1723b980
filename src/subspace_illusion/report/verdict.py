"""The verdict on a subspace (E13): faithful, illusory or inconclusive, from figures and never from a name.

Each criterion asks one question of a figure with its 95 % interval. It speaks for faithful or illusory where the whole
interval lies beyond the threshold of that side, and is undecided where the interval straddles one or lies between.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from subspace_illusion.experiments.splits import DAS, MEAN, WHOLE
from subspace_illusion.report.findings import Tables
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, TRAINED

FAITHFUL, ILLUSORY, INCONCLUSIVE = "faithful", "illusory", "inconclusive"
UNDECIDED, MISSING = "undecided", "not applicable"
NEEDED = 2
"""Criteria that must agree: one alone may mislead, as a component that helps the task does for the first."""


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

    def says(self, figure: Estimate | None, thresholds: Thresholds) -> str:
        """For which side the figure speaks."""
        if figure is None:
            return MISSING
        sides = ((FAITHFUL, thresholds.faithful, self.large_is_faithful),
                 (ILLUSORY, thresholds.illusory, not self.large_is_faithful))  # fmt: skip
        for side, threshold, large in sides:
            if threshold is not None and (figure.low >= threshold if large else figure.high <= threshold):
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
"""The four questions of design.md, E13."""


@dataclass(frozen=True)
class Evidence:
    """What one criterion found."""

    criterion: Criterion
    figure: Estimate | None
    thresholds: Thresholds
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
    effect: Estimate,
    figures: Mapping[str, Estimate | None],
    thresholds: Mapping[str, Thresholds],
    smallest_effect: float,
) -> Verdict:
    """Judges one subspace.

    It is illusory if at least ``NEEDED`` criteria say so and none says faithful, faithful if it is the other way round,
    and inconclusive otherwise, also where the effect is too small to ask what it is made of.

    Args:
        effect: Effect of patching the subspace, as a share of the clean LD (FLDD).
        figures: The criteria's figures by key; missing or ``None`` where a criterion does not apply.
        thresholds: By key.
        smallest_effect: Share of the clean LD that the whole interval of the effect must exceed.
    """
    evidence = tuple(
        Evidence(criterion, figure, thresholds[criterion.key], criterion.says(figure, thresholds[criterion.key]))
        for criterion in CRITERIA
        for figure in [figures.get(criterion.key)]
    )
    votes = {side: sum(found.says == side for found in evidence) for side in (FAITHFUL, ILLUSORY)}
    if not effect.low > smallest_effect:
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
    rows = []
    for (component, subspace), verdict in verdicts.items():
        for found in verdict.evidence:
            figure = found.figure or Estimate(float("nan"), float("nan"), float("nan"))
            rows.append(
                dict(
                    component=component,
                    subspace=subspace,
                    verdict=verdict.verdict,
                    criterion=found.criterion.key.replace("_", " "),
                    value=figure.value,
                    lo=figure.low,
                    hi=figure.high,
                    faithful=found.thresholds.faithful,
                    illusory=found.thresholds.illusory,
                    says=found.says,
                )
            )
    return pd.DataFrame(rows).round(6)


def judge_all(
    tables: Tables, thresholds: Mapping[str, Thresholds], smallest_effect: float
) -> dict[tuple[str, str], Verdict]:
    """Judges the trained subspace and the mean difference of every component.

    What a component's output matrix does not see is its null part; a component in the residual stream has no such
    matrix, and there it is what the name movers' queries do not see, where the component was validated.

    Args:
        tables: The result tables.
        thresholds: As for ``judge``.
        smallest_effect: Likewise.
    """
    verdicts = {}
    pooled, waking = tables.pooled, tables.waking
    for component, way in ((name, way) for way in (TRAINED, MEAN_DIFFERENCE) for name in tables.decompositions):
        row = pooled.loc[(component, way)]
        row_share = Estimate.of(row, "row_share")
        if row_share is None and component in tables.validations:
            splits = tables.validations[component].splits
            if splits is not None:
                of_way = splits.set_index(["subspace", "part"]).loc[({TRAINED: DAS}.get(way, MEAN), WHOLE)]
                row_share = Estimate.of(of_way, "row_share")
        figures = dict(
            whole_component=Estimate.of(row, "whole_share"),
            without_null_part=None if row_share is None else row_share.complement(),
        )
        if (component, way) in waking.index:
            figures["clean_range"] = Estimate.of(waking.loc[(component, way)], "outside")
        if way == TRAINED and component in tables.random_mlps:
            figures["random_mlp"] = Estimate.of(tables.random_mlp(component), "share_of_real")
        effect = Estimate.of(row, "fldd")
        assert effect is not None
        verdicts[component, way] = judge(effect, figures, thresholds, smallest_effect)
    return verdicts
