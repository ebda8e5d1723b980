"""What MLPs keep of signs written into the residual stream, block by block (E10)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, panels


def read_signs_figure(signs: Mapping[str, pd.DataFrame]) -> Figure:
    """Accuracy of telling the sign written along a random direction, a line a size z of the step, a panel a text (E10).

    Args:
        signs: By text, columns ``block, z, accuracy``.
    """
    looks = [(SKY, "o"), (GREEN, "s"), (ORANGE, "^"), (BLUE, "D"), (PURPLE, "v")]
    with panels(len(signs), 4, 3, sharey=True) as (figure, axes):
        for axis, (text, of_text) in zip(axes, signs.items(), strict=True):
            for i, (z, rows) in enumerate(of_text.groupby("z")):
                colour, marker = looks[i % len(looks)]
                axis.scatter(rows["block"], rows["accuracy"], s=8, color=colour, alpha=0.5, lw=0)
                mean = rows.groupby("block")["accuracy"].mean()
                axis.plot(mean, color=colour, marker=marker, markersize=4, label=f"{z:g}")
            axis.axhline(0.5, color=GREY, ls="--", label="chance")
            axis.set_xlabel("block")
            axis.set_title(f"text: {text}")
        axes[0].set_ylabel("held-out accuracy")
        axes[-1].legend(title="z", title_fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
        figure.suptitle("Signs written into the residual stream, read from the MLP", fontsize=10)
    return figure
