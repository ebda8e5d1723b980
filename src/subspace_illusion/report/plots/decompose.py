"""How the values of the variable lie along a subspace and its parts (E5)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, panels
from subspace_illusion.subspace.methods import NULL, ROW, TRAINED

_LOOKS = ((BLUE, ""), (ORANGE, "//"), (GREEN, "xx"), (PURPLE, ".."))
"""Colours and hatches of values; of more values all prompts are shown together, and each value's mean as a tick."""
PARTS = ("whole", ROW, NULL)


def decompose_figure(projections: pd.DataFrame, name: str) -> Figure:
    """Held-out prompts projected on whole directions, their row parts and their null parts, a row a subspace.

    Args:
        projections: Columns ``subspace, seed, part, value, projection``; of a trained subspace the first seed is shown.
        name: The component.
    """
    first = projections["seed"].isna() | (projections["seed"] == projections["seed"].min())
    shown = projections[first.astype(bool)]
    parts = [part for part in PARTS if part in set(shown["part"])]
    methods = list(dict.fromkeys(shown["subspace"]))
    values = sorted(shown["value"].unique())
    with panels(len(methods) * len(parts), 2.15, 2.2, most=len(parts), sharex="row", sharey="row") as (figure, axes):
        for line, method in enumerate(methods):
            of_method = shown[shown["subspace"] == method]
            bins = np.linspace(of_method["projection"].min(), of_method["projection"].max(), 60)
            row = axes[line * len(parts) : (line + 1) * len(parts)]
            for axis, part in zip(row, parts, strict=True):
                _histogram(axis, of_method[of_method["part"] == part], values, bins, part)
            row[0].set_ylabel(f"held-out prompts, {name}" + ("" if method == TRAINED else f"\n{method}"))
        for axis in axes[-len(parts) :]:
            axis.set_xlabel("projection (activation units)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure


def _histogram(axis: Any, rows: pd.DataFrame, values: list[str], bins: np.ndarray, part: str) -> None:
    """Prompts along one part, by their value as far as values can be told apart by their look."""
    style = dict(alpha=0.7, edgecolor="white", lw=0.3)
    by_value = rows.groupby("value")["projection"]
    if len(values) > len(_LOOKS):
        axis.hist(rows["projection"], bins=bins, color=GREY, label="all prompts", **style)
        look: dict[str, Any] = dict(marker="|", ms=9, color=BLUE, ls="None", clip_on=False)
        axis.plot(by_value.mean(), np.zeros(rows["value"].nunique()), label=f"means of {len(values)} values", **look)
        axis.set_title(part)
        return
    for value, (colour, hatch) in zip(values, _LOOKS, strict=False):
        shown = rows.loc[rows["value"] == value, "projection"]
        axis.hist(shown, bins=bins, label=value, color=colour, hatch=hatch, **style)
    title = part
    if len(values) == 2:
        gap, spread = abs(by_value.mean().diff().iloc[-1]), np.sqrt(by_value.var().mean())
        title = f"{part}: {gap:.2f} apart" + (f"\nd' {gap / spread:.1f}" if spread > 0 else "")
    axis.set_title(title)
