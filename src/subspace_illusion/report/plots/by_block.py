"""A map: what patching does block by block."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.evaluate import colour_of
from subspace_illusion.report.plots.style import STYLE, plt
from subspace_illusion.report.words import shown
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE

MARKERS = {FAITHFUL: "o", ILLUSORY: "X", INCONCLUSIVE: "."}
"""How a verdict is shown; what is not judged, such as the whole component, has a small point."""
_DASHES = ("-", "--", ":", "-.")


def by_block_figure(effects: pd.DataFrame) -> Figure:
    """Effect by block, a line a subspace and kind of component, verdicts as markers.

    Args:
        effects: A row a component and subspace: ``hook``, ``block``, ``subspace`` (its key), ``effect`` (a share of the
            clean LD) and ``verdict``, empty where there is none.
    """
    points = effects["hook"].str.split(".", n=2).str[2]
    several = points.nunique() > 1
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.0, 3.4))
        for number, (point, at_point) in enumerate(effects.groupby(points, sort=False)):
            for key, line in at_point.groupby("subspace", sort=False):
                label, colour = f"{shown(key)}, {point}" if several else shown(key), colour_of(key)
                axis.plot(
                    line["block"], line["effect"], _DASHES[number % len(_DASHES)], color=colour, lw=1, label=label
                )
                for row in line.itertuples():
                    called = row.verdict or INCONCLUSIVE
                    size = 4 if called == INCONCLUSIVE else 7
                    axis.plot([row.block], [row.effect], MARKERS[called], color=colour, ms=size)
        for called in (FAITHFUL, ILLUSORY):
            axis.plot([], [], MARKERS[called], color="black", label=called)
        axis.axhline(0, color="black", lw=0.6, zorder=0)
        axis.set_xlabel("block")
        axis.set_ylabel("effect: share of the clean\nlogit difference lost")
        figure.legend(loc="outside upper center", ncols=4, handletextpad=0.4)
    return figure
