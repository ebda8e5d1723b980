"""Thresholds and error rates from cases made by hand."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planted_made import cases
from subspace_illusion.errors import InputError
from subspace_illusion.report.sections.calibration import natural_grid
from subspace_illusion.verdict.calibration import (
    EXCHANGED,
    HALF,
    TOLERATED,
    TRAINED_ALONE,
    Calibration,
    areas,
    by_effect,
    calibrate,
    calls,
    curve,
    prepared,
    roc,
    set_thresholds,
    sub_score_sets,
    sweep,
)
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, Thresholds

LIMITS = {"lent+lost+apart+off": Thresholds(0.35, 0.5)}
ABOUT = dict(model="tiny", size="quick", tasks="ioi")


def natural() -> pd.DataFrame:
    """Two natural cases: one with all sub-scores, one with too few."""
    whole = dict(whole_fldd=0.5, whole_fldd_lo=0.4, whole_fldd_hi=0.6)
    about = [
        dict(task="ioi", component="blocks.1.mlp.hook_post", figures="lent+lost+apart+off", score=0.1, score_lo=0.05),
        dict(task="ioi", component="blocks.1.hook_resid_post", figures="apart", score=np.nan, score_lo=np.nan),
    ]
    effect = dict(fldd=0.5, fldd_lo=0.4, fldd_hi=0.6)
    return pd.DataFrame([dict(subspace="trained", score_hi=of["score"]) | of | effect | whole for of in about])


def test_what_is_asked_of_a_case():
    of = prepared(cases(), 0.1)
    assert of.groupby("group")["setting"].nunique().max() == 1  # a component is in one half alone
    assert of.loc[of["setting"], "group"].nunique() == 4
    assert set(of.loc[of["setting"], "task"]) == {"agreement", "ioi"}
    assert (of["truth"].isna() == (of["dose"] == 0.5)).all()
    assert not of.loc[of["way"] == "random", "judged"].any()
    assert (of.loc[of["way"] == "off the route", "truth"] == 1).all()
    carries = cases()
    carries.loc[(carries["block"] == 0) & (carries["dose"] == 0), "whole_fldd"] = 0.5
    by_itself = prepared(carries, 0.1)
    assert not (by_itself.loc[by_itself["block"] == 0, "truth"] == 1).any()
    assert (by_itself.loc[by_itself["block"] == 1, "truth"] == 1).any()
    weak = of[(of["way"] == "probe") & (of["dose"] == 0)]  # beyond the smallest, below a third of the variable's
    assert weak["judged"].all()
    assert not weak["counted"].any()


def test_what_lies_between_the_truths_is_neither():
    truth = np.array([1, 1, 0, 0])
    assert set_thresholds(np.array([0.8, 0.6, 0.2, 0.1]), truth) == Thresholds(
        pytest.approx(np.quantile([0.1, 0.2], 0.95)), pytest.approx(np.quantile([0.6, 0.8], 0.05))
    )
    with pytest.raises(InputError, match="all of one truth"):
        set_thresholds(np.array([0.1, 0.2]), np.array([0, 0]))


@given(st.lists(st.floats(0, 1), min_size=20, max_size=60), st.lists(st.floats(0, 1), min_size=20, max_size=60))
def test_thresholds_call_few_of_either_truth_the_other(illusory, faithful):
    scores, truth = np.array(illusory + faithful), np.array([1] * len(illusory) + [0] * len(faithful))
    limits = set_thresholds(scores, truth)
    assert limits.faithful <= limits.illusory
    # One case more than the share, because a quantile lies between two cases.
    assert (np.array(illusory) < limits.faithful).sum() <= TOLERATED * len(illusory) + 1
    assert (np.array(faithful) > limits.illusory).sum() <= TOLERATED * len(faithful) + 1


def test_cases_that_lie_apart_are_called_right():
    found = calibrate(cases(), natural(), 0.1, 50, 0, ABOUT)
    measured = found.measured
    assert measured.loc[ILLUSORY, ILLUSORY] > 0.5
    assert measured.loc[FAITHFUL, FAITHFUL] > 0.5
    assert measured.loc[ILLUSORY, "wrong"] == measured.loc[FAITHFUL, "wrong"] == 0
    assert measured.loc[ILLUSORY, "groups"] == 4
    # None of four components misjudged leaves room for six in ten.
    assert measured.loc[ILLUSORY, "wrong_groups_most"] == pytest.approx(1 - 0.025 ** (1 / 4), abs=1e-6)
    assert "ioi, set on the other tasks" in set(found.confusions["measured_on"])
    for words in (HALF, EXCHANGED):  # what DAS finds alone: the mean difference cannot fail
        whole, trained = (found.measured_on(f"{words}{more}", FAITHFUL) for more in ("", f", {TRAINED_ALONE}"))
        assert 0 < trained["cases"] < whole["cases"]
    assert found.measured_on("the moon", FAITHFUL) is None
    assert set(found.thresholds) == {"+".join(chosen) for chosen in sub_score_sets()}


def test_areas_of_the_score_and_of_what_tells_nothing():
    of = prepared(cases(), 0.1)
    rows = areas(of[of["counted"]], LIMITS, 0.1, 50, 0).set_index("evidence")
    assert rows.loc["score", "auc"] == 1
    assert rows.loc["lent", "auc"] == 0.5
    # Directions off the route are illusory at a dose at which others are faithful: the component cannot tell them.
    assert 0.5 < rows.loc["whole_component", "auc"] < 1
    # Every direction that moves the answer does more than placebo and arbitrary labels, whatever its truth.
    assert rows.loc["placebo", ["illusory_passed", "faithful_passed"]].tolist() == [1, 1]
    assert rows.loc["score", ["illusory_passed", "faithful_passed"]].tolist() == [0, 1]
    assert rows.loc["interchange_accuracy", "illusory_passed"] > 0.5
    assert (rows["score_auc"] == 1).all()
    noisy = prepared(cases(spread=0.4), 0.1)
    worse = areas(noisy[noisy["counted"]], LIMITS, 0.1, 50, 0).set_index("evidence")
    assert worse.loc["score", "auc_lo"] < worse.loc["score", "auc"] < 1


def test_curve_roc_and_sweep():
    of = prepared(cases(), 0.1)
    counted = of[of["counted"]]
    trained = curve(counted).query("way == 'trained'").set_index("dose")["score"]
    assert trained.is_monotonic_decreasing
    assert roc(counted).query("evidence == 'score'")["found"].max() == 1
    moved = sweep(counted, [0.0, 0.5, 1.0]).set_index("cut")
    assert moved["illusory_below"].tolist() == [0, 0, 1]
    assert moved["faithful_above"].tolist() == [1, 0, 0]


def test_from_which_effect_on_directions_count():
    of = prepared(cases(), 0.1)
    limits = calibrate(cases(), natural(), 0.1, 20, 0, ABOUT).thresholds
    found = by_effect(of[~of["setting"]], limits, 0.1, [0.0, 1 / 3, 0.99])
    assert found["illusory"].is_monotonic_decreasing
    counted = of[of["counted"] & ~of["setting"]]
    assert found["illusory"].tolist()[1:] == [(counted["truth"] == 1).sum(), 0]
    assert found["score_auc"].tolist()[1] == 1


def test_it_comes_back_from_json():
    found = calibrate(cases(), natural(), 0.1, 20, 0, ABOUT)
    again = Calibration.from_json(json.loads(json.dumps(found.as_json())))
    assert again.thresholds == found.thresholds
    assert again.measured.loc[FAITHFUL, FAITHFUL] == 1
    assert again.about == ABOUT
    assert len(again.cases) == len(found.cases)
    assert again.natural["called"].tolist() == [FAITHFUL, INCONCLUSIVE]
    with pytest.raises(InputError, match="no outcome of make calibrate"):
        Calibration.from_json({"thresholds": {}})


def test_cases_are_called_by_the_sub_scores_that_they_have():
    limits = {"lost+apart": Thresholds(0.3, 0.4)}
    rows = [
        dict(fldd=0.55, fldd_lo=0.5, fldd_hi=0.6, figures="lost+apart", score=0.15, score_lo=0.1, score_hi=0.2),
        dict(fldd=-0.55, fldd_lo=-0.6, fldd_hi=-0.5, figures="lost+apart", score=0.55, score_lo=0.5, score_hi=0.6),
        dict(fldd=0.3, fldd_lo=0.0, fldd_hi=0.6, figures="lost+apart", score=0.15, score_lo=0.1, score_hi=0.2),
        dict(fldd=0.55, fldd_lo=0.5, fldd_hi=0.6, figures="apart", score=np.nan, score_lo=np.nan, score_hi=np.nan),
    ]
    called = calls(pd.DataFrame(rows), limits, 0.1).tolist()
    assert called == [FAITHFUL, ILLUSORY, INCONCLUSIVE, INCONCLUSIVE]


def test_cases_that_strengthen_the_answer_are_not_counted():
    """Verdicts on such subspaces say so: no error rate is theirs."""
    turned = cases().assign(fldd=lambda rows: -rows["fldd"])
    turned[["fldd_lo", "fldd_hi"]] = -cases()[["fldd_hi", "fldd_lo"]]
    assert not prepared(turned, 0.1)["judged"].any()


def test_the_first_row_is_the_measuring_half():
    assert calibrate(cases(), natural(), 0.1, 20, 0, ABOUT).confusions["measured_on"].iloc[0] == HALF


def test_natural_cases_stand_one_by_one_in_the_report():
    rows = natural_grid(calibrate(cases(), natural(), 0.1, 20, 0, ABOUT)).rows
    assert rows[0] == [
        "ioi", "blocks.1.mlp.hook_post", "trained", "0.50 [0.40, 0.60]", "0.50 [0.40, 0.60]", "0.10 [0.05, 0.10]",
        "faithful",
    ]  # fmt: skip
    assert rows[1][-2:] == ["", "inconclusive"]
