"""A map: what patching does block by block."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.evaluate import colour_of
from subspace_illusion.report.plots.style import STYLE, plt
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE

MARKERS = {FAITHFUL: "o", ILLUSORY: "X", INCONCLUSIVE: "."}
"""How a verdict is shown; what is not judged, such as the whole component, has a small point."""


def by_block_figure(effects: pd.DataFrame, verdicts: Mapping[tuple[int, SubspaceKey], str]) -> Figure:
    """Effect by block, a line a subspace, verdicts as markers.

    Args:
        effects: Shares of the clean LD, a row a component, a column a subspace; the index is the block.
        verdicts: By block and subspace, where there is one.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7.0, 3.4))
        for key in effects:
            colour = colour_of(key)
            axis.plot(effects.index, effects[key], color=colour, lw=1, label=shown(key))
            for block, effect in effects[key].items():
                called = verdicts.get((block, key), INCONCLUSIVE)
                axis.plot([block], [effect], MARKERS[called], color=colour, ms=4 if called == INCONCLUSIVE else 7)
        for called in (FAITHFUL, ILLUSORY):
            axis.plot([], [], MARKERS[called], color="black", label=called)
        axis.axhline(0, color="black", lw=0.6, zorder=0)
        axis.set_xlabel("block")
        axis.set_ylabel("effect: share of the clean\nlogit difference lost")
        figure.legend(loc="outside upper center", ncols=4, handletextpad=0.4)
    return figure
