"""A random MLP in the real one's place (E8)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, ORANGE, STYLE, dots, grouped_rows, plt
from subspace_illusion.subspace.keys import POOLED


def random_mlp_figure(random_mlp: pd.DataFrame, real: Mapping[str, Any], component: str) -> Figure:
    """Effect of the subspace trained in each random MLP, and of all of them, beside that of the real one.

    Args:
        random_mlp: Columns ``draw, effect, effect_lo, effect_hi``; one row pools the draws.
        real: What the subspace that was trained in the real one does: ``effect, effect_lo, effect_hi``.
        component: The real MLP's component.
    """
    pooled = random_mlp["draw"].astype(str) == POOLED
    draws = random_mlp[~pooled]
    parts = {
        f"real MLP ({component})": (pd.DataFrame([real]), ["trained subspace"], dict(fmt="o", color=BLUE)),
        "random MLPs": (random_mlp[pooled], ["mean of the draws"], dict(fmt="s", color=ORANGE)),
        "": (draws, [f"draw {draw}" for draw in draws["draw"]], dict(fmt="s", color="white", ecolor=ORANGE)),
    }
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(4.8, 0.22 * (4 + len(draws)) + 0.8))
        places = iter(grouped_rows(axis, {heading: labels for heading, (_, labels, _) in parts.items()}))
        for rows, labels, look in parts.values():
            at = [next(places) for _ in labels]
            if len(rows):
                dots(axis, at, rows, "effect", **look)
        axis.axvline(0, color="black", lw=0.6, zorder=0)
        axis.grid(axis="x", lw=0.3)
        axis.set_xlabel("effect (logit difference lost)")
    return figure
