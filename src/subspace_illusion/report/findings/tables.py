"""Findings, effects and decompositions as tables for files and dvc plots."""

from collections.abc import Sequence

import pandas as pd

from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.results import Results
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import table


def findings_table(found: Sequence[Finding]) -> pd.DataFrame:
    """One row a finding, for a file."""
    nan = float("nan")
    return table(
        [
            dict(
                key=finding.key,
                words=finding.words,
                value=finding.estimate.value,
                low=nan if finding.estimate.low is None else finding.estimate.low,
                high=nan if finding.estimate.high is None else finding.estimate.high,
                interval=finding.interval,
                each=" ".join(f"{round(x, 6) + 0.0:g}" for x in finding.estimate.each),
                each_is=finding.singles if finding.estimate.each else "",
            )
            for finding in found
        ]
    )


def bars(results: Results) -> pd.DataFrame:
    """For dvc plots: a bar a subspace, columns ``subspace`` and ``effect``."""
    effects = {f"{key.component}: {shown(key)}": row["effect"] for key, row in results.effects.items()}
    return pd.DataFrame(dict(subspace=list(effects), effect=list(effects.values())))


def decomposition(results: Results) -> pd.DataFrame:
    """The decompositions of all components, one row a component, subspace and training seed."""
    parts = [
        results.large(f"decompositions/{component}/summary.parquet").assign(component=component)
        for component in results.components
    ]
    return pd.concat(parts).set_index("component").round(6).reset_index()
