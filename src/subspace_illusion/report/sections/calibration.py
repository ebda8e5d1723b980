"""E14: how often the score is right in planted cases, in words and tables."""

import pandas as pd

from subspace_illusion.experiments.calibration import FAITHFUL, ILLUSORY, INCONCLUSIVE, SCORE, Calibration
from subspace_illusion.report.section import Grid
from subspace_illusion.report.words import fixed


def in_words(calibration: Calibration) -> str:
    """How often the score is right in planted cases, in a few sentences."""
    about, cases = calibration.about, calibration.cases
    measured = calibration.measured
    illusory, faithful = measured.loc[ILLUSORY], measured.loc[FAITHFUL]
    area = calibration.areas.set_index("evidence").loc[SCORE]
    return (
        f"What that is worth was measured on {len(cases)} planted cases in {about['model']} ({about['tasks']}): a "
        "component was made to carry the signal to a known dose, without changing anything that the model computes, "
        f"and directions were found in it in every way. {int(cases['counted'].sum())} of them move the answer as the "
        "variable itself would. Thresholds were set on one half of the components and measured on the other. There the "
        f"score tells doses up to 0.2 from doses of at least 0.8 with an area of {fixed(area['auc'])} "
        f"[{fixed(area['auc_lo'])}, {fixed(area['auc_hi'])}]: of {int(illusory['cases'])} cases of a component that "
        f"the signal does not go through, {_share(illusory, ILLUSORY)} are called illusory and "
        f"{_share(illusory, FAITHFUL)} faithful, of {int(faithful['cases'])} of one that it does go through "
        f"{_share(faithful, FAITHFUL)} are called faithful and {_share(faithful, ILLUSORY)} illusory; the others are "
        f"{INCONCLUSIVE}. The unit is the component: {int(illusory['groups'])} and {int(faithful['groups'])} of them, "
        f"so that with 95 % confidence at most {_share(illusory, 'wrong_groups_most')} and "
        f"{_share(faithful, 'wrong_groups_most')} of components would have a case called the other."
    )


def _share(row: pd.Series, name: str) -> str:
    return f"{float(row[name]):.0%}"


def confusion_grid(calibration: Calibration) -> Grid:
    """What planted cases are called, on the measuring half and in the other ways that were looked at."""
    rows = []
    for row in calibration.confusions.to_dict("records"):
        calls = [_share(pd.Series(row), call) if row["cases"] else "" for call in (FAITHFUL, INCONCLUSIVE, ILLUSORY)]
        most = row.get("wrong_groups_most")
        bound = "" if most is None or pd.isna(most) else f"{int(row['groups_wrong'])} (at most {most:.0%})"
        rows.append([row["measured_on"], row["truth"], str(int(row["cases"])), str(int(row["groups"])), *calls, bound])
    header = ["measured on", "planted", "cases", "components", f"called {FAITHFUL}", INCONCLUSIVE, ILLUSORY]
    return Grid([*header, "components with a case called the other"], rows)


def areas_grid(calibration: Calibration) -> Grid:
    """The area of the score, of its figures, and of the evidence in common use, and what that would have let pass."""
    rows = []
    for row in calibration.areas.to_dict("records"):
        area = f"{fixed(row['auc'])} [{fixed(row['auc_lo'])}, {fixed(row['auc_hi'])}]" if pd.notna(row["auc"]) else ""
        passed = row.get("let_pass")
        let = "" if passed is None or pd.isna(passed) else f"{passed:.0%} of {int(row['of_cases'])}"
        rows.append([row["evidence"].replace("_", " "), row["words"], str(int(row["cases"])), area, let])
    return Grid(["evidence", "what it is", "cases", "area", "dose 0 that it lets pass"], rows)
