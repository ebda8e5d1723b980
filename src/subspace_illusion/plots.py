"""Pictures: each function takes result tables and gives a matplotlib figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd

from subspace_illusion.decomposition import NULL, ROW, WAYS
from subspace_illusion.localisation import Window
from subspace_illusion.measures import POOLED

mpl.use("Agg")
from matplotlib import pyplot as plt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which survive colour blindness; lightness differs too, so that they survive print.
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#999999"

STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def localisation_figure(localisation: pd.DataFrame, window: Window) -> Figure:
    """Effect of patching whole components against the block, and of every head as a map (E2).

    Args:
        localisation: Columns ``kind, block, head, effect, effect_lo, effect_hi``.
        window: The blocks that write and read, which are marked.
    """
    with plt.rc_context(STYLE):
        figure, (lines, heads) = plt.subplots(2, 1, figsize=(7.2, 5.6), height_ratios=[3, 2], sharex=True)
        shown = {"residual stream": (BLUE, "o"), "attention output": (ORANGE, "^"), "MLP output": (GREEN, "s")}
        for kind, (colour, marker) in shown.items():
            rows = localisation[localisation["kind"] == kind].sort_values("block")
            lines.plot(rows["block"], rows["effect"], color=colour, marker=marker, markersize=4, label=kind)
            lines.fill_between(rows["block"], rows["effect_lo"], rows["effect_hi"], color=colour, alpha=0.25, lw=0)
        lines.axvspan(window.writes - 0.5, window.reads - 0.5, color=GREY, alpha=0.2, lw=0)
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8}
        lines.annotate(f"block {window.writes} writes", (window.writes - 0.6, 0.92), ha="right", **place)
        lines.annotate(f"block {window.reads} reads", (window.reads - 0.4, 0.92), ha="left", **place)
        lines.axhline(0, color="black", lw=0.6)
        lines.set_ylabel("effect (logit difference lost)")
        lines.legend(loc="center left")
        lines.set_title("Each component patched whole at END, S at the opposite position")

        grid = localisation[localisation["kind"] == "head"].pivot(index="head", columns="block", values="effect")
        limit = float(np.abs(grid.to_numpy(float)).max())
        image = heads.imshow(
            grid.to_numpy(float), cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", origin="lower",
            extent=(-0.5, grid.shape[1] - 0.5, -0.5, grid.shape[0] - 0.5),
        )  # fmt: skip
        heads.set_xlabel("block")
        heads.set_ylabel("head")
        figure.colorbar(image, ax=heads, label="effect", pad=0.01)
    return figure


def effects_figure(effects: pd.DataFrame, components: list[str]) -> Figure:
    """Effect of every way of choosing the subspace, one panel a component (E3, E4, E6).

    Args:
        effects: The table of effects; the rows that pool the seeds are shown.
        components: The components to show, in order.
    """
    pooled = effects[effects["seed"] == POOLED].set_index(["component", "subspace"])
    ways = [way for way in WAYS if way in set(effects["subspace"])]
    colours = dict(zip(WAYS, [GREY, BLUE, GREEN, ORANGE, PURPLE, "#56B4E9", "#D0D0D0"], strict=True))
    columns = min(3, len(components))
    lines = -(-len(components) // columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            lines, columns, figsize=(2.6 * columns + 1.2, 2.3 * lines + 0.5), sharex=True, sharey=True, squeeze=False
        )
        for axis, name in zip(axes.flat, components, strict=False):
            for place, way in enumerate(ways):
                if (name, way) not in pooled.index:
                    missing = " no null part" if (name, ROW) in pooled.index else " no readout matrix"
                    axis.text(0, place, missing, va="center", fontsize=7, color=GREY)
                    continue
                row = pooled.loc[(name, way)]
                errors = np.maximum(0, [[row["effect"] - row["effect_lo"]], [row["effect_hi"] - row["effect"]]])
                axis.barh(
                    place, row["effect"], color=colours[way], edgecolor="black", lw=0.4, xerr=errors, error_kw={"lw": 1}
                )
            axis.axvline(0, color="black", lw=0.6)
            axis.set_yticks(range(len(ways)), ways)
            axis.grid(axis="x", lw=0.3)
            axis.set_title(name)
        for axis in axes.flat[len(components) :]:
            axis.set_visible(False)
        axes[0, 0].invert_yaxis()
        figure.supxlabel("effect: logit difference lost (clean - patched); negative: the patch helps", fontsize=9)
    return figure


def projections_figure(projections: pd.DataFrame, name: str) -> Figure:
    """Held-out ABB and BAB prompts projected on the whole direction, its row part and its null part (E5).

    Args:
        projections: Columns ``part, pattern, projection``, of one training seed.
        name: The component.
    """
    parts = [part for part in ("whole", ROW, NULL) if part in set(projections["part"])]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(parts), figsize=(2.7 * len(parts), 2.6), sharex=True, sharey=True, squeeze=False
        )
        values = projections["projection"]
        bins = np.linspace(values.min(), values.max(), 60)
        for axis, part in zip(axes.flat, parts, strict=True):
            rows = projections[projections["part"] == part]
            for pattern, colour, hatch in (("ABB", BLUE, ""), ("BAB", ORANGE, "//")):
                chosen = rows.loc[rows["pattern"] == pattern, "projection"]
                style = dict(color=colour, alpha=0.7, hatch=hatch, edgecolor="white", lw=0.3)
                axis.hist(chosen, bins=bins, label=pattern, **style)
            gap = rows.groupby("pattern")["projection"].mean().diff().iloc[-1]
            axis.set_title(f"{part}: means {abs(gap):.2f} apart")
            axis.set_xlabel("projection (activation units)")
        axes[0, 0].set_ylabel(f"held-out prompts, {name}")
        axes[0, -1].legend(loc="upper right")
    return figure


def training_figure(curves: dict[str, pd.DataFrame]) -> Figure:
    """The loss of every training run against the step, one panel a component.

    Args:
        curves: By component, columns ``seed, step, loss``.
    """
    columns = min(3, len(curves))
    lines = -(-len(curves) // columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            lines, columns, figsize=(2.6 * columns + 0.6, 2 * lines + 0.4), sharex=True, sharey=True, squeeze=False
        )
        for axis, (name, curve) in zip(axes.flat, curves.items(), strict=False):
            for _, run in curve.groupby("seed"):
                axis.plot(run["step"], run["loss"], color=BLUE, lw=0.8, alpha=0.6)
            axis.set_title(name)
        for axis in axes.flat[len(curves) :]:
            axis.set_visible(False)
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("loss (nats)", fontsize=9)
    return figure
