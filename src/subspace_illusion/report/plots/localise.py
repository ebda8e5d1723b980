"""Where the variable is (E2): whole components patched, block by block, and the residual stream token by token."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from subspace_illusion.measures.localise import RESIDUAL, TOKEN_ITSELF, TOKENS
from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, STYLE, plt


def localise_figure(localised: pd.DataFrame, writes: int, reads: int, token: str) -> Figure:
    """Effect of patching whole components against the block, and of every head, where there are any, as a map.

    Args:
        localised: Columns ``kind, block, head, effect, effect_lo, effect_hi``.
        writes: The block that writes, which is marked; ``TOKEN_ITSELF`` where none does.
        reads: The block that reads, likewise.
        token: The token at which they are patched, in words.
    """
    with plt.rc_context(STYLE):
        of_heads = localised[localised["kind"] == "head"]
        height = 5.6 if len(of_heads) else 3.4
        figure, axes = plt.subplots(
            2 if len(of_heads) else 1, 1, figsize=(7.2, height), squeeze=False, sharex=True,
            height_ratios=[3, 2] if len(of_heads) else [1],
        )  # fmt: skip
        lines, lowest = axes[0, 0], axes[-1, 0]
        shown = {RESIDUAL: (BLUE, "o"), "attention output": (ORANGE, "^"), "MLP output": (GREEN, "s")}
        for kind, (colour, marker) in shown.items():
            rows = localised[localised["kind"] == kind].sort_values("block")
            if rows.empty:
                continue
            lines.plot(rows["block"], rows["effect"], color=colour, marker=marker, markersize=4, label=kind)
            lines.fill_between(rows["block"], rows["effect_lo"], rows["effect_hi"], color=colour, alpha=0.25, lw=0)
        lines.axvspan(max(writes, 0) - 0.5, reads - 0.5, color=GREY, alpha=0.2, lw=0)
        place = {"xycoords": ("data", "axes fraction"), "fontsize": 8}
        if writes == TOKEN_ITSELF:
            lines.annotate("in the token itself", (-0.4, 0.92), ha="left", **place)
        elif writes < localised["block"].max() / 4:  # there is no room to the left of it
            lines.annotate(f"block {writes} writes", (writes - 0.4, 0.85), ha="left", **place)
        else:
            lines.annotate(f"block {writes} writes", (writes - 0.6, 0.92), ha="right", **place)
        lines.annotate(f"block {reads} reads", (reads - 0.4, 0.92), ha="left", **place)
        lines.axhline(0, color="black", lw=0.6)
        lines.set_ylabel("effect (logit difference lost)")
        lines.legend(loc="center left")
        lines.set_title(f"Each component patched whole at {token}, from a source of another value")

        lowest.set_xlabel("block")
        lowest.xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(of_heads):
            grid = of_heads.pivot(index="head", columns="block", values="effect")
            # A block without heads is a gap.
            effects = grid.reindex(columns=range(localised["block"].max() + 1)).to_numpy(float)
            limit = float(np.nanmax(np.abs(effects)))
            image = lowest.imshow(
                effects, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto", origin="lower",
                extent=(-0.5, effects.shape[1] - 0.5, -0.5, effects.shape[0] - 0.5),
            )  # fmt: skip
            lowest.set_ylabel("head")
            figure.colorbar(image, ax=lowest, label="effect", pad=0.01)
    return figure


def localise_map_figure(tokens: pd.DataFrame) -> Figure:
    """Effect of patching the residual stream at one kind of token after one block, as a share of the clean LD.

    The largest value of every kind of token is written into its cell.

    Args:
        tokens: Columns ``tokens, block, pairs, fldd``; kinds of token stand in the order of a prompt.
    """
    kinds = [kind for kind in TOKENS if kind in set(tokens["tokens"])]
    grid = tokens.pivot(index="tokens", columns="block", values="fldd").loc[kinds].to_numpy(float)
    limit = float(np.nanmax(np.abs(grid), initial=1e-6))
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.2, 0.34 * len(kinds) + 1.1))
        image = axis.imshow(grid, cmap="PuOr_r", vmin=-limit, vmax=limit, aspect="auto")
        for row, values in enumerate(grid):
            if np.isfinite(values).any():
                block = int(np.nanargmax(np.abs(values)))
                # At an edge the number, wider than its cell, stays inside the map.
                side = "left" if block == 0 else "right" if block == grid.shape[1] - 1 else "center"
                box = dict(facecolor="white", alpha=0.85, edgecolor="none", pad=1.2)
                axis.text(block, row, f"{values[block]:.2f}", fontsize=8, ha=side, va="center", bbox=box)
        axis.set_yticks(range(len(kinds)), kinds)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_xlabel("residual stream after block")
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=axis, label="share of the\nclean LD lost", pad=0.01)
    return figure
