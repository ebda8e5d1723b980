"""The verdict (E13): the estimate of every subspace; and what estimates of a size meant in planted cases (E14)."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
from subspace_illusion.report.verdict import NO_SHARE, was_asked
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, Limits

LOOKS = {FAITHFUL: ("o", BLUE), INCONCLUSIVE: ("D", GREY), ILLUSORY: ("s", ORANGE)}
"""Marker and colour of a verdict."""
MODEL_LOOKS = (("^", GREEN), ("v", PURPLE), ("<", VERMILION), (">", SKY))
"""Markers and colours of models, one after the other."""
NO_ESTIMATE = "no interval: too little planted in such places"
_ZONE = 0.13
"""How dark the zones of the verdicts are."""


def verdict_figure(verdicts: pd.DataFrame, limits: Limits = LIMITS) -> Figure:
    """The estimated mediated share of every subspace in its prediction interval.

    Args:
        verdicts: As ``verdict_table`` gives them.
        limits: Where the share speaks.
    """
    lines = {
        str(component): [f"{shown(SubspaceKey.read(row.subspace))}: {row.verdict}" for row in rows.itertuples()]
        for component, rows in verdicts.groupby("component", sort=False)
    }
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.8, 0.21 * (len(verdicts) + len(lines)) + 0.9))
        _zones(axis, limits)
        _judged(axis, verdicts.sort_values("component", key=lambda x: x.map(list(lines).index), kind="stable"), lines)
        axis.set_xlim(-0.02, 1.02)
        axis.set_xlabel("mediated share, estimated")
        figure.legend(
            handles=[_handle(marker, colour, words) for words, (marker, colour) in LOOKS.items()],
            loc="outside upper center", ncols=3, handletextpad=0.1,
        )  # fmt: skip
    return figure


def planted_figure(calibration: Calibration, limits: Limits = LIMITS) -> Figure:
    """The estimate of planted cases against their true mediated share.

    Args:
        calibration: What the planted cases say.
        limits: Where the share speaks.
    """
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(6.8, 3.6))
        _zones(axis, limits)
        figure.legend(handles=_planted(axis, calibration), loc="outside lower center", ncols=4, handletextpad=0.1)
    return figure


def _zones(axis: Any, limits: Limits) -> None:
    """Where estimates are called illusory, and where faithful."""
    axis.axvspan(-0.02, limits.illusory_up_to, color=LOOKS[ILLUSORY][1], alpha=_ZONE, lw=0)
    axis.axvspan(limits.faithful_from, 1.02, color=LOOKS[FAITHFUL][1], alpha=_ZONE, lw=0)


def _judged(axis: Any, verdicts: pd.DataFrame, lines: dict[str, list[str]]) -> None:
    """The estimates, a row a subspace, under their components."""
    for place, (_, row) in zip(grouped_rows(axis, lines), verdicts.iterrows(), strict=True):
        marker, colour = LOOKS[row["verdict"]]
        asked = was_asked(str(row["reason"]))
        if not asked or np.isnan(row["share_lo"]):
            words = NO_ESTIMATE if asked else NO_SHARE
            axis.text(0.5, place, words, ha="center", va="center", fontsize=8, color="#555555")
        else:
            dots(axis, [place], pd.DataFrame([row]), "share", fmt=marker, color=colour)


def _planted(axis: Any, calibration: Calibration) -> list[Line2D]:
    """The planted cases, model by model; what the legend has of them."""
    handles = [Line2D([], [], color="black", lw=0.6, ls=":", label="the estimate is right")]
    axis.plot([0, 1], [0, 1], ":", color="black", lw=0.6)
    by_model = calibration.planted.cases.groupby("model", sort=False)
    for (model, cases), (marker, colour) in zip(by_model, cycle(MODEL_LOOKS), strict=False):
        axis.plot(cases["estimate"], cases["truth"], marker, color=colour, ms=2.5, mew=0, alpha=0.5)
        handles.append(_handle(marker, colour, f"{model}: {len(cases)} planted cases"))
    axis.set_xlim(-0.02, 1.02)
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlabel("mediated share, estimated")
    axis.set_ylabel("mediated share of\nplanted cases")
    return handles


def _handle(marker: str, colour: str, words: str) -> Line2D:
    return Line2D([], [], ls="", marker=marker, color=colour, mec="black", mew=0.3, ms=5, label=words)
