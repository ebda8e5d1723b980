"""Where the position signal is: whole components patched, block by block (E2)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, STYLE, plt


def localise_figure(localised: pd.DataFrame, writes: int, reads: int) -> Figure:
    """Effect of patching whole components against the block, and of every head as a map (E2).

    Args:
        localised: Columns ``kind, block, head, effect, effect_lo, effect_hi``.
        writes: The block that writes, which is marked.
        reads: The block that reads, likewise.
    """
    with plt.rc_context(STYLE):
        figure, (lines, heads) = plt.subplots(2, 1, figsize=(7.2, 5.6), height_ratios=[3, 2], sharex=True)
        shown = {"residual stream": (BLUE, "o"), "attention output": (ORANGE, "^"), "MLP output": (GREEN, "s")}
        for kind, (colour, marker) in shown.items():
            rows = localised[localised["kind"] == kind].sort_values("block")
            lines.plot(rows["block"], rows["effect"], color=colour, marker=marker, markersize=4, label=kind)
            lines.fill_between(rows["block"], rows["effect_lo"], rows["effect_hi"], color=colour, alpha=0.25, lw=0)
        lines.axvspan(writes - 0.5, reads - 0.5, color=GREY, alpha=0.2, lw=0)
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8}
        lines.annotate(f"block {writes} writes", (writes - 0.6, 0.92), ha="right", **place)
        lines.annotate(f"block {reads} reads", (reads - 0.4, 0.92), ha="left", **place)
        lines.axhline(0, color="black", lw=0.6)
        lines.set_ylabel("effect (logit difference lost)")
        lines.legend(loc="center left")
        lines.set_title("Each component patched whole at END, S at the opposite position")

        grid = localised[localised["kind"] == "head"].pivot(index="head", columns="block", values="effect")
        limit = float(np.abs(grid.to_numpy(float)).max())
        image = heads.imshow(
            grid.to_numpy(float), cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", origin="lower",
            extent=(-0.5, grid.shape[1] - 0.5, -0.5, grid.shape[0] - 0.5),
        )  # fmt: skip
        heads.set_xlabel("block")
        heads.set_ylabel("head")
        figure.colorbar(image, ax=heads, label="effect", pad=0.01)
    return figure
