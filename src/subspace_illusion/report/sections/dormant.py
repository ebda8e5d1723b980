"""E7: what a component writes along v_true, clean and patched."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.dormant import dormant_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.ways import TRAINED

_WAKING = dict(
    clean_gap="gap, clean", patched_gap="patched, by the source's position", gap_ratio="patched / clean",
    outside="outside the clean range", outside_same="outside, same position",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """Outputs along v_true, by pattern of base and source."""
    dormant = results.table("dormant.csv")
    components = list(dict.fromkeys(dormant["component"]))
    yield Section(
        "E7  Does a dormant pathway wake?",
        "Does the patch make a component write along v_true what it does not write by itself?",
        "Patched from the same position (CDD to ABB, DCD to BAB), the output should stay where the clean runs put it. "
        "Patched from the opposite position, a patch that hands over what the component carries puts it where the "
        "other position's clean runs are; one that wakes a pathway puts it outside of both. A direction of the "
        "residual stream, patched and read along itself, takes the source's own value by algebra, so the components "
        "in the residual stream have no part in this. " + _said(dormant, results.v_mlp),
        [
            Picture(
                "dormant",
                "Outputs along v_true, clean and patched along the trained subspace",
                dormant_figure(results.large("dormant.parquet"), components, TRAINED),
            )
        ],
        [Grid.of(dormant, dict(component="component", subspace="subspace") | _WAKING, list(_WAKING))],
    )


def _said(dormant: pd.DataFrame, name: str) -> str:
    """What the table says of v_mlp."""
    rows = dormant[(dormant["component"] == name) & (dormant["subspace"] == TRAINED)].to_dict("records")
    figures = {measure: Estimate.of(row, measure) for row in rows for measure in _WAKING}
    said = {measure: with_ends(figure) for measure, figure in figures.items() if figure is not None}
    if not {"clean_gap", "patched_gap", "outside"} <= set(said):
        return ""
    return (
        f"What {name} writes without a patch differs by {said['clean_gap']} between S second and S first; patched "
        f"along the trained subspace, by {said['patched_gap']} between sources with S second and first. Patched from "
        f"the opposite position, a share of {said['outside']} lies outside the range of the clean runs."
    )
