"""Names in the projection (E3 c): what they explain of what the place of S leaves, and of the whole."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, STYLE, grouped_rows, plt
from subspace_illusion.statistics import p_in_words
from subspace_illusion.subspace.methods import MEAN_DIFFERENCE, TRAINED

_COLOURS = {TRAINED: BLUE, MEAN_DIFFERENCE: ORANGE}


def tell_names_figure(told: pd.DataFrame) -> Figure:
    """Omega squared of every direction and name with its p; beside, the names' share of the whole variance.

    Args:
        told: Columns ``subspace, name, omega_squared, p, permutations, left``, one row a direction and name.
    """
    groups = {str(method): rows for method, rows in told.groupby("subspace", sort=False)}
    shown = pd.concat(groups.values())
    of_left = shown["omega_squared"]
    shares = {"of what the place of S leaves\n(omega squared)": of_left, "of the whole": of_left * shown["left"]}
    with plt.rc_context(STYLE):
        size = (5.6, 0.22 * (len(shown) + len(groups)) + 1.2)
        figure, axes = plt.subplots(1, 2, figsize=size, sharex=True, sharey=True)
        places = grouped_rows(axes[0], {method: list(rows["name"]) for method, rows in groups.items()})
        colours = [_COLOURS.get(method, GREY) for method in shown["subspace"]]
        for axis, (label, share) in zip(axes, shares.items(), strict=True):
            axis.barh(places, share, 0.62, color=colours, edgecolor="black", lw=0.4)
            axis.axvline(0, color="black", lw=0.6)
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
            axis.set_xlabel(label)
        for place, share, p, permutations in zip(places, of_left, shown["p"], shown["permutations"], strict=True):
            words = "cannot be told" if pd.isna(p) else f"p: {p_in_words(p, permutations)}"
            end = 0 if pd.isna(share) else max(0, share)
            axes[0].annotate(words, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
        sizes = of_left.dropna()
        axes[0].set_xlim(min(0, 1.1 * min(sizes, default=0)), 1.5 * max(0.02, max(sizes, default=0)))
        figure.suptitle("share of variance that the names explain", fontsize=10)
    return figure
