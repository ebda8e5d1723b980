"""The look that all pictures share: colours, sizes, and a grid of panels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's colours, which survive colour blindness; lightness differs too, so that they survive print.
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999"
VERMILION = "#D55E00"

STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def panels(
    count: int, width: float, height: float, most: int = 3, **options: Any
) -> Iterator[tuple[Figure, list[Any]]]:
    """A figure of small multiples in the common style, to draw in while the block lasts.

    Args:
        count: Number of panels.
        width: Width of one panel in inches.
        height: Its height.
        most: Panels in a row at most.
        options: What ``plt.subplots`` takes besides, such as ``sharex``.

    Yields:
        The figure and its ``count`` panels.
    """
    columns = min(most, count)
    lines = -(-count // columns)
    size = (width * columns + 0.9, height * lines + 0.5)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(lines, columns, figsize=size, squeeze=False, **options)
        for axis in list(grid.flat)[count:]:
            axis.set_visible(False)
        yield figure, list(grid.flat)[:count]


def grouped_rows(axis: Any, groups: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Labels the y axis with rows under headings, from above.

    Args:
        axis: The panel.
        groups: The rows' labels by heading; under an empty heading rows start without one.

    Returns:
        The places of the rows, without the headings.
    """
    labels: list[str] = []
    places: list[int] = []
    headings: list[int] = []
    for heading, rows in groups.items():
        if heading:
            headings.append(len(labels))
            labels.append(heading)
        places += range(len(labels), len(labels) + len(rows))
        labels += rows
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    for place in headings:
        axis.yaxis.get_major_ticks()[place].label1.set_fontweight("bold")
    return np.array(places)


def dots(axis: Any, places: Sequence[float] | np.ndarray, rows: pd.DataFrame, measure: str, **look: Any) -> None:
    """Points with their intervals, one a row, without an interval where that is NaN.

    Args:
        axis: The panel.
        places: Where on the y axis.
        rows: Columns ``<measure>, <measure>_lo, <measure>_hi``.
        measure: The measure.
        look: What ``errorbar`` takes besides.
    """
    value = rows[measure].to_numpy(float)
    errors = [value - rows[f"{measure}_lo"].to_numpy(float), rows[f"{measure}_hi"].to_numpy(float) - value]
    look = dict(ms=5, mec="black", mew=0.4, lw=1.2, capsize=2) | look
    axis.errorbar(value, places, xerr=np.maximum(0, errors), **look)
