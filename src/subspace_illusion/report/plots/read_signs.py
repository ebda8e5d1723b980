"""What MLPs keep of signs written into the residual stream, block by block (E10)."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, panels


def read_signs_figure(signs: pd.DataFrame) -> Figure:
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
