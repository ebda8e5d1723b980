"""Facts by block: which patches give the source's answer, and what edits and their subspaces do (E16)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, ORANGE, STYLE, plt

LOOKS = (dict(color=BLUE, marker="o"), dict(color="0.35", marker="s"), dict(color=ORANGE, marker="^"))
"""One look for each line of a panel and, thin and dashed, for its published counterpart."""


def facts_figure(
    patched: Mapping[str, pd.Series], edited: Mapping[str, pd.Series], published: pd.DataFrame, n_blocks: int
) -> Figure:
    """Two panels over relative depth, published figures of GPT-2 XL thin and dashed.

    Args:
        patched: Share of pairs that give the source's answer, by block, for each way of patching.
        edited: Median rewrite score, by block, for each kind of edit.
        published: Columns ``quantity`` (one of the names above behind a colon), ``block``, ``blocks``, ``value``.
        n_blocks: Number of blocks of the model.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(7, 3.6), sharex=True, sharey=True)
        _panel(axes[0], patched, published, n_blocks, "patches that give the source's answer")
        _panel(axes[1], edited, published, n_blocks, "median rewrite score")
        axes[0].plot([], [], color="0.4", lw=0.9, ls="--", label="GPT-2 XL (paper)")
        for axis in axes:
            axis.set_xlabel("block / number of blocks")
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)  # no corner is free of lines
    return figure


def _panel(axis: Axes, lines: Mapping[str, pd.Series], published: pd.DataFrame, n_blocks: int, title: str) -> None:
    """One line for each kind, and the published one of the same kind."""
    for (name, values), look in zip(lines.items(), LOOKS, strict=True):
        theirs = published[published["quantity"].str.endswith(f": {name}")]
        axis.plot(theirs["block"] / theirs["blocks"], theirs["value"], color=look["color"], lw=0.9, ls="--")
        axis.plot(values.index / n_blocks, values, color=look["color"], marker=look["marker"], lw=1.5, ms=4, label=name)
    axis.set_title(title, fontsize=9)
    axis.grid(lw=0.3)
