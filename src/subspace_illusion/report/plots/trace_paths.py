"""Through which heads a patch travels (E3 b): single heads, and what groups of them carry."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.experiments.trace_paths import PATCH
from subspace_illusion.measures.find_readers import CLASSES, OTHER
from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, PURPLE, SKY, STYLE, dots, grouped_rows, plt
from subspace_illusion.subspace.keys import POOLED

RUNS = {
    "clean": ("without the patch", dict(fmt="o", color=BLUE, ms=6)),
    "patched": ("patched", dict(fmt="s", color=ORANGE, ms=4)),
}
"""Runs in which heads are attributed: what they are called and how they look, sized to show another behind."""


def trace_paths_figure(groups: pd.DataFrame, heads: pd.DataFrame, name: str, more: int = 4) -> Figure:
    """Direct attribution of the heads that matter and what each does alone; below, what groups of heads carry.

    Args:
        groups: Columns ``seed, group, heads, share_of_patch`` with its interval. Bars are the rows that pool the seeds,
            dots the single seeds.
        heads: Columns ``head, reader, role, attribution_clean, attribution_patched, effect`` with intervals. All that
            have a class or a role are shown.
        name: The component that is patched.
        more: Number of heads without either that are shown: those with the largest attribution or effect.
    """
    named = (heads["reader"] != OTHER) | (heads["role"] != OTHER)
    sizes = heads[["attribution_clean", "attribution_patched", "effect"]].abs().max(axis=1)
    others = heads.loc[sizes[~named].sort_values(ascending=False).index[:more]]
    by_class = {kind: heads[named & (heads["reader"] == kind)] for kind in CLASSES}
    headings = {kind: f"{kind}s" for kind in CLASSES} | {OTHER: "movers that do not read"}
    kinds = {headings[kind]: rows for kind, rows in by_class.items()} | {"other heads": others}
    kinds = {kind: rows.sort_values("attribution_clean", ascending=False) for kind, rows in kinds.items() if len(rows)}
    shown = pd.concat(kinds.values())
    pooled = groups[(groups["seed"] == POOLED) & (groups["group"] != PATCH)].reset_index(drop=True)
    upper, lower = 0.17 * (len(shown) + len(kinds)) + 0.7, 0.25 * len(pooled) + 0.6
    with plt.rc_context(STYLE):
        figure, axes = plt.subplot_mosaic(
            [["heads", "alone"], ["groups", "groups"]], figsize=(7, upper + lower + 0.6), height_ratios=[upper, lower]
        )
        left, right, below = axes["heads"], axes["alone"], axes["groups"]
        right.sharey(left)
        lines = {kind: [_label(row) for row in rows.to_dict("records")] for kind, rows in kinds.items()}
        places = grouped_rows(left, lines)
        ends = shown[[f"attribution_{run}" for run in RUNS]]
        left.hlines(places, ends.min(axis=1), ends.max(axis=1), color=GREY, lw=0.8, zorder=1)
        for run, (label, look) in RUNS.items():
            dots(left, places, shown, f"attribution_{run}", label=label, **look)
        left.set_xlabel("direct attribution\n(part of the logit difference)")
        dots(right, places, shown, "effect", fmt="D", color=PURPLE)
        right.set_xlabel("effect of the head alone\n(logit difference lost)")
        right.tick_params(axis="y", labelleft=False)
        left.set_title(f"{name} patched", loc="left")
        _carried(below, groups, pooled)
        for axis in (left, right, below):
            axis.axvline(0, color="black", lw=0.6, zorder=0)
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, handletextpad=0.2)
    return figure


def _label(row: dict) -> str:
    """A head, with its role where it has one."""
    return row["head"] if row["role"] == OTHER else f"{row['role']} {row['head']}"


def _carried(axis: plt.Axes, groups: pd.DataFrame, pooled: pd.DataFrame) -> None:
    """The share of the patch that groups of heads carry."""
    axis.barh(pooled.index, pooled["share_of_patch"], 0.6, color=SKY, edgecolor="black", lw=0.4)
    dots(axis, pooled.index, pooled, "share_of_patch", fmt="none", ecolor="black")
    for place, group in pooled["group"].items():
        single = groups.loc[(groups["seed"] != POOLED) & (groups["group"] == group), "share_of_patch"]
        axis.plot(single, [place] * len(single), "o", ms=2.5, mfc="white", mec="black", mew=0.5)
    axis.axvline(1, color="black", lw=0.8, ls="--")
    axis.set_yticks(pooled.index, [f"{group} ({n})" for group, n in zip(pooled["group"], pooled["heads"], strict=True)])
    axis.set_ylim(len(pooled) - 0.5, -0.5)
    axis.set_xlabel("share of the patch's effect (dashed: the patch itself; dots: single seeds)")
