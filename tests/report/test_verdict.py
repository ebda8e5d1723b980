"""Verdicts in words and as a table."""

from dataclasses import replace

import numpy as np
import pytest

import made
from subspace_illusion.core.sites import Site
from subspace_illusion.report.verdict import CAUTIONS, cautions_said, evidence, interval_from, reason_of, verdict_table
from subspace_illusion.report.words import percent
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.intervals import ELSEWHERE, HERE, Predicted
from subspace_illusion.verdict.judge import Caution, Verdict
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, Reason
from subspace_illusion.verdict.seen import Seen

MLP = made.SITES[made.V_MLP].name


def trained(component: str) -> SubspaceKey:
    return SubspaceKey(TRAINED, component=component)


def on(found: Seen) -> Verdict:
    return made.judged({trained("a"): found})[trained("a")]


@pytest.mark.parametrize(
    ("component", "method", "effect", "share"),
    [
        (made.V_TRUE, TRAINED, "1.25", "93 % [78, 100]"),
        (made.V_TRUE, MEAN_DIFFERENCE, "1.15", "95 % [80, 100]"),
        (made.V_MLP, TRAINED, "0.75", "4 % [0, 9]"),
        (made.V_MLP, MEAN_DIFFERENCE, "-0.25", "100 % [95, 100]"),
    ],
)
def test_reasons_in_words(component, method, effect, share):
    of_itself = method == MEAN_DIFFERENCE and component == made.V_MLP
    caution = f"; {CAUTIONS[Caution.BY_DEFINITION]}" if of_itself else ""
    assert reason_of(made.verdicts()[SubspaceKey(method, component=component)]) == (
        f"of the effect, {effect} of the clean LD, an estimated {share} goes through what "
        f"{made.SITES[component].name} itself hands on{caution}"
    )


def test_what_is_inconclusive_says_why():
    across = on(made.seen(whole=0.25))
    assert across.reason is Reason.ACROSS
    assert reason_of(across) == (
        f"of the effect, 0.75 of the clean LD, an estimated 50 % [45, 55] goes through what {MLP} itself hands on: "
        "not all of the interval lies on one side"
    )
    assert reason_of(on(made.seen(fldd=0.05))) == (
        "the effect, 0.05 of the clean LD, is too small to ask what it goes through"
    )
    assert reason_of(on(made.seen(groups=4))) == "the held-out pairs are of 4 groups, too few for an interval"
    keys = replace(made.seen(), site=Site.parse("blocks.3.attn.hook_k"))
    assert reason_of(on(keys)) == (
        "too little was planted in such places as blocks.3.attn.hook_k, so that no interval is known"
    )


@pytest.mark.parametrize(
    ("fldd", "whole", "own", "verdict", "incomplete"),
    [
        (0.4, 1.2, 0.9, FAITHFUL, True),
        (-0.4, -1.2, 0.9, FAITHFUL, True),
        (1.1, 1.2, 0.9, FAITHFUL, False),
        (1.2, 0.4, 0.9, FAITHFUL, False),  # more than the component
        (0.4, 1.2, 0.1, ILLUSORY, False),
    ],
)
def test_doing_less_than_the_component_is_incomplete_and_not_illusory(fldd, whole, own, verdict, incomplete):
    told = on(made.seen(fldd=fldd, whole=whole, own=own))
    assert told.verdict == verdict
    said = f"itself hands on; incomplete, the whole component's effect is {whole:.2f}"
    assert reason_of(told).endswith(said if incomplete else "itself hands on")


@pytest.mark.parametrize("rank", [1, 3])
def test_illusory_axes_are_no_cautions_however_many_they_are(rank):
    mine = SubspaceKey.user("mine", "mlp8")
    seen = {mine: made.seen(own=0.9, rank=rank, whole=0.7)}
    seen |= {mine.of_axis(number): made.seen(own=0.1) for number in (1, 2)}
    found = made.judged(seen)[mine]
    said = reason_of(found).partition("itself hands on, but ")[2]
    assert said.partition("; ")[0] == "axis 1 of mine and axis 2 of mine are illusory"
    assert cautions_said(reason_of(found)) == found.cautions == ((Caution.MANY_DIMENSIONS,) if rank == 3 else ())
    one = made.judged({key: seen[key] for key in (mine, mine.of_axis(1))})[mine]
    assert "itself hands on, but axis 1 of mine is illusory" in reason_of(one)


def test_a_tables_text_says_which_cautions_there_are():
    assert set(CAUTIONS) == set(Caution)
    both = on(made.seen(own=0.9, groups=6, rank=3, whole=0.7))
    assert both.verdict == FAITHFUL
    assert both.cautions == cautions_said(reason_of(both)) == (Caution.FEW_GROUPS, Caution.MANY_DIMENSIONS)
    for verdict in made.verdicts().values():
        assert cautions_said(reason_of(verdict)) == verdict.cautions


def test_the_evidence_says_where_the_interval_is_from():
    verdict = made.verdicts()[trained(made.V_MLP)]
    assert evidence(verdict) == (
        "effect 0.75 [0.73, 0.77] of the clean LD; whole component -0.25 [-0.27, -0.23] of the clean LD; "
        "own-difference share 0.04 [0.02, 0.06]; match with the whole component 0.00; mediated share 0.04 [0.00, 0.09] "
        f"({ELSEWHERE}: 32 cases, 89% promised)"
    )
    assert interval_from(Predicted(0.1, 0.2, 0.5, 60, HERE)) == f"{HERE}: 60 cases, 50% promised"
    keys = replace(made.seen(), site=Site.parse("blocks.3.attn.hook_k"))
    assert "mediated share" not in evidence(on(keys))


def test_the_table_has_the_prediction_interval_and_where_it_is_from():
    keys = {trained("k"): replace(made.seen(), site=Site.parse("blocks.3.attn.hook_k"))}
    rows = verdict_table(made.judged(made.all_seen() | keys)).set_index(["component", "subspace"])
    mlp = rows.loc[(made.V_MLP, TRAINED)]
    assert mlp[["share", "share_lo", "share_hi", "planted", "interval_from"]].tolist() == [
        0.04, 0.0, pytest.approx(0.09), 32, ELSEWHERE
    ]  # fmt: skip
    assert mlp[["own", "whole", "match", "level"]].tolist() == [0.04, -0.25, 0.0, pytest.approx(8 / 9, abs=1e-6)]
    assert rows.loc[(made.V_TRUE, TRAINED), "match"] == pytest.approx(0.96, abs=1e-6)
    none = rows.loc[("k", TRAINED)]
    assert np.isnan(none[["share", "share_lo", "share_hi", "level"]].astype(float)).all()
    assert none[["verdict", "planted", "interval_from"]].tolist() == [INCONCLUSIVE, 0, ""]


def test_a_run_without_verdicts_has_a_table_with_the_same_columns():
    assert list(verdict_table({}).columns) == list(verdict_table(made.verdicts()).columns)


def test_shares_in_percent():
    assert percent(Estimate(0.043, 0.0, 0.149)) == "4 % [0, 15]"
    assert percent(Estimate(1.0)) == "100 %"
