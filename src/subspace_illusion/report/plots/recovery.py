"""What MLPs keep of the residual stream before them, block by block (E9, E10)."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, panels


def recovery_figure(recovery: pd.DataFrame) -> Figure:
    """R2 and MSE of recovering random directions, a marker a direction, the line their mean (E9).

    Args:
        recovery: Columns ``block, r2, mse, r2_permuted``.
    """
    with panels(2, 3.2, 2.8, sharex=True) as (figure, axes):
        for axis, name, label in zip(axes, ("r2", "mse"), ("held-out R²", "held-out MSE"), strict=True):
            axis.scatter(recovery["block"], recovery[name], s=10, color=BLUE, alpha=0.5, lw=0, label="one direction")
            axis.plot(recovery.groupby("block")[name].mean(), color=BLUE, label="mean")
            axis.set_xlabel("block")
            axis.set_ylabel(label)
        axes[0].plot(recovery.groupby("block")["r2_permuted"].mean(), color=GREY, ls="--", label="targets permuted")
        axes[0].set_ylim(min(-0.05, recovery["r2"].min()), 1)
        axes[0].legend()
        axes[1].axhline(1, color=GREY, ls="--")  # what the mean of a standardised target gives
        axes[1].set_ylim(0, max(1.05, recovery["mse"].max()))
        figure.suptitle("Random directions of the residual stream, from the MLP's hidden activations", fontsize=10)
    return figure


def signs_figure(signs: pd.DataFrame) -> Figure:
    """Accuracy of telling the sign written along a random direction, a line a size z of the step (E10).

    Args:
        signs: Columns ``block, z, accuracy``.
    """
    looks = [(SKY, "o"), (GREEN, "s"), (ORANGE, "^"), (BLUE, "D"), (PURPLE, "v")]
    with panels(1, 5.5, 3) as (figure, (axis,)):
        for i, (z, rows) in enumerate(signs.groupby("z")):
            colour, marker = looks[i % len(looks)]
            mean = rows.groupby("block")["accuracy"].mean()
            axis.scatter(rows["block"], rows["accuracy"], s=8, color=colour, alpha=0.5, lw=0)
            axis.plot(
                mean, color=colour, marker=marker, markersize=4, label=f"{z:g}: mean {rows['accuracy'].mean():.2f}"
            )
        axis.axhline(0.5, color=GREY, ls="--", label="chance")
        axis.set_xlabel("block")
        axis.set_ylabel("held-out accuracy")
        axis.legend(title="z", title_fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        axis.set_title("Signs written into the residual stream, read from the MLP")
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
