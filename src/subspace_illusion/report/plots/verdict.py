"""The verdict (E13): the score of every subspace, and what scores of that size meant in planted cases (E14)."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.report.plots.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    STYLE,
    VERMILION,
    dots,
    grouped_rows,
    plt,
)
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import OFF_ROUTE, TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import FAITHFUL_DOSE, ILLUSORY_DOSE, Calibration, sweep
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE
from subspace_illusion.verdict.sub_scores import SUB_SCORES, named

LOOKS = {FAITHFUL: ("o", BLUE), INCONCLUSIVE: ("D", GREY), ILLUSORY: ("s", ORANGE)}
"""Marker and colour of a verdict."""
SUB_SCORE_LOOKS = dict(zip(SUB_SCORES, (("<", GREEN), (">", PURPLE), ("^", SKY), ("v", VERMILION)), strict=True))
"""Marker and colour of a sub-score."""


def verdict_figure(verdicts: pd.DataFrame, calibration: Calibration) -> Figure:
    """Above, the score of every subspace between its thresholds; below, on the same axis, planted cases by their dose.

    Args:
        verdicts: As ``verdict_table`` gives them.
        calibration: What the planted cases say.
    """
    lines: dict[str, dict[str, str]] = {}
    for row in verdicts.to_dict("records"):
        words = f"{shown(SubspaceKey.read(row['subspace']))}: {row['verdict']}"
        lines.setdefault(row["component"], {})[row["subspace"]] = words
    rows = len(verdicts) + len(lines)
    with plt.rc_context(STYLE):
        figure, (above, below) = plt.subplots(
            2, 1, figsize=(6.8, 0.21 * rows + 3.6), sharex=True, height_ratios=[0.21 * rows + 0.3, 2.2]
        )
        places = grouped_rows(above, {component: list(words.values()) for component, words in lines.items()})
        order = verdicts.set_index(["component", "subspace"])
        rows_of = [(component, subspace) for component, words in lines.items() for subspace in words]
        for which, place in zip(rows_of, places, strict=True):
            row = order.loc[[which]]
            marker, colour = LOOKS[row["verdict"].iloc[0]]
            for side, start, end in ((FAITHFUL, 0, "faithful_up_to"), (ILLUSORY, "illusory_from", 1)):
                ends = [float(row[x].iloc[0]) if isinstance(x, str) else float(x) for x in (start, end)]
                if not np.isnan(ends).any():
                    above.barh(place, ends[1] - ends[0], left=ends[0], height=0.9, color=LOOKS[side][1], alpha=0.13)
            if np.isnan(row["score"].iloc[0]):
                above.text(0.5, place, "too few figures apply", ha="center", va="center", fontsize=8, color="#555555")
            for name, (small, tint) in SUB_SCORE_LOOKS.items():
                above.plot(row[name], [place], small, ms=3.5, color=tint, alpha=0.8, mew=0)
            dots(above, [place], row.astype({"score": float}), "score", fmt=marker, color=colour, zorder=3)
        handles = [_handle(marker, colour, words, 5) for words, (marker, colour) in LOOKS.items()]
        handles += [_handle(marker, colour, words, 4) for words, (marker, colour) in SUB_SCORE_LOOKS.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=7, handletextpad=0.1, columnspacing=1)
        _planted(below, calibration)
    return figure


def _planted(axis: Any, calibration: Calibration) -> None:
    """Scores of the planted cases that move the answer, by dose."""
    cases = calibration.cases[calibration.cases["counted"].astype(bool)]
    jitter = numpy_generator(0, "jitter").uniform(-0.05, 0.05, len(cases))
    looks = (("DAS", TRAINED, "o", GREY), ("DAS off the route: illusory at any dose", OFF_ROUTE, "s", ORANGE))
    rest = np.ones(len(cases), dtype=bool)
    for words, method, marker, colour in looks:
        here = (cases["way"] == method).to_numpy()
        rest &= ~here
        axis.plot(
            cases["score"][here], cases["dose"][here] + jitter[here], marker, color=colour, ms=3, alpha=0.6, label=words
        )
    axis.plot(cases["score"][rest], cases["dose"][rest] + jitter[rest], "x", color="black", ms=3, label="other ways")
    axis.axhspan(-0.1, ILLUSORY_DOSE + 0.1, color=ORANGE, alpha=0.13, lw=0)
    axis.axhspan(FAITHFUL_DOSE - 0.1, 1.1, color=BLUE, alpha=0.13, lw=0)
    axis.set_ylim(1.1, -0.1)
    axis.set_xlim(-0.02, 1.02)
    axis.set_yticks(sorted(set(cases["dose"])))
    axis.set_ylabel("dose planted")
    axis.set_xlabel("illusion score")
    axis.set_title(f"planted cases in {calibration.about['model']}: what a score of this size meant", fontsize=9)
    axis.legend(loc="center right")


def sweep_figure(verdicts: pd.DataFrame, calibration: Calibration) -> Figure:
    """The share of planted cases on the wrong side of a threshold wherever it stands, above this run's scores.

    Args:
        verdicts: Those with an effect, as ``verdict_table`` gives them.
        calibration: What the planted cases say.
    """
    cases = calibration.cases[calibration.cases["counted"].astype(bool)]
    cuts = np.linspace(0, 1, 201)
    wrong = sweep(cases, cuts)
    with plt.rc_context(STYLE):
        figure, (above, below) = plt.subplots(2, 1, figsize=(6.8, 4), sharex=True, height_ratios=[2, 1])
        above.plot(cuts, wrong["illusory_below"], color=ORANGE, label="illusory cases below the threshold")
        above.plot(cuts, wrong["faithful_above"], color=BLUE, label="faithful cases above the threshold")
        limits = calibration.thresholds[named(SUB_SCORES)]
        for axis in (above, below):
            axis.axvline(limits.faithful, color=BLUE, lw=0.8, ls="--")
            axis.axvline(limits.illusory, color=ORANGE, lw=0.8, ls="--")
        above.set_ylabel("share of planted cases")
        above.legend()
        judged = verdicts[verdicts["score"].notna()]
        below.plot(cuts, [(judged["score_lo"] >= cut).sum() for cut in cuts], color=ORANGE, label=ILLUSORY)
        below.plot(cuts, [(judged["score_hi"] < cut).sum() for cut in cuts], color=BLUE, label=FAITHFUL)
        below.set_ylabel("subspaces here")
        below.set_xlabel("threshold of the score")
        below.legend()
    return figure


def _handle(marker: str, colour: str, words: str, size: float) -> Line2D:
    return Line2D([], [], ls="", marker=marker, color=colour, mec="black", mew=0.3, ms=size, label=words)
