"""The picture of a comparison of two runs or subspaces."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, plt


def compare_figure(differences: pd.DataFrame, a: str, b: str) -> Figure:
    """Differences of effects with their intervals, one row a subspace.

    Args:
        differences: Columns ``what, difference, difference_lo, difference_hi``.
        a: Name of the one side.
        b: Name of the other.
    """
    rows = differences.iloc[::-1].reset_index(drop=True)
    figure, axis = plt.subplots(figsize=(7, 1.2 + 0.32 * len(rows)), layout="constrained")
    known = rows["difference_lo"].notna()
    axis.hlines(rows.index[known], rows["difference_lo"][known], rows["difference_hi"][known], color=BLUE, lw=2)
    axis.plot(rows["difference"], rows.index, "o", color=BLUE, ms=5)
    axis.axvline(0, color="0.5", lw=1)
    axis.set_yticks(rows.index, rows["what"])
    axis.set_xlabel(f"effect of {b} minus effect of {a} (logit difference lost)")
    return figure
