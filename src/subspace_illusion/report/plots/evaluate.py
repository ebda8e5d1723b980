"""What patching each subspace does to the answer (E3, E4, E6), over all held-out pairs and sentence by sentence."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, dots, panels
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.methods import (
    BOTH,
    LENT,
    MEAN_DIFFERENCE,
    MEAN_ROW,
    METHODS,
    NULL,
    OWN,
    PARTS,
    RANDOM,
    ROW,
    TRAINED,
    WHOLE,
)

OF_OWN = VERMILION
"""The colour of the user's own subspaces; their parts have those of the trained one's."""
_COLOURS = {
    WHOLE: GREY, TRAINED: BLUE, LENT: SKY, OWN: SKY, ROW: GREEN, NULL: ORANGE, BOTH: PURPLE, MEAN_DIFFERENCE: BLUE,
    MEAN_ROW: GREEN, RANDOM: GREY,
}  # fmt: skip


def colour_of(method: str) -> str:
    """The colour of a method, of a part that of the part."""
    if method in _COLOURS:
        return _COLOURS[method]
    return next((_COLOURS[part] for part in PARTS if method.startswith(f"{part} of ")), OF_OWN)


def evaluate_figure(effects: pd.DataFrame, components: Sequence[str], methods: Sequence[str]) -> Figure:
    """Effect of every method, one panel a component.

    Args:
        effects: The table of effects. Bars are the rows that pool the seeds, dots the single seeds; ``none`` stands
            where a component has no such subspace.
        components: The components to show, in order.
        ways: The methods to show, likewise.
    """
    is_pooled = effects["seed"] == POOLED
    pooled = effects[is_pooled].set_index(["component", "subspace"])
    width = 2.1 if len(components) > 1 else 3.2  # one panel has to leave room for the labels
    with panels(len(components), width, 0.24 * len(methods) + 0.4, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, method in enumerate(methods):
                if (name, method) not in pooled.index:
                    axis.text(0, place, " none", va="center", fontsize=8, color=GREY)
                    continue
                row = pooled.loc[(name, method)]
                axis.barh(place, row["effect"], color=colour_of(method), edgecolor="black", lw=0.4)
                dots(axis, [place], pooled.loc[[(name, method)]], "effect", fmt="none", ecolor="black")
                single = effects[~is_pooled & (effects["component"] == name) & (effects["subspace"] == method)]
                axis.plot(single["effect"], [place] * len(single), "o", ms=2.5, mfc="white", mec="black", mew=0.5)
            axis.axvline(0, color="black", lw=0.6)
            axis.set_yticks(range(len(methods)), methods)
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
    methods = [method for method in METHODS if method in set(here["subspace"])]
    height = 0.12 * len(numbers) * len(methods) + 0.6
    with panels(len(components), 2.6, height, most=2, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, components, strict=True):
            for place, method in enumerate(methods):
                rows = here[(here["component"] == name) & (here["subspace"] == method)]
                places = rows["template"].map(numbers.index) + (place + 1) / (len(methods) + 1) - 0.5
                look = dict(mfc="white") if method == MEAN_DIFFERENCE else {}
                dots(axis, places, rows, "effect", fmt="o", color=_COLOURS[method], label=method, **look)
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
