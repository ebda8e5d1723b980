"""How the values of the variable lie along a subspace and its parts (E5)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.measures.decompose import WHOLE_BASIS
from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, panels
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import NULL, ROW, SubspaceKey

_LOOKS = ((BLUE, ""), (ORANGE, "//"), (GREEN, "xx"), (PURPLE, ".."))
"""Colours and hatches of values; of more values all prompts are shown together, and each value's mean as a tick."""
PARTS_SHOWN = (WHOLE_BASIS, ROW, NULL)


def decompose_figure(projections: pd.DataFrame, name: str) -> Figure:
    """Held-out prompts projected on whole directions, their row parts and their null parts, a row a subspace.

    Args:
        projections: Columns ``subspace, seed, part, value, projection``; of a trained subspace the first seed is shown.
        name: The component.
    """
    first = projections["seed"].isna() | (projections["seed"] == projections["seed"].min())
    here = projections[first.astype(bool)]
    parts = [part for part in PARTS_SHOWN if part in set(here["part"])]
    keys: list[SubspaceKey] = list(dict.fromkeys(here["subspace"]))
    values = sorted(here["value"].unique())
    with panels(len(keys) * len(parts), 2.15, 2.2, most=len(parts), sharex="row", sharey="row") as (figure, axes):
        for line, key in enumerate(keys):
            of_key = here[here["subspace"] == key]
            bins = np.linspace(of_key["projection"].min(), of_key["projection"].max(), 60)
            row = axes[line * len(parts) : (line + 1) * len(parts)]
            for axis, part in zip(row, parts, strict=True):
                _histogram(axis, of_key[of_key["part"] == part], values, bins, part)
            row[0].set_ylabel(f"held-out prompts, {name}" + ("" if key.is_trained else f"\n{shown(key)}"))
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
        of_value = rows.loc[rows["value"] == value, "projection"]
        axis.hist(of_value, bins=bins, label=value, color=colour, hatch=hatch, **style)
    title = part
    if len(values) == 2:
        gap, spread = abs(by_value.mean().diff().iloc[-1]), np.sqrt(by_value.var().mean())
        title = f"{part}: {gap:.2f} apart" + (f"\nd' {gap / spread:.1f}" if spread > 0 else "")
    axis.set_title(title)
