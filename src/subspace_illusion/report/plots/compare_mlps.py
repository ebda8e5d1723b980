"""How much of the residual stream the weights of MLPs could let through, block by block."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, panels


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
