"""E7: what a component writes along v_true, clean and patched."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.dormant import dormant_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey, with_keys
from subspace_illusion.tasks.table import values_of

_WAKING = dict(
    clean_gap="gap, clean", patched_gap="patched, by the source's value", gap_ratio="patched / clean",
    outside="outside the clean range", outside_same="outside, same value",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """Outputs along v_true, by value of base and source."""
    dormant = with_keys(results.table("dormant.csv"))
    if dormant.empty:
        return
    written = with_keys(results.large("dormant.parquet"))
    listed = [row["subspace"].at(row["component"]) for row in dormant.to_dict("records")]
    listed = [key for key in listed if key.method != MEAN_DIFFERENCE]
    has_same = dormant["outside_same"].notna().any()
    same = "Patched from the same value, the output should stay where the clean runs put it. " if has_same else ""
    yield Section(
        "E7  Does a dormant pathway wake?",
        "Does the patch make a component write along v_true what it does not write by itself?",
        _answer(dormant, results),
        f"{same}Patched from the other value, a patch that hands over what the component carries puts it where the "
        "other value's clean runs are; one that wakes a pathway puts it outside of both. A direction of the residual "
        "stream, patched and read along itself, takes the source's own value by algebra, so the components in the "
        f"residual stream have no part in this. {_said(dormant, results, values_of(written))}".rstrip(),
        [
            Picture(
                "dormant",
                "Outputs along v_true, clean and patched along trained subspaces and the user's own",
                dormant_figure(written, listed),
            )
        ]
        if listed
        else [],
        [Grid.of(dormant, dict(component="component", subspace="subspace") | _WAKING, list(_WAKING))],
    )


def _said(dormant: pd.DataFrame, results: Results, values: list[str]) -> str:
    """What the table says of v_mlp."""
    name = results.v_mlp
    rows = dormant[(dormant["component"] == name) & (dormant["subspace"] == SubspaceKey(TRAINED))].to_dict("records")
    figures = {measure: Estimate.of(row, measure) for row in rows for measure in _WAKING}
    said = {measure: with_ends(figure) for measure, figure in figures.items() if figure is not None}
    if not {"clean_gap", "patched_gap"} <= set(said):
        return ""
    first, second = values
    return (
        f"What {name} writes without a patch differs by {said['clean_gap']} between the values '{second}' and "
        f"'{first}'; patched along the trained subspace, by {said['patched_gap']} between sources of the two."
    )


def _answer(dormant: pd.DataFrame, results: Results) -> str:
    """How much of what v_mlp writes the patch puts where no prompt puts it."""
    rows = dormant[(dormant["component"] == results.v_mlp) & (dormant["subspace"] == SubspaceKey(TRAINED))]
    outside = [Estimate.of(row, "outside") for row in rows.to_dict("records")]
    if not outside or outside[0] is None:
        return "The table says it of every subspace."
    return (
        f"Patched along {results.v_mlp}'s trained subspace from the other value, a share of {with_ends(outside[0])} of "
        "the outputs lies outside the range of the clean runs."
    )
