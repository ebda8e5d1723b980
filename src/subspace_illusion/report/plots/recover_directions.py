"""What MLPs keep of random directions of the residual stream, block by block (E9)."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, panels


def recover_directions_figure(recovered: Mapping[str, pd.DataFrame]) -> Figure:
    """R2 and MSE of recovering random directions, a marker a direction, the line their mean, a colour a text (E9).

    Args:
        recovered: By text, columns ``block, r2, mse, r2_permuted``.
    """
    colours = (BLUE, ORANGE, GREEN, PURPLE)
    every = pd.concat(recovered.values())
    with panels(2, 3.2, 2.8, sharex=True) as (figure, axes):
        for axis, name, label in zip(axes, ("r2", "mse"), ("held-out R²", "held-out MSE"), strict=True):
            for i, (text, of_text) in enumerate(recovered.items()):
                colour = colours[i % len(colours)]
                axis.scatter(of_text["block"], of_text[name], s=10, color=colour, alpha=0.4, lw=0)
                axis.plot(of_text.groupby("block")[name].mean(), color=colour, label=f"{text}, mean")
            axis.set_xlabel("block")
            axis.set_ylabel(label)
        axes[0].plot(every.groupby("block")["r2_permuted"].mean(), color=GREY, ls="--", label="targets permuted")
        axes[0].set_ylim(min(-0.05, every["r2"].min()), 1)
        axes[0].legend()
        axes[1].axhline(1, color=GREY, ls="--")  # what the mean of a standardised target gives
        axes[1].set_ylim(0, max(1.05, every["mse"].max()))
        figure.suptitle("Random directions of the residual stream, from the MLP's hidden activations", fontsize=10)
    return figure
