"""Is the subspace the model's own (E3): heads that carry the patch, parts that they see, names in the projection."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.experiments.readers import NAME_MOVER, OTHER, ROLES
from subspace_illusion.experiments.splits import DAS, GRADIENT, MEAN, SEEN, UNSEEN, WHOLE
from subspace_illusion.report.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    dots,
    grouped_rows,
    panels,
    plt,
)

RUNS = {
    "clean": ("clean", dict(marker="o", color=BLUE, s=42)),
    "source": ("the source's clean run", dict(marker="^", color=GREEN, s=24)),
    "patched": ("patched", dict(marker="s", color=ORANGE, s=15)),
}
"""Runs in which heads are attributed: what they are called and how they look, sized to show another behind."""


def heads_figure(heads: pd.DataFrame, name: str, most: int = 12) -> Figure:
    """Direct attribution of the heads that matter in three runs, and what each does alone when patched.

    All name movers are shown, and of the others those with the largest attribution or effect.

    Args:
        heads: Columns ``head, role, attribution_clean, attribution_patched, attribution_source, effect, effect_lo,
            effect_hi``.
        name: The component that is patched.
        most: Number of heads, unless there are more name movers.
    """
    sizes = heads[["attribution_clean", "attribution_patched", "effect"]].abs()
    weight = (sizes / sizes.max().replace(0, 1)).max(axis=1) + (heads["role"] == NAME_MOVER)
    most = max(most, int((heads["role"] == NAME_MOVER).sum()))
    chosen = heads.loc[weight.sort_values(ascending=False).index[:most]]
    chosen = chosen.sort_values("attribution_clean", ascending=False)
    by_role = {role: chosen[chosen["role"] == role] for role in ROLES if role in set(chosen["role"])}
    shown = pd.concat(by_role.values())
    lines = {f"{role}s" if role != OTHER else "other heads": list(of["head"]) for role, of in by_role.items()}
    with plt.rc_context(STYLE):
        size = (5.8, 0.185 * (len(shown) + len(lines)) + 1.5)
        figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True)
        places = grouped_rows(left, lines)
        runs = shown[[f"attribution_{run}" for run in RUNS]]
        left.hlines(places, runs.min(axis=1), runs.max(axis=1), color=GREY, lw=0.8, zorder=1)
        for run, (label, look) in RUNS.items():
            left.scatter(shown[f"attribution_{run}"], places, edgecolor="black", lw=0.4, label=label, **look)
        left.set_xlabel("direct attribution\n(part of the logit difference)")
        dots(right, places, shown, "effect", fmt="D", color=PURPLE)
        right.set_xlabel("effect of the head alone\n(logit difference lost)")
        left.set_title(f"{name} patched", loc="left")
        for axis in (left, right):
            axis.axvline(0, color="black", lw=0.6, zorder=0)
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=3, handletextpad=0.2)
    return figure


def paths_figure(paths: Mapping[str, pd.DataFrame], names: list[str]) -> Figure:
    """Share of a patch's effect that some heads carry when only they are taken from the patched run.

    Args:
        paths: By component, columns ``group, heads, effect, share_of_patch, share_of_patch_lo, share_of_patch_hi``; the
            last row is the patch itself.
        names: The components to show, in order.
    """
    colours = (BLUE, ORANGE, GREY)
    with panels(len(names), 2.1, 1.9, most=2, sharex=True, sharey=True) as (figure, axes):
        for axis, name in zip(axes, names, strict=True):
            groups, patch = paths[name].iloc[:-1], paths[name].iloc[-1]
            for place, row in enumerate(groups.to_dict("records")):
                axis.barh(place, row["share_of_patch"], 0.5, color=colours[place % 3], edgecolor="black", lw=0.4)
                heads = f"{row['heads']} head{'' if row['heads'] == 1 else 's'}"
                axis.text(0.02, place - 0.43, heads, fontsize=8, color="#555555", va="center")
            dots(axis, range(len(groups)), groups, "share_of_patch", fmt="none", ecolor="black")
            axis.axvline(0, color="black", lw=0.6)
            axis.axvline(1, color="black", lw=0.8, ls="--")
            axis.set_yticks(range(len(groups)), [group.replace(" and ", "\nand ") for group in groups["group"]])
            axis.tick_params(axis="y", length=0)
            axis.grid(axis="x", lw=0.3)
            axis.set_title(f"{name}: effect {patch['effect']:.2f}")
        axes[0].set_ylim(len(groups) - 0.6, -0.65)
        figure.supxlabel("share of the patch's effect (dashed: the patch itself)", fontsize=9)
    return figure


def splits_figure(splits: pd.DataFrame) -> Figure:
    """Directions of the residual stream patched whole and by what the name movers' queries see of them.

    Args:
        splits: Columns ``subspace, part, norm, chance_norm, ld_clean, effect, effect_lo, effect_hi``.
    """
    looks = {WHOLE: ("o", BLUE), SEEN: ("s", ORANGE), UNSEEN: ("^", GREEN)}
    ways = {way: splits[splits["subspace"] == way] for way in (DAS, GRADIENT, MEAN) if way in set(splits["subspace"])}
    shown = pd.concat(ways.values())
    with plt.rc_context(STYLE):
        size = (5.8, 0.2 * (len(shown) + len(ways)) + 1.2)
        figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=[3, 2])
        places = grouped_rows(left, {f"{way} direction": list(of["part"]) for way, of in ways.items()})
        for part, (marker, colour) in looks.items():
            of_part = (shown["part"] == part).to_numpy()
            dots(left, places[of_part], shown[of_part], "effect", fmt=marker, color=colour)
            right.plot(shown.loc[of_part, "norm"], places[of_part], marker, color=colour, mec="black", mew=0.4, ms=5)
        chance = right.scatter(shown["chance_norm"], places, marker="|", s=70, color="black", label="random direction")
        clean = left.axvline(shown["ld_clean"].iloc[0], color="black", lw=0.8, ls="--", label="clean logit difference")
        left.axvline(0, color="black", lw=0.6, zorder=0)
        left.set_xlabel("effect (logit difference lost)")
        right.set_xlabel("norm of the part")
        right.set_xlim(-0.05, 1.08)
        for axis in (left, right):
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
        figure.legend(handles=[clean, chance], loc="outside upper right", ncols=2)
    return figure


def probe_figure(probe: pd.DataFrame) -> Figure:
    """How well the names can be told from the projection on a subspace and from the whole component.

    Args:
        probe: Columns ``what, name, accuracy, chance, p``.
    """
    colours = {"projection": BLUE, "whole component": ORANGE}
    groups = {what: list(rows["name"]) for what, rows in probe.groupby("what", sort=False)}
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(4.6, 0.24 * (len(probe) + len(groups)) + 1.1))
        shown = pd.concat([probe[probe["what"] == what] for what in groups])
        places = grouped_rows(axis, groups)
        axis.barh(
            places, shown["accuracy"], 0.62, color=[colours.get(what, GREY) for what in shown["what"]],
            edgecolor="black", lw=0.4,
        )  # fmt: skip
        axis.plot(shown["chance"], places, "|", color="black", ms=13, mew=2, label="chance (names shuffled)")
        for place, row in zip(places, shown.to_dict("records"), strict=True):
            end = max(row["accuracy"], row["chance"])
            words = f"{row['accuracy']:.3f}, p = {row['p']:.3f}"
            axis.annotate(words, (end, place), (6, 0), textcoords="offset points", va="center", fontsize=8)
        axis.set_xlim(0, 1.5 * max(shown["accuracy"].max(), shown["chance"].max(), 0.02))
        axis.set_xlabel("share of held-out prompts whose name is told")
        axis.grid(axis="x", lw=0.3)
        figure.legend(loc="outside upper right")
    return figure
