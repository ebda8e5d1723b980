"""A subspace of some of the neurons (E11)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, STYLE, plt


def neuron_sweep_figure(swept: pd.DataFrame, fit: Mapping[str, float], component: str) -> Figure:
    """Effect of subspaces of some neurons against their number, with the line that fits best.

    Args:
        swept: Columns ``neurons, share_of_residual, set_share_of_residual``, one row a draw of neurons.
        fit: ``slope_per_neuron, intercept, r2``.
        component: The component.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(4.6, 3.2))
        ends = [0, swept["neurons"].max()]
        line = [fit["intercept"] + fit["slope_per_neuron"] * neurons for neurons in ends]
        axis.plot(ends, line, color=ORANGE, lw=1.5, label=f"linear fit, R² = {fit['r2']:.2f}", zorder=1)
        axis.scatter(
            swept["neurons"], swept["share_of_residual"], s=26, color=BLUE, edgecolor="black", lw=0.4, alpha=0.85,
            label="one draw of neurons",
        )  # fmt: skip
        axis.scatter(
            swept["neurons"], swept["set_share_of_residual"], s=18, color=GREY, marker="x", lw=1,
            label="all of these neurons patched",
        )  # fmt: skip
        axis.axhline(0, color="black", lw=0.6, zorder=0)
        axis.grid(lw=0.3)
        axis.set_xlabel(f"neurons of {component} that the subspace may use")
        axis.set_ylabel("effect, as a share of the\nwhole residual stream's")
        axis.legend(loc="best")
    return figure
