"""Tasks side by side: whole components, subspaces and their row parts."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.evaluate import colour_of
from subspace_illusion.report.plots.style import STYLE, dots, grouped_rows, plt
from subspace_illusion.report.words import in_order, shown
from subspace_illusion.subspace.keys import ROW, WHOLE


def tasks_figure(effects: Mapping[str, pd.DataFrame]) -> Figure:
    """Effect of patching each component whole, along its subspaces and along their row parts, under its task.

    Args:
        effects: By task, the rows to show: columns ``component, subspace, fldd`` with its interval.
    """
    components = {task: list(dict.fromkeys(rows["component"])) for task, rows in effects.items()}
    keys = in_order(key for rows in effects.values() for key in rows["subspace"])
    lines = sum(map(len, components.values())) + len(components)
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.6, 0.3 * lines + 1.3))
        places = iter(grouped_rows(axis, components))
        for task, rows in effects.items():
            for component in components[task]:
                place = next(places)
                for step, key in enumerate(keys):
                    row = rows[(rows["component"] == component) & (rows["subspace"] == key)]
                    if len(row):
                        at = [place + (step + 1) / (len(keys) + 1) - 0.5]
                        marker = "s" if key == WHOLE else "^" if key.part == ROW else "o"
                        dots(axis, at, row, "fldd", fmt=marker, color=colour_of(key), label=shown(key))
        axis.axvline(0, color="black", lw=0.6, zorder=0)
        axis.axvline(1, color="black", lw=0.6, ls=":", zorder=0)
        axis.grid(axis="x", lw=0.3)
        axis.set_xlabel("effect: share of the clean logit difference lost")
        handles, labels = axis.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        names = [shown(key) for key in keys]
        listed = [by_label[name] for name in names]
        figure.legend(listed, names, loc="outside upper center", ncols=3, handletextpad=0.2)
    return figure
