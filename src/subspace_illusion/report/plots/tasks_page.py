"""Tasks side by side: whole components, subspaces and their row parts."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.evaluate import colour_of
from subspace_illusion.report.plots.style import STYLE, dots, grouped_rows, plt
from subspace_illusion.report.words import in_order
from subspace_illusion.subspace.methods import ROW, WHOLE

_MARKERS = {WHOLE: "s", ROW: "^"}
"""Markers of ways; subspaces have round ones."""


def tasks_figure(effects: Mapping[str, pd.DataFrame]) -> Figure:
    """Effect of patching each component whole, along its subspaces and along their row parts, under its task.

    Args:
        effects: By task, the rows to show: columns ``component, subspace, fldd`` with its interval.
    """
    components = {task: list(dict.fromkeys(rows["component"])) for task, rows in effects.items()}
    methods = in_order(method for rows in effects.values() for method in rows["subspace"])
    lines = sum(map(len, components.values())) + len(components)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.6, 0.3 * lines + 1.3))
        places = iter(grouped_rows(axis, components))
        for task, rows in effects.items():
            for component in components[task]:
                place = next(places)
                for step, method in enumerate(methods):
                    row = rows[(rows["component"] == component) & (rows["subspace"] == method)]
                    if len(row):
                        at = [place + (step + 1) / (len(methods) + 1) - 0.5]
                        part = next(
                            (part for part in _MARKERS if method == part or method.startswith(f"{part} of ")), ""
                        )
                        dots(axis, at, row, "fldd", fmt=_MARKERS.get(part, "o"), color=colour_of(method), label=method)
        axis.axvline(0, color="black", lw=0.6, zorder=0)
        axis.axvline(1, color="black", lw=0.6, ls=":", zorder=0)
        axis.grid(axis="x", lw=0.3)
        axis.set_xlabel("effect: share of the clean logit difference lost")
        handles, labels = axis.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        figure.legend(
            [by_label[method] for method in methods], methods, loc="outside upper center", ncols=3, handletextpad=0.2
        )
    return figure
