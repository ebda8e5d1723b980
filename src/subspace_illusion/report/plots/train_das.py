"""How the training runs went."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, panels


def train_das_figure(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """The loss of every training run against the step, one panel a component.

    Args:
        curves: By component, columns ``seed, step, loss``.
    """
    with panels(len(curves), 2.6, 2, sharex=True, sharey=True) as (figure, axes):
        for axis, (name, curve) in zip(axes, curves.items(), strict=True):
            for _, run in curve.groupby("seed"):
                axis.plot(run["step"], run["loss"], color=BLUE, lw=0.8, alpha=0.6)
            axis.set_title(name)
        figure.supxlabel("step", fontsize=9)
        figure.supylabel("loss (nats)", fontsize=9)
    return figure
