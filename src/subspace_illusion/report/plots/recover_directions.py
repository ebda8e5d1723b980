"""What MLPs keep of random directions of the residual stream, block by block (E9), and the ranks of their weights."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, panels


def recover_directions_figure(recovered: pd.DataFrame) -> Figure:
    """R2 and MSE of recovering random directions, a marker a direction, the line their mean (E9).

    Args:
        recovered: Columns ``block, r2, mse, r2_permuted``.
    """
    with panels(2, 3.2, 2.8, sharex=True) as (figure, axes):
        for axis, name, label in zip(axes, ("r2", "mse"), ("held-out R²", "held-out MSE"), strict=True):
            axis.scatter(recovered["block"], recovered[name], s=10, color=BLUE, alpha=0.5, lw=0, label="one direction")
            axis.plot(recovered.groupby("block")[name].mean(), color=BLUE, label="mean")
            axis.set_xlabel("block")
            axis.set_ylabel(label)
        axes[0].plot(recovered.groupby("block")["r2_permuted"].mean(), color=GREY, ls="--", label="targets permuted")
        axes[0].set_ylim(min(-0.05, recovered["r2"].min()), 1)
        axes[0].legend()
        axes[1].axhline(1, color=GREY, ls="--")  # what the mean of a standardised target gives
        axes[1].set_ylim(0, max(1.05, recovered["mse"].max()))
        figure.suptitle("Random directions of the residual stream, from the MLP's hidden activations", fontsize=10)
    return figure


def ranks_figure(ranks: pd.DataFrame) -> Figure:
    """Effective ranks of the MLPs' weights, as shares of the rank that the shape allows.

    Args:
        ranks: Columns ``block, possible`` and, for each matrix, ``rank_<matrix>, effective_rank_<matrix>``.
    """
    looks = {"W_in": (BLUE, "o"), "W_gate": (GREEN, "s"), "W_out": (ORANGE, "^")}
    with panels(1, 4.5, 2.2) as (figure, (axis,)):
        present = [name for name in looks if f"rank_{name}" in ranks]
        for name in present:
            colour, marker = looks[name]
            share = ranks[f"effective_rank_{name}"] / ranks["possible"]
            axis.plot(ranks["block"], share, color=colour, marker=marker, markersize=3, label=f"{name}, by entropy")
        counted = ranks[[f"rank_{name}" for name in present]].min(axis=1) / ranks["possible"]
        axis.plot(ranks["block"], counted, color=GREY, ls="--", label="counted, the lowest of them")
        axis.set_ylim(0, 1.05)
        axis.set_xlabel("block")
        axis.set_ylabel("share of full rank")
        axis.legend(loc="lower right")
    return figure
