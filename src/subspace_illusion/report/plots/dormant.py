"""The dormant pathway (E7): what a component writes along v_true, clean and patched."""

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from subspace_illusion.report.plots.style import BLUE, ORANGE, panels
from subspace_illusion.tasks.ioi import S_SECOND

COMBINATIONS = (("CDD", "ABB"), ("DCD", "BAB"), ("DCD", "ABB"), ("CDD", "BAB"))
"""Patterns of source and base, from above: first those with S at the same position, then at the opposite one."""


def dormant_figure(written: pd.DataFrame, names: list[str], subspace: str) -> Figure:
    """Densities of what is written along v_true: patched, filled, over those of clean runs, dashed.

    Colours tell where S is, in the source of a patch and in a clean run. A patch that hands over a variable which the
    component carries puts the filled shape on the dashed outline of its own colour.

    Args:
        written: Columns ``component, subspace, base_pattern, source_pattern, clean, patched``.
        names: The components to show, in order.
        subspace: The way of choosing the subspace whose rows are shown.
    """
    with panels(len(names), 2.35, 2.3, most=2, sharey=True) as (figure, axes):
        for axis, name in zip(axes, names, strict=True):
            rows = written[(written["component"] == name) & (written["subspace"] == subspace)]
            x = _span(rows)
            clean = {base: _density(rows.loc[rows["base_pattern"] == base, "clean"], x) for base in ("ABB", "BAB")}
            for place, (source, base) in enumerate(COMBINATIONS):
                of_both = (rows["source_pattern"] == source) & (rows["base_pattern"] == base)
                foot = len(COMBINATIONS) - 1 - place
                patched = foot + 0.85 * _density(rows.loc[of_both, "patched"], x)
                look = _look(source)
                axis.fill_between(x, foot, patched, alpha=0.55, edgecolor="white", lw=0.3, **look)
                axis.plot(x, patched, color=look["color"], lw=0.8)
                for pattern, outline in clean.items():
                    seen = np.where(outline > 0.01, foot + 0.85 * outline, np.nan)
                    axis.plot(x, seen, color=_dark(pattern), lw=1.1, ls=_dashes(pattern))
                axis.axhline(foot, color="black", lw=0.4)
            axis.set_yticks(range(len(COMBINATIONS)), [f"{source} → {base}" for source, base in reversed(COMBINATIONS)])
            axis.set_ylim(-0.08, len(COMBINATIONS))
            axis.tick_params(axis="y", length=0)
            axis.spines["left"].set_visible(False)
            axis.set_title(name)
        figure.supxlabel("output along v_true (activation units)\neach density scaled to its peak", fontsize=9)
        figure.supylabel("source → base", fontsize=9)
        legend: list[Artist] = [
            Line2D([], [], color=_dark(p), ls=_dashes(p), label=f"clean {p}: S {_place_of_s(p)}") for p in clean
        ]
        for pattern in ("CDD", "DCD"):
            label = f"patched from {pattern}: S {_place_of_s(pattern)}"
            legend.append(Patch(alpha=0.55, ec="white", label=label, **_look(pattern)))
        figure.legend(handles=legend, loc="outside upper center", ncols=2)
    return figure


def _place_of_s(pattern: str) -> str:
    return "second" if pattern in S_SECOND else "first"


def _look(pattern: str) -> dict:
    """Colour and hatch of a pattern."""
    return dict(color=BLUE, hatch="") if pattern in S_SECOND else dict(color=ORANGE, hatch="////")


def _dark(pattern: str) -> str:
    """The colour of a pattern, darker, for lines that lie over filled shapes."""
    return "#003A5C" if pattern in S_SECOND else "#8A4B00"


def _dashes(pattern: str) -> str:
    return "--" if pattern in S_SECOND else ":"


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
