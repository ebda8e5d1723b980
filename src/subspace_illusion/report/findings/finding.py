"""One figure of a run in words, and how it is taken from a row of a result table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.report.results import Results
from subspace_illusion.report.words import fixed, foil_of
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import POOLED, SubspaceKey

BOOTSTRAP = "95 % bootstrap over groups, and over random draws where there are five; training seeds held fixed"


@dataclass(frozen=True)
class Finding:
    """One figure.

    Attributes:
        key: Its name, dots for levels.
        words: What it is, in words.
        estimate: The figure, with its bootstrap interval where it is measured on pairs, and the single values that it
            is the mean of, where there are a few.
        share: What to compare it by with another model's, if it is a logit difference: the share of the clean LD that
            is lost, of the same pairs.
        singles: What the single values are, in the plural: training seeds, draws, blocks.
    """

    key: str
    words: str
    estimate: Estimate
    share: Estimate | None = None
    singles: str = "seeds"

    @property
    def spread(self) -> str:
        """The interval and the single values in words; empty where there is neither."""
        estimate, parts = self.estimate, []
        if estimate.low is not None and estimate.high is not None:
            ends = [fixed(estimate.low), fixed(estimate.high)]
            if ends != [fixed(estimate.value)] * 2:
                parts.append(" to ".join(ends))
        if len(estimate.each) > MOST_SINGLES:
            least, most = fixed(min(estimate.each)), fixed(max(estimate.each))
            parts.append(f"{len(estimate.each)} {self.singles}: from {least} to {most}")
        elif len(estimate.each) > 1:
            parts.append(f"{self.singles}: {', '.join(map(fixed, estimate.each))}")
        return "; ".join(parts)

    @property
    def interval(self) -> str:
        """What the ends are."""
        return "" if self.estimate.low is None else BOOTSTRAP


MOST_SINGLES = 6
"""Single values that are all named; of more, the least and the largest."""


def measured(key: str, words: str, row: Mapping[str, Any], name: str, **about: Any) -> Iterator[Finding]:
    """A measure of a row of a table of effects, if the row has it; logit differences with their share."""
    estimate = Estimate.of(row, name)
    if estimate is not None:
        share = Estimate.of(row, "fldd") if name in ("ld_patched", "effect") else None
        yield Finding(key, words, estimate, share, **about)


def with_range(key: str, words: str, row: Mapping[str, Any], name: str) -> Iterator[Finding]:
    """A measure that is the mean of random draws: where these are too few for an interval, with their range."""
    for finding in measured(key, words, row, name):
        ends = tuple(float(row.get(f"{name}_{end}", float("nan"))) for end in ("min", "max"))
        if finding.estimate.low is None and ends[0] < ends[1]:
            ranged = Estimate(finding.estimate.value, each=ends)
            finding = Finding(key, words, ranged, finding.share, "draws, least and largest")
        yield finding


def patched(results: Results, key: str, words: str, subspace: SubspaceKey, name: str) -> Iterator[Finding]:
    """A measure of patching a subspace, with the values of the single training seeds, if it was patched."""
    if (row := results.effects.get(subspace)) is not None:
        for finding in measured(key, words, row, name):
            pooled_over, each = finding.estimate, results.by_seed(subspace, name)
            estimate = Estimate(pooled_over.value, pooled_over.low, pooled_over.high, each)
            yield Finding(key, words, estimate, finding.share)


def outcomes(key: str, words: str, subspace: SubspaceKey, results: Results) -> Iterator[Finding]:
    """What patching a subspace does to the answer."""
    for name, measure in dict(
        logit_diff=("LD", "ld_patched"),
        fldd=("share of the clean LD lost", "fldd"),
        flip_rate=("flip rate (LD < 0)", "flip_rate"),
        interchange_accuracy=(interchange(results), "interchange_accuracy"),
    ).items():
        yield from patched(results, f"{key}.{name}", f"{measure[0]}, {words}", subspace, measure[1])


def interchange(results: Results) -> str:
    return f"interchange accuracy ({foil_of(results.task)} is the top token)"


def over(key: str, words: str, values: Sequence[float], singles: str = "seeds") -> Iterator[Finding]:
    """The mean of a few single values."""
    if len(values):
        yield Finding(key, words, Estimate.over(values), singles=singles)


def pooled_rows(rows: pd.DataFrame, over: str = "seed") -> pd.DataFrame:
    """The rows of a table that pool its seeds or draws; all rows if it has no such column."""
    return rows if over not in rows else rows[rows[over].astype(str) == POOLED]
