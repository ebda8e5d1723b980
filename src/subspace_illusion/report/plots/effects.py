"""What patching each subspace does to the answer (E3, E4, E6)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, panels
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.ways import ROW, WAYS


def effects_figure(effects: pd.DataFrame, components: list[str]) -> Figure:
    """Effect of every way of choosing the subspace, one panel a component.

    Args:
        effects: The table of effects; the rows that pool the seeds are shown.
        components: The components to show, in order.
    """
    pooled = effects[effects["seed"] == POOLED].set_index(["component", "subspace"])
    ways = [way for way in WAYS if way in set(effects["subspace"])]
    colours = dict(zip(WAYS, [GREY, BLUE, GREEN, ORANGE, PURPLE, SKY, "#D0D0D0"], strict=True))
    with panels(len(components), 2.6, 2.3, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, way in enumerate(ways):
                if (name, way) not in pooled.index:
                    missing = " no null part" if (name, ROW) in pooled.index else " no readout matrix"
                    axis.text(0, place, missing, va="center", fontsize=7, color=GREY)
                    continue
                row = pooled.loc[(name, way)]
                errors = np.maximum(0, [[row["effect"] - row["effect_lo"]], [row["effect_hi"] - row["effect"]]])
                axis.barh(
                    place, row["effect"], color=colours[way], edgecolor="black", lw=0.4, xerr=errors, error_kw={"lw": 1}
                )
            axis.axvline(0, color="black", lw=0.6)
            axis.set_yticks(range(len(ways)), ways)
            axis.grid(axis="x", lw=0.3)
            axis.set_title(name)
        axes[0].invert_yaxis()
        figure.supxlabel("effect: logit difference lost (clean - patched); negative: the patch helps", fontsize=9)
    return figure
