"""E13: where a subspace is illusory, is there another that is not?"""

from collections.abc import Iterator, Mapping
from typing import Any

from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Section
from subspace_illusion.report.verdict import share_cells
from subspace_illusion.report.words import fixed, shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey

HEADER = (
    "component",
    "subspace",
    "effect before",
    "effect",
    "whole component",
    "mediated share",
    "promised",
    "verdict",
)


def section(results: Results) -> Iterator[Section]:
    """One section for all components in which DAS was trained again."""
    if not results.ran("repair"):
        return
    rows = {
        SubspaceKey.read(str(row["subspace"]), component=str(row["component"])): row
        for row in results.table("repairs.csv").to_dict("records")
    }
    found = [_answer(key, row) for key, row in rows.items() if key.axis is None]
    yield Section(
        "E13  Repair",
        "Where a trained subspace is an illusion, does DAS find one in the same component that is none?",
        f"Of the clean LD, what it finds takes off {', '.join(found)}.",
        "DAS is trained again on the same pairs, with the same seeds, but within what acts of the component: the row "
        "space of its readout, or in the residual stream the directions in which the gradient of LD lies most. There "
        "it can borrow nothing from what nothing reads. What it finds is patched in the same held-out pairs, and "
        "judged by the same rule. Effects are shares of the clean LD; before, DAS could use all of the component.",
        [],
        [Grid(HEADER, [_cells(key, row, results) for key, row in rows.items()])],
    )


def _answer(key: SubspaceKey, row: Mapping[str, Any]) -> str:
    """What was found in one component."""
    return f"{fixed(row['fldd'])} in {key.component} ({row['verdict']})"


def _cells(key: SubspaceKey, row: Mapping[str, Any], results: Results) -> list[str]:
    figures = [
        Estimate.of(results.effects.get(key, {}), "fldd"),
        *(Estimate.of(row, name) for name in ("fldd", "whole")),
    ]
    measured = [with_ends(each) for each in figures]
    return [key.component, shown(key), *measured, *share_cells(row), str(row["verdict"])]
