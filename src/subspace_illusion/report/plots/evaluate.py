"""What patching each subspace does to the answer (E3, E4, E6), over all held-out pairs and sentence by sentence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, dots, panels
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.ways import (
    BOTH,
    LENT,
    MEAN_DIFFERENCE,
    MEAN_ROW,
    NULL,
    OWN,
    PARTS,
    RANDOM,
    ROW,
    TRAINED,
    WAYS,
    WHOLE,
)

OF_OWN = VERMILION
"""The colour of the user's own subspaces; their parts have those of the trained one's."""
_COLOURS = {
    WHOLE: GREY, TRAINED: BLUE, LENT: SKY, OWN: SKY, ROW: GREEN, NULL: ORANGE, BOTH: PURPLE, MEAN_DIFFERENCE: BLUE,
    MEAN_ROW: GREEN, RANDOM: GREY,
}  # fmt: skip


def colour_of(way: str) -> str:
    """The colour of a way of choosing a subspace, of a part that of the part."""
    if way in _COLOURS:
        return _COLOURS[way]
    return next((_COLOURS[part] for part in PARTS if way.startswith(f"{part} of ")), OF_OWN)


def evaluate_figure(effects: pd.DataFrame, components: Sequence[str], ways: Sequence[str]) -> Figure:
    """Effect of every way of choosing the subspace, one panel a component.

    Args:
        effects: The table of effects. Bars are the rows that pool the seeds, dots the single seeds; ``none`` stands
            where a component has no such subspace.
        components: The components to show, in order.
        ways: The ways of choosing a subspace to show, likewise.
    """
    is_pooled = effects["seed"] == POOLED
    pooled = effects[is_pooled].set_index(["component", "subspace"])
    width = 2.1 if len(components) > 1 else 3.2  # one panel has to leave room for the labels
    with panels(len(components), width, 0.24 * len(ways) + 0.4, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, way in enumerate(ways):
                if (name, way) not in pooled.index:
                    axis.text(0, place, " none", va="center", fontsize=8, color=GREY)
                    continue
                row = pooled.loc[(name, way)]
                axis.barh(place, row["effect"], color=colour_of(way), edgecolor="black", lw=0.4)
                dots(axis, [place], pooled.loc[[(name, way)]], "effect", fmt="none", ecolor="black")
                single = effects[~is_pooled & (effects["component"] == name) & (effects["subspace"] == way)]
                axis.plot(single["effect"], [place] * len(single), "o", ms=2.5, mfc="white", mec="black", mew=0.5)
            axis.axvline(0, color="black", lw=0.6)
            axis.set_yticks(range(len(ways)), ways)
            axis.grid(axis="x", lw=0.3)
            axis.set_title(name)
        axes[0].invert_yaxis()
        figure.supxlabel("effect: logit difference lost\n(negative: the patch helps; dots: single seeds)", fontsize=9)
    return figure


def templates_figure(templates: pd.DataFrame, components: Sequence[str]) -> Figure:
    """Effect in every sentence, one panel a component.

    Args:
        templates: Effects by component, subspace and template.
        components: The components to show, in order.
    """
    here = templates[templates["component"].isin(components)]
    numbers = sorted(here["template"].unique())
    ways = [way for way in WAYS if way in set(here["subspace"])]
    height = 0.12 * len(numbers) * len(ways) + 0.6
    with panels(len(components), 2.6, height, most=2, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, way in enumerate(ways):
                rows = here[(here["component"] == name) & (here["subspace"] == way)]
                places = rows["template"].map(numbers.index) + (place + 1) / (len(ways) + 1) - 0.5
                look = dict(mfc="white") if way == MEAN_DIFFERENCE else {}
                dots(axis, places, rows, "effect", fmt="o", color=_COLOURS[way], label=way, **look)
            axis.axvline(0, color="black", lw=0.6)
            for edge in np.arange(1, len(numbers)) - 0.5:
                axis.axhline(edge, color="black", lw=0.3)
            axis.set_ylim(len(numbers) - 0.5, -0.5)
            axis.set_yticks(range(len(numbers)), [f"sentence {number}" for number in numbers])
            axis.tick_params(axis="y", length=0)
            axis.grid(axis="x", lw=0.3)
            axis.set_title(name)
        figure.supxlabel("effect: logit difference lost", fontsize=9)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    return figure
