"""Directions of the residual stream split by what the readers see (E3 d)."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.measures.split_directions import (
    RANDOM_SEEN,
    RANDOM_UNSEEN,
    READ_PARTS,
    SEEN,
    UNDIVIDED,
    UNSEEN,
)
from subspace_illusion.report.plots.style import BLUE, GREEN, ORANGE, PURPLE, SKY, STYLE, dots, grouped_rows, plt
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, POOLED, TRAINED, SubspaceKey

_LOOKS = {
    UNDIVIDED: ("o", BLUE), SEEN: ("s", ORANGE), UNSEEN: ("^", GREEN), RANDOM_SEEN: ("D", SKY),
    RANDOM_UNSEEN: ("v", PURPLE),
}  # fmt: skip


def directions(splits: pd.DataFrame) -> list[SubspaceKey]:
    """The directions that were split, in the order in which they are shown."""
    there = list(dict.fromkeys(splits["subspace"]))
    trained, gradient, mean = (SubspaceKey(method) for method in (TRAINED, GRADIENT, MEAN_DIFFERENCE))
    return [key for key in (trained, *(key for key in there if key.is_user), gradient, mean) if key in there]


def split_directions_figure(splits: pd.DataFrame) -> Figure:
    """Effect and norm of every part of every direction, the training seeds pooled.

    Args:
        splits: Columns ``subspace, part, seed, draw, norm, chance_norm, ld_clean``, ``effect`` with its interval. Of
            the random subspaces the pooled draws are drawn large and the single draws as dots.
    """
    pooled = splits[splits["seed"] == POOLED]
    is_draw = pooled["draw"].notna() & (pooled["draw"] != POOLED)
    by_key = {
        key: pooled[~is_draw & (pooled["subspace"] == key)].sort_values("part", key=lambda x: x.map(READ_PARTS.index))
        for key in directions(splits)
    }
    lines, draws = pd.concat(by_key.values()), pooled[is_draw]
    with plt.rc_context(STYLE):
        size = (6.5, 0.2 * (len(lines) + len(by_key)) + 1.3)
        figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=[3, 2])
        places = grouped_rows(left, {f"{shown(key)} direction": list(rows["part"]) for key, rows in by_key.items()})
        place_of = dict(zip(zip(lines["subspace"], lines["part"], strict=True), places, strict=True))
        for part, (marker, colour) in _LOOKS.items():
            of_part = (lines["part"] == part).to_numpy()
            dots(left, places[of_part], lines[of_part], "effect", fmt=marker, color=colour)
            right.plot(lines.loc[of_part, "norm"], places[of_part], marker, color=colour, mec="black", mew=0.4, ms=5)
        clean = left.axvline(lines["ld_clean"].iloc[0], color="black", lw=0.8, ls="--", label="clean logit difference")
        chance = right.scatter(lines["chance_norm"], places, marker="|", s=70, color="black", label="random direction")
        handles = [clean, chance]
        if len(draws):
            at = [place_of[key] + 0.32 for key in zip(draws["subspace"], draws["part"], strict=True)]
            look = dict(marker="o", s=7, facecolor="white", edgecolor="black", lw=0.5, zorder=4)
            handles.append(left.scatter(draws["effect"], at, label="single random subspaces", **look))
            right.scatter(draws["norm"], at, **look)
        left.axvline(0, color="black", lw=0.6, zorder=0)
        left.set_xlabel("effect (logit difference lost)")
        right.set_xlabel("norm of the part")
        right.set_xlim(-0.05, 1.08)
        for axis in (left, right):
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
        figure.legend(handles=handles, loc="outside upper center", ncols=3, handletextpad=0.3)
    return figure
