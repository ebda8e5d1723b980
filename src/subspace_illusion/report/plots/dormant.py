"""The dormant pathway (E7): what a component writes along v_true, clean and patched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from subspace_illusion.report.plots.style import BLUE, ORANGE, panels
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.tasks.table import values_of

_LONGEST = 14
"""Characters of a value that are shown beside a row."""


def dormant_figure(written: pd.DataFrame, listed: Sequence[SubspaceKey]) -> Figure:
    """Densities of what is written along v_true: patched, filled, over those of clean runs, dashed.

    Colours tell the value, of the source of a patch and of a clean run. A patch that hands over a variable which the
    component carries puts the filled shape on the dashed outline of its own colour.

    Args:
        written: Columns ``component, subspace, base_value, source_value, clean, patched``; of two values.
        listed: The subspaces of components to show, in order.
    """
    first, second = values_of(written)
    looks = {second: _Look(BLUE, "#003A5C", "", "--"), first: _Look(ORANGE, "#8A4B00", "////", ":")}
    # Source and base, from above: first those of the same value, then of different ones.
    combinations = [(second, second), (first, first), (first, second), (second, first)]
    there = set(zip(written["source_value"], written["base_value"], strict=True))
    combinations = [both for both in combinations if both in there]
    with panels(len(listed), 2.35, 0.5 * len(combinations) + 0.3, most=2, sharey=True) as (figure, axes):
        for axis, key in zip(axes, listed, strict=True):
            rows = written[(written["component"] == key.component) & (written["subspace"] == key.at(""))]
            x = _span(rows)
            clean = {value: _density(rows.loc[rows["base_value"] == value, "clean"], x) for value in looks}
            for place, (source, base) in enumerate(combinations):
                of_both = (rows["source_value"] == source) & (rows["base_value"] == base)
                foot, look = len(combinations) - 1 - place, looks[source]
                patched = foot + 0.85 * _density(rows.loc[of_both, "patched"], x)
                axis.fill_between(x, foot, patched, edgecolor="white", lw=0.3, **look.filled)
                axis.plot(x, patched, color=look.colour, lw=0.8)
                for value, outline in clean.items():
                    seen = np.where(outline > 0.01, foot + 0.85 * outline, np.nan)
                    axis.plot(x, seen, color=looks[value].dark, lw=1.1, ls=looks[value].dashes)
                axis.axhline(foot, color="black", lw=0.4)
            labels = [f"{_short(source)} → {_short(base)}" for source, base in reversed(combinations)]
            axis.set_yticks(range(len(combinations)), labels)
            axis.set_ylim(-0.08, len(combinations))
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
            axis.set_title(key.component if key.is_trained else f"{key.component}: {shown(key)}")
        figure.supxlabel("output along v_true (activation units)\neach density scaled to its peak", fontsize=9)
        figure.supylabel("source → base", fontsize=9)
        legend: list[Artist] = [
            Line2D([], [], color=look.dark, ls=look.dashes, label=f"clean: {_short(value)}")
            for value, look in looks.items()
        ]
        for value, look in looks.items():
            legend.append(Patch(ec="white", label=f"patched from {_short(value)}", **look.filled))
        figure.legend(handles=legend, loc="outside upper center", ncols=2)
    return figure


@dataclass(frozen=True)
class _Look:
    """How a value looks: filled shapes, and darker lines that lie over them."""

    colour: str
    dark: str
    hatch: str
    dashes: str

    @property
    def filled(self) -> dict[str, Any]:
        return dict(color=self.colour, hatch=self.hatch, alpha=0.55)


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"


def _span(rows: pd.DataFrame) -> np.ndarray:
    """Where densities are drawn: a little more than the values, without the rarest, take up."""
    low, high = np.percentile(rows[["clean", "patched"]], [0.2, 99.8])
    margin = 0.12 * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, 400)


def _density(values: pd.Series, x: np.ndarray) -> np.ndarray:
    """Gaussian kernel density at ``x``, as a share of its peak; zero without values.

    The kernel is Scott's, and no narrower than the grid can show.
    """
    if values.empty:
        return np.zeros_like(x)
    width = max(np.nan_to_num(values.std()) * len(values) ** -0.2, 2 * (x[1] - x[0]))
    density = np.exp(-0.5 * ((x[:, None] - values.to_numpy()) / width) ** 2).mean(1)
    return density / density.max()
