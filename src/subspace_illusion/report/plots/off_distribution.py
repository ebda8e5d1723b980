"""How far patches take each component off the natural distribution (E15)."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, dots, grouped_rows, panels
from subspace_illusion.report.words import in_order, shown

COLOURS = (ORANGE, BLUE, GREEN, PURPLE, SKY)


def off_distribution_figure(distances: pd.DataFrame) -> Figure:
    """One panel a place, one line a part and subspace, beside the distance between halves of the natural cloud.

    Args:
        distances: Of one component: ``subspace``, ``place``, ``part``, ``distance`` with its interval, ``floor``.
    """
    places = list(dict.fromkeys(distances["place"]))
    keys = in_order(distances["subspace"])
    most = max(len(set(distances.loc[distances["place"] == place, "part"])) for place in places)
    with panels(len(places), 2.9, 0.2 * most * (len(keys) + 1) + 0.7, most=3) as (figure, axes):
        for axis, place in zip(axes, places, strict=True):
            here = distances[distances["place"] == place]
            lines = {
                str(part): [key for key in keys if key in set(rows["subspace"])]
                for part, rows in here.groupby("part", sort=False)
            }
            heights = grouped_rows(axis, {part: [shown(key) for key in of_part] for part, of_part in lines.items()})
            listed = [(part, key) for part, of_part in lines.items() for key in of_part]
            for (part, key), row in zip(listed, heights, strict=True):
                found = here[(here["part"] == part) & (here["subspace"] == key)]
                axis.plot(found["floor"], [row], "|", color=GREY, ms=9, mew=2)
                dots(axis, [row], found, "distance", fmt="o", color=COLOURS[keys.index(key) % len(COLOURS)])
            axis.set_xlim(left=min(0, axis.get_xlim()[0]))
            axis.set_title(place)
            axis.set_xlabel("energy distance (share)")
    return figure
