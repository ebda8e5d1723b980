"""E14: how often the score is right in planted cases, in words and tables."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from subspace_illusion.report.section import Grid
from subspace_illusion.report.words import fixed, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.verdict.calibration import EXCHANGED, HALF, SCORE, TRAINED_ALONE, Calibration
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE


def in_words(calibration: Calibration) -> str:
    """How often the score is right in planted cases, in a few sentences."""
    about, cases = calibration.about, calibration.cases
    counted = cases[cases["counted"].astype(bool)]
    rows = {truth: calibration.measured.loc[truth] for truth in (ILLUSORY, FAITHFUL)}
    area = calibration.areas.set_index("evidence").loc[SCORE]
    return (
        f"What that is worth was measured on {len(cases)} planted cases in {about['model']} ({about['tasks']}): a "
        "component is made to carry the signal to a known dose, without changing anything that the model computes, and "
        f"directions are found in it in several ways. {len(counted)} of the cases move the answer as the variable "
        "would, by at least a third of what patching the whole residual stream does. Illusory are those at a dose up "
        f"to 0.2, and those that have no part in what is carried ({_methods(counted, 1)}); faithful are the others "
        f"from a dose of 0.8 on ({_methods(counted, 0)}). Thresholds were set on half of the blocks and measured on "
        f"the other half. There, {_said(rows[ILLUSORY], ILLUSORY, FAITHFUL)}; "
        f"{_said(rows[FAITHFUL], FAITHFUL, ILLUSORY)}; "
        f"the others are {INCONCLUSIVE}. {_of_parts(calibration)}The area under the ROC is {fixed(area['auc'])}"
        f"{_interval(area)}. Blocks are the unit: "
        f"{_room(rows[ILLUSORY], ILLUSORY)} and {_room(rows[FAITHFUL], FAITHFUL)}."
    )


def _of_parts(calibration: Calibration) -> str:
    """What is called of illusory cases in the model's own MLPs and of trained directions alone, each its sentence."""
    text = ""
    if (own := calibration.measured_on(f"{HALF}, MLP", ILLUSORY)) is not None:
        text += (
            f"Of the {ILLUSORY} ones {int(own['cases'])} are in the model's own MLPs, and {_share(own, ILLUSORY)} of "
            f"these are called {ILLUSORY}. "
        )
    if (trained := calibration.measured_on(f"{HALF}, {TRAINED_ALONE}", FAITHFUL)) is not None:
        text += (
            f"Of the {FAITHFUL} ones {int(trained['cases'])} are trained directions, and "
            f"{_share(trained, FAITHFUL)} of these are called {FAITHFUL}"
        )
        if (exchanged := calibration.measured_on(f"{EXCHANGED}, {TRAINED_ALONE}", FAITHFUL)) is not None:
            text += (
                f" (with the halves exchanged {_share(exchanged, FAITHFUL)} of {int(exchanged['cases'])}, and "
                f"{_share(exchanged, ILLUSORY)} {ILLUSORY})"
            )
        text += (
            ". The others could hardly fail, by algebra: to first order a mean difference, or a probe close to it, "
            "loses nothing without its null part and does what the whole component does, and a gradient has no null "
            "part, so that nothing is lent or lost. "
        )
    return text


def _methods(counted: pd.DataFrame, truth: int) -> str:
    """How many cases of a truth there are, by the way of finding the direction."""
    methods = counted.loc[counted["truth"] == truth, "way"].value_counts()
    return ", ".join(f"{number} {method}" for method, number in methods.items()) or "none"


def _said(row: pd.Series, right: str, wrong: str) -> str:
    return (
        f"of {int(row['cases'])} {right} cases in {_blocks(row)} {_share(row, right)} are called {right} "
        f"and {_share(row, wrong)} {wrong}"
    )


def _room(row: pd.Series, truth: str) -> str:
    bad = int(row["groups_wrong"])
    return (
        f"{bad or 'none'} of {_blocks(row)} has a case that is {truth} and called the other, which leaves room "
        f"for up to {_share(row, 'wrong_groups_most')} of such blocks"
    )


def _blocks(row: pd.Series) -> str:
    number = int(row["groups"])
    return f"{number} block{'s' if number > 1 else ''}"


def _interval(row: pd.Series) -> str:
    """The interval of an area, or what stands for it where no case of either truth overlaps with the other."""
    if row["auc"] == 1:
        return " (no case of the one truth scores like one of the other)"
    return f" [{fixed(row['auc_lo'])}, {fixed(row['auc_hi'])}]"


def _share(row: pd.Series, name: str) -> str:
    return f"{float(row[name]):.0%}"


def confusion_grid(calibration: Calibration) -> Grid:
    """What planted cases are called, on the measuring half and in the other ways that were looked at."""
    rows = []
    for row in calibration.confusions.to_dict("records"):
        calls = [_share(pd.Series(row), call) for call in (FAITHFUL, INCONCLUSIVE, ILLUSORY)]
        most = row.get("wrong_groups_most")
        bound = "" if most is None or pd.isna(most) else f"{int(row['groups_wrong'])} (room for {most:.0%})"
        rows.append([row["measured_on"], row["truth"], str(int(row["cases"])), str(int(row["groups"])), *calls, bound])
    header = ["measured on", "planted", "cases", "blocks", f"called {FAITHFUL}", INCONCLUSIVE, ILLUSORY]
    return Grid([*header, "blocks with a case called the other"], rows)


def natural_grid(calibration: Calibration) -> Grid:
    """Components as the model has them, whose truth nobody knows: effects and score of what was found in each."""
    rows = []
    for row in calibration.natural.to_dict("records"):
        figures = [_in_interval(row, name) for name in ("whole_fldd", "fldd", "score")]
        rows.append([row["task"], row["component"], row["subspace"], *figures, row["called"]])
    header = ["task", "component", "subspace", "effect, whole component", "effect, subspace", SCORE, "called"]
    return Grid(header, rows)


def _in_interval(row: Mapping[str, Any], name: str) -> str:
    """A figure of a row with its interval; nothing where it has none."""
    estimate = Estimate.of(row, name)
    return "" if estimate is None else with_ends(estimate)


def areas_grid(calibration: Calibration) -> Grid:
    """The area of the score, its sub-scores and the evidence in common use, and what each would have let pass."""
    rows = []
    for row in calibration.areas.to_dict("records"):
        area = "" if pd.isna(row["auc"]) else f"{fixed(row['auc'])} [{fixed(row['auc_lo'])}, {fixed(row['auc_hi'])}]"
        there = "" if pd.isna(row["score_auc"]) else fixed(row["score_auc"])
        shares = [row.get(f"{truth}_passed") for truth in (ILLUSORY, FAITHFUL)]
        passed = ["" if share is None or pd.isna(share) else f"{share:.0%}" for share in shares]
        rows.append([row["evidence"].replace("_", " "), row["words"], str(int(row["cases"])), area, there, *passed])
    header = ["evidence", "what it is", "cases", "area", "the score's on them", f"{ILLUSORY} cases that pass"]
    return Grid([*header, f"{FAITHFUL} cases that pass"], rows)
