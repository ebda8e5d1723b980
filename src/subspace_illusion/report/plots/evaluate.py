"""What patching each subspace does to the answer (E3, E4, E6), over all held-out pairs and sentence by sentence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, dots, panels
from subspace_illusion.report.words import in_order, shown
from subspace_illusion.subspace.keys import (
    BOTH,
    LENT_HALF,
    MEAN_DIFFERENCE,
    NULL,
    OWN_HALF,
    POOLED,
    RANDOM,
    ROW,
    TRAINED,
    WHOLE_COMPONENT,
    SubspaceKey,
)

USER_COLOUR = VERMILION
"""The colour of the user's own subspaces; their parts have those of the trained one's."""
_OF_PARTS = {LENT_HALF: SKY, OWN_HALF: SKY, ROW: GREEN, NULL: ORANGE, BOTH: PURPLE}
_OF_METHODS = {WHOLE_COMPONENT: GREY, TRAINED: BLUE, MEAN_DIFFERENCE: BLUE, RANDOM: GREY}


def colour_of(key: SubspaceKey) -> str:
    """The colour of a subspace, of a part that of the part."""
    if key.part:
        return _OF_PARTS[key.part]
    return USER_COLOUR if key.is_user else _OF_METHODS[key.method]


def is_drawn(key: SubspaceKey) -> bool:
    """Whether pictures show it: a subspace or one of its parts, and nothing else that is done along it."""
    return not key.part or key.part in _OF_PARTS


def evaluate_figure(effects: pd.DataFrame, components: Sequence[str], keys: Sequence[SubspaceKey]) -> Figure:
    """Effect of every subspace, one panel a component.

    Args:
        effects: The table of effects. Bars are the rows that pool the seeds, dots the single seeds; ``none`` stands
            where a component has no such subspace.
        components: The components to show, in order.
        keys: The subspaces to show, likewise.
    """
    is_pooled = effects["seed"] == POOLED
    pooled = effects[is_pooled].set_index(["component", "subspace"])
    width = 2.1 if len(components) > 1 else 3.2  # one panel has to leave room for the labels
    with panels(len(components), width, 0.24 * len(keys) + 0.4, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, key in enumerate(keys):
                if (name, key) not in pooled.index:
                    axis.text(0, place, " none", va="center", fontsize=8, color=GREY)
                    continue
                row = pooled.loc[(name, key)]
                axis.barh(place, row["effect"], color=colour_of(key), edgecolor="black", lw=0.4)
                dots(axis, [place], pooled.loc[[(name, key)]], "effect", fmt="none", ecolor="black")
                single = effects[~is_pooled & (effects["component"] == name) & (effects["subspace"] == key)]
                axis.plot(single["effect"], [place] * len(single), "o", ms=2.5, mfc="white", mec="black", mew=0.5)
            axis.axvline(0, color="black", lw=0.6)
            axis.set_yticks(range(len(keys)), [shown(key) for key in keys])
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
    keys = in_order(here["subspace"])
    height = 0.12 * len(numbers) * len(keys) + 0.6
    with panels(len(components), 2.6, height, most=2, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, key in enumerate(keys):
                rows = here[(here["component"] == name) & (here["subspace"] == key)]
                places = rows["template"].map(numbers.index) + (place + 1) / (len(keys) + 1) - 0.5
                look = dict(mfc="white") if key.method == MEAN_DIFFERENCE else {}
                dots(axis, places, rows, "effect", fmt="o", color=colour_of(key), label=shown(key), **look)
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
