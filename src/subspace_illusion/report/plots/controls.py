"""Controls (E12): what patching and training do where there is nothing to find, beside the trained subspace."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.measures.controls import (
    DIFFERENT_ONLY,
    ON_ARBITRARY,
    PLACEBO,
    RANDOM_DIRECTION,
    RANDOM_MODEL,
    RANDOM_MODEL_WHOLE,
    SAME_VALUE,
    SELF,
    UNRELATED,
    of_user,
)
from subspace_illusion.report.plots.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, STYLE, dots, grouped_rows, plt
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import TRAINED, USER_MARK, SubspaceKey

RANDOM_WEIGHTS, OWN_SUBSPACES = "random weights", "own subspaces"
GROUPS = {
    "trained subspace": (
        {TRAINED: "different value", UNRELATED: "unrelated words", DIFFERENT_ONLY: "no pairs of one value"},
        "o",
        BLUE,
    ),
    OWN_SUBSPACES: ({}, "P", SKY),
    "nothing to change": ({SAME_VALUE: "same value", SELF: "from itself, by algebra"}, "v", GREY),
    "other directions": ({RANDOM_DIRECTION: "random", PLACEBO: "random, norm-matched"}, "^", GREEN),
    "trained on noise": ({ON_ARBITRARY: "arbitrary labels"}, "s", ORANGE),
    RANDOM_WEIGHTS: ({RANDOM_MODEL: "trained subspace", RANDOM_MODEL_WHOLE: "whole residual"}, "D", PURPLE),
}
"""What is shown, by heading: labels of the controls, marker and colour."""


def own_controls(names: Sequence[str]) -> dict[str, str]:
    """The user's own subspaces among the names of controls, and what was tried with each, with labels."""
    labels: dict[str, str] = {}
    for key in [SubspaceKey.read(name) for name in names if name.startswith(USER_MARK)]:
        name = shown(key)
        tried = {key.subspace: name, of_user(SAME_VALUE, key): f"{name}: same value"}
        tried[of_user(PLACEBO, key)] = f"{name}: placebo"
        labels |= {control: label for control, label in tried.items() if control in names}
    return labels


def controls_figure(controls: pd.DataFrame, name: str) -> Figure:
    """Effect of every control, the trained subspace on top for scale, and how well training went where there was any.

    Args:
        controls: Columns ``control, effect, effect_lo, effect_hi``, ``effect_min`` and ``effect_max`` (the range of
            single draws), ``train_accuracy_change, train_accuracy_keep``, and ``ld_clean_sd``, which is shown for
            another model; controls that are missing are left out.
        name: The component.
    """
    by_control = controls.set_index("control")
    groups = {}
    for heading, (labels, marker, colour) in GROUPS.items():
        labels = own_controls(controls["control"].tolist()) if heading == OWN_SUBSPACES else labels
        if kept := {control: label for control, label in labels.items() if control in by_control.index}:
            groups[heading] = (kept, marker, colour)
    with plt.rc_context(STYLE):
        size = (5.8, 0.2 * (len(groups) + sum(len(labels) for labels, *_ in groups.values())) + 1.2)
        figure, (left, right) = plt.subplots(1, 2, figsize=size, sharey=True, width_ratios=[3, 1.6])
        places = iter(grouped_rows(left, {heading: list(labels.values()) for heading, (labels, *_) in groups.items()}))
        for heading, (labels, marker, colour) in groups.items():
            at = [next(places) for _ in labels]
            rows = by_control.loc[list(labels)]
            if "effect_min" in rows:
                for place, ends in zip(at, rows[["effect_min", "effect_max"]].to_numpy(float), strict=True):
                    left.plot(ends, [place, place], color=colour, lw=5, alpha=0.3, solid_capstyle="butt", zorder=1)
            dots(left, at, rows, "effect", fmt=marker, color=colour)
            for kind, fill in (("change", colour), ("keep", "white")):
                values = rows[f"train_accuracy_{kind}"].to_numpy(float)
                right.plot(values, at, marker, color=fill, mec="black" if kind == "change" else colour, mew=0.8, ms=5)
            if heading == RANDOM_WEIGHTS:
                scale = f"its logit differences: s.d. {rows['ld_clean_sd'].iloc[0]:.2g}"
                left.text(
                    1, at[0] - 1, scale, transform=left.get_yaxis_transform(), ha="right", va="center", fontsize=8
                )
        left.axvline(0, color="black", lw=0.6, zorder=0)
        left.set_xlabel("effect (logit difference lost);\nwide bars: range of single draws")
        left.set_title(name)
        right.set_xlabel("training pairs that gave\ntheir target: to change\n(filled), to keep (white)")
        right.set_xlim(-0.06, 1.06)
        right.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        for axis in (left, right):
            axis.grid(axis="x", lw=0.3)
            axis.tick_params(axis="y", length=0)
    return figure
