"""The verdict (E13): what each criterion finds for each subspace, and where it speaks for either side."""

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, dots, grouped_rows, panels
from subspace_illusion.report.verdict import CRITERIA, FAITHFUL, ILLUSORY, MISSING, UNDECIDED, UNMEASURED, Criterion

LOOKS = {FAITHFUL: ("o", BLUE), UNDECIDED: ("D", GREY), ILLUSORY: ("s", ORANGE)}
"""Marker and colour of what a criterion says."""

WIDEST = (-1.5, 2.5)
"""Figures are shares, so no axis goes beyond; what lies there, where an effect is almost zero, is drawn at the edge."""


def verdict_figure(verdicts: pd.DataFrame) -> Figure:
    """One panel a criterion, one dot a subspace, shaded where the criterion speaks for faithful or illusory.

    Args:
        verdicts: Columns ``component, subspace, verdict, criterion, value, lo, hi, faithful, illusory, says``, the
            criteria named as in ``evidence_table``, ends NaN where a figure has none, thresholds NaN where a criterion
            never speaks for a side.
    """
    about = verdicts.drop_duplicates(["subspace", "component"])
    lines, order = {}, []
    for subspace, rows in about.groupby("subspace", sort=False):
        heading = str(subspace) if about["subspace"].nunique() > 1 else ""
        lines[heading] = [f"{row['component']}: {row['verdict']}" for row in rows.to_dict("records")]
        order += [(component, subspace) for component in rows["component"]]
    tables = {of: verdicts[verdicts["criterion"] == of.key.replace("_", " ")] for of in CRITERIA}
    shown = {of: table.set_index(["component", "subspace"]) for of, table in tables.items() if len(table)}
    height = 0.19 * (len(order) + len(lines)) + 0.75
    with panels(len(shown), 2.3, height, most=2, sharey=True) as (figure, axes):
        for axis, (criterion, rows) in zip(axes, shown.items(), strict=True):
            places = grouped_rows(axis, lines)
            _zones(axis, criterion, rows)
            for key, place in zip(order, places, strict=True):
                says = rows.loc[key, "says"] if key in rows.index else MISSING
                if says in (MISSING, UNMEASURED):
                    style = dict(
                        fontsize=8, color="#555555", ha="center", va="center", bbox=dict(color="white", pad=0.5)
                    )
                    axis.text(0.5, place, says, transform=axis.get_yaxis_transform(), **style)
                    continue
                row = rows.loc[[key], ["value", "lo", "hi"]].astype(float)
                marker, colour = LOOKS[rows.loc[key, "says"]]
                value = row["value"].iloc[0]
                if not WIDEST[0] <= value <= WIDEST[1]:
                    marker = "<" if value < 0 else ">"
                drawn = row.clip(*WIDEST).set_axis(["value", "value_lo", "value_hi"], axis=1)
                dots(axis, [place], drawn, "value", fmt=marker, color=colour)
            axis.set_title(criterion.key.replace("_", " ").replace("mlp", "MLP"))
            axis.set_xlabel(fill(criterion.words, 30))
        handles = [
            Line2D([], [], ls="", marker=marker, color=colour, mec="black", mew=0.4, ms=5, label=says)
            for says, (marker, colour) in LOOKS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=3, handletextpad=0.2)
    return figure


def _zones(axis: Any, criterion: Criterion, rows: pd.DataFrame) -> None:
    """Sets the limits of a panel and shades where the criterion speaks, ``rows`` as in ``verdict_figure``."""
    found = rows[["value", "lo", "hi", "faithful", "illusory"]].astype(float).clip(*WIDEST)
    low, high = np.nanmin([0, *found.to_numpy().flat]), np.nanmax([1, *found.to_numpy().flat])
    low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)
    sides = ((FAITHFUL, criterion.large_is_faithful, ""), (ILLUSORY, not criterion.large_is_faithful, "...."))
    for side, large, hatch in sides:
        for threshold in found[side].dropna().unique():
            ends = (threshold, high) if large else (low, threshold)
            axis.axvspan(*ends, facecolor=LOOKS[side][1], alpha=0.22, hatch=hatch, edgecolor="white", lw=0, zorder=0)
            axis.axvline(threshold, color=LOOKS[side][1], lw=0.8, zorder=0)
    axis.set_xlim(low, high)
    axis.tick_params(axis="y", length=0)
