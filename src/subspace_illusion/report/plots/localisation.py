"""Where the position signal is: whole components patched, block by block (E2)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.experiments.localise import Window
from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, STYLE, plt


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
