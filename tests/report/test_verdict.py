"""Verdicts in words and as a table."""

import numpy as np
import pytest

import made
from subspace_illusion.report.verdict import CAUTIONS, cautions_said, reason_of, verdict_table
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.judge import Caution, Verdict, judge

ALL = ("lent", "lost", "apart", "off")


def trained(component: str) -> SubspaceKey:
    return SubspaceKey(TRAINED, component=component)


def on(**more: float) -> Verdict:
    return judge({trained("a"): made.score(**more)}, made.calibration(), 0.1)[trained("a")]


def test_reasons_in_words():
    found = {which: reason_of(verdict) for which, verdict in made.verdicts().items()}
    assert found == {
        trained(made.V_TRUE): "score 0.07 of lost and apart, faithful up to 0.30; in the residual stream, where no "
        "case was planted",
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_TRUE): "fewer than 2 figures of the score apply",
        trained(made.V_MLP): "score 0.67, illusory from 0.40",
        SubspaceKey(MEAN_DIFFERENCE, component=made.V_MLP): (
            "score 0.15, faithful up to 0.30; it strengthens the answer, which no planted case that counts does"
        ),
    }
    between = on(lent=0.35, lost=0.35, apart=0.35, off=0.35)
    assert reason_of(between) == (
        "score 0.35, between the thresholds or too near one: faithful up to 0.30, illusory from 0.40"
    )
    assert reason_of(on(fldd=0.05, lent=0.1, lost=0.1)) == "the effect is too small to ask what it is made of"
    weak = on(fldd=0.2, lent=0.7, lost=0.7)
    assert reason_of(weak).endswith("; weaker than the planted cases that count")


@pytest.mark.parametrize("cautious", [False, True])
def test_illusory_axes_are_no_cautions_however_many_they_are(cautious):
    good, bad = (dict.fromkeys(("lost", "apart") if cautious else ALL, value) for value in (0.1, 0.7))
    mine = SubspaceKey.user("mine", "mlp8")
    scores = {mine: made.score(**good)} | {mine.of_axis(number): made.score(**bad) for number in (1, 2)}
    found = judge(scores, made.calibration(), 0.1)[mine]
    assert reason_of(found) == "axis 1 of mine is illusory; axis 2 of mine is illusory"
    assert cautions_said(reason_of(found)) == ()
    assert found.cautions == ((Caution.RESIDUAL_STREAM,) if cautious else ())


def test_a_tables_text_says_which_cautions_there_are():
    assert set(CAUTIONS) == set(Caution)
    weaker = on(fldd=0.2, lost=0.7, apart=0.7)
    assert weaker.cautions == cautions_said(reason_of(weaker)) == (Caution.WEAKER, Caution.RESIDUAL_STREAM)
    for verdict in made.verdicts().values():
        assert cautions_said(reason_of(verdict)) == verdict.cautions


def test_the_table_has_what_does_not_apply_as_missing():
    rows = verdict_table(made.verdicts()).set_index(["component", "subspace"])
    assert np.isnan(rows.loc[(made.V_TRUE, TRAINED), "lent"])
    assert np.isnan(rows.loc[(made.V_TRUE, MEAN_DIFFERENCE), "score"])
    assert rows.loc[(made.V_MLP, TRAINED), "figures"] == "lent+lost+apart+off"
    assert rows.loc[(made.V_MLP, TRAINED), "illusory_from"] == 0.4


def test_a_run_whose_effects_are_all_small_has_a_table_with_the_same_columns():
    assert list(verdict_table({}).columns) == list(verdict_table(made.verdicts()).columns)
