"""The look that all pictures share: colours, sizes, and a grid of panels."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito's colours, which survive colour blindness; lightness differs too, so that they survive print.
BLUE, ORANGE, GREEN, PURPLE, SKY, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999"

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
