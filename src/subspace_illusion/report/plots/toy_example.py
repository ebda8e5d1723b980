"""The geometry of the abstract example (E0)."""

import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.experiments.toy_example import SUM
from subspace_illusion.report.plots.style import BLUE, GREY, ORANGE, STYLE, plt


def toy_example_figure(patches: pd.DataFrame) -> Figure:
    """The plane of the irrelevant and the dormant unit, where patching e2 + e3 leaves the data.

    Args:
        patches: Columns ``direction, patch, hidden_before, hidden_after, output_before, output_after``.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(4.5, 4.4))
        axis.axline((0, 0), slope=1, color=GREY, lw=1)
        axis.axline((0, 0), slope=-1, color=GREY, lw=1, ls="--")
        axis.text(1.07, 1.23, "$v$ = (e2 + e3)/√2", rotation=45, ha="center", va="center", fontsize=9)
        axis.text(-1.23, 1.4, "$v^⊥$", ha="center", va="center", fontsize=9)
        for row in patches[patches["direction"] == SUM].to_dict("records"):
            base, end = row["hidden_before"][1:], row["hidden_after"][1:]
            source = [-x for x in base]
            axis.plot(*zip(source, end, strict=True), color=GREY, lw=1, ls=":", zorder=1)
            axis.annotate("", end, base, arrowprops=dict(arrowstyle="-|>", color="black", lw=1.5, shrinkA=5, shrinkB=5))
            axis.plot(*base, "o", color=BLUE, ms=8)
            axis.plot(*end, "s", color=ORANGE, ms=8, mec="black", mew=0.5)
            right, up = base[0] > 0, end[1] > 0
            axis.annotate(
                f"$x$ = ${base[0]}$", base, (10 if right else -10, 0), textcoords="offset points", fontsize=9,
                ha="left" if right else "right", va="center", color=BLUE,
            )  # fmt: skip
            axis.annotate(
                f"{row['patch']}\noutput {row['output_before']} → {row['output_after']}", end,
                (0, 9 if up else -9), textcoords="offset points", fontsize=8, ha="center", va="bottom" if up else "top",
            )  # fmt: skip
        axis.set(xlim=(-1.75, 1.75), ylim=(-1.65, 1.65), aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1])
        axis.set_xlabel("e2: irrelevant (correlated, acausal)")
        axis.set_ylabel("e3: dormant (causal, never varies)")
        axis.set_title("A patch takes $v$ from the source, keeps $v^⊥$ of the base")
    return figure
