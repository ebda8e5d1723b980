"""Names in the projection (E3 c): what they explain of what the place of S leaves, and of the whole."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, STYLE, grouped_rows, plt
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import p_in_words
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED

_COLOURS = {TRAINED: BLUE, MEAN_DIFFERENCE: ORANGE}


def tell_names_figure(told: pd.DataFrame) -> Figure:
    """Omega squared of every direction and name with its p; beside, the names' share of the whole variance.

    Args:
        told: Columns ``subspace, name, omega_squared, p, permutations, left``, one row a direction and name.
    """
    groups = {shown(key): told[told["subspace"] == key] for key in dict.fromkeys(told["subspace"])}
    lines = pd.concat(groups.values())
    of_left = lines["omega_squared"]
    shares = {"of what the place of S leaves\n(omega squared)": of_left, "of the whole": of_left * lines["left"]}
    with plt.rc_context(STYLE):
        size = (5.6, 0.22 * (len(lines) + len(groups)) + 1.2)
        figure, axes = plt.subplots(1, 2, figsize=size, sharex=True, sharey=True)
        places = grouped_rows(axes[0], {name: list(rows["name"]) for name, rows in groups.items()})
        colours = [_COLOURS.get(key.method, GREY) for key in lines["subspace"]]
        for axis, (label, share) in zip(axes, shares.items(), strict=True):
            axis.barh(places, share, 0.62, color=colours, edgecolor="black", lw=0.4)
            axis.axvline(0, color="black", lw=0.6)
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
            axis.set_xlabel(label)
        for place, share, p, permutations in zip(places, of_left, lines["p"], lines["permutations"], strict=True):
            words = "cannot be told" if pd.isna(p) else f"p: {p_in_words(p, permutations)}"
            end = 0 if pd.isna(share) else max(0, share)
            axes[0].annotate(words, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
        sizes = of_left.dropna()
        axes[0].set_xlim(min(0, 1.1 * min(sizes, default=0)), 1.5 * max(0.02, max(sizes, default=0)))
        figure.suptitle("share of variance that the names explain", fontsize=10)
    return figure
