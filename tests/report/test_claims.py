"""The claims of the post one by one: each call can come out otherwise."""

from pathlib import Path

import pandas as pd
import pytest

import made
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_table
from subspace_illusion.report.claims import (
    CALLS,
    DOES_NOT,
    IN_PART,
    NOT_ASKED,
    REPRODUCES,
    RULES,
    call,
    claims_block,
    claims_table,
    counts,
    of_runs,
)
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.findings.readers import kept_attributions
from subspace_illusion.report.sections.claims import section
from subspace_illusion.statistics import Estimate
from subspace_illusion.tasks.table import FACTS, IOI

CLAIMS = Path(__file__).parents[2] / "data/claims.csv"


@pytest.mark.parametrize(
    ("rule", "low", "high", "here", "called"),
    [
        ("about", 0.8, 0.8, Estimate(0.83), REPRODUCES),
        ("about", 0.8, 0.8, Estimate(0.55, 0.4, 0.85), REPRODUCES),
        ("about", 0.8, 0.8, Estimate(0.55, 0.5, 0.6), IN_PART),
        ("about", 0.8, 0.8, Estimate(0.06), DOES_NOT),
        ("about", 0.8, 0.8, Estimate(-0.8), DOES_NOT),
        ("about", 0.3, 0.4, Estimate(0.33), REPRODUCES),
        ("about", 0.0, 0.0, Estimate(0.01), REPRODUCES),
        ("accuracy", 0.83, 0.83, Estimate(0.8), REPRODUCES),
        ("accuracy", 0.83, 0.83, Estimate(0.6), IN_PART),  # by itself 0.6 is within a quarter of 0.8
        ("accuracy", 0.83, 0.83, Estimate(0.49), DOES_NOT),
        ("above", 0.0, None, Estimate(3.0, 2.0, 4.0), REPRODUCES),
        ("above", 0.0, None, Estimate(0.1, -0.5, 0.7), IN_PART),
        ("above", 0.0, None, Estimate(-1.0, -2.0, -0.5), DOES_NOT),
        ("above", 1.0, None, Estimate.over([1.1, 1.2]), REPRODUCES),
        ("above", 1.0, None, Estimate.over([0.9, 1.5]), IN_PART),
        ("below", None, 0.0, Estimate(-1.0), REPRODUCES),
        ("below", None, 0.0, Estimate(1.0), DOES_NOT),
        ("within", -0.1, 0.1, Estimate(0.05), REPRODUCES),
        ("within", -0.1, 0.1, Estimate(0.09, 0.05, 0.2), IN_PART),
        ("within", -0.1, 0.1, Estimate(-0.46, -0.49, -0.42), DOES_NOT),
        ("within", -0.1, 0.1, None, NOT_ASKED),
    ],
)
def test_a_call_by_its_rule(rule, low, high, here, called):
    nan = float("nan")
    claim = dict(rule=rule, low=nan if low is None else low, high=nan if high is None else high)
    assert call(claim, here) == called


def test_a_rule_that_there_is_not_is_named():
    with pytest.raises(InputError, match="'near' is no rule for a claim; there are about, accuracy"):
        call(dict(rule="near", low=1, high=1), Estimate(1.0))


def called_on(folder: Path, changed: dict | None = None, task: str = IOI) -> pd.Series:
    results = made.results(folder, changed, task=task)
    return claims_table(read_table(CLAIMS), task, findings(results)).set_index("key")["call"]


def test_another_models_results_get_other_calls(tmp_path):
    """The made results are much like the post's; with a harmful MLP and silent random ones they are not."""
    likely = called_on(tmp_path / "one")
    assert likely[["v_true.flip_rate", "v_mlp.full_patch.effect", "random_mlp.share_of_real"]].tolist() == [
        REPRODUCES,
        REPRODUCES,
        REPRODUCES,
    ]
    effects = made.effects()
    whole = (effects["component"] == made.V_MLP) & (effects["subspace"] == made.WHOLE.subspace)
    effects.loc[whole, ["effect", "effect_lo", "effect_hi"]] = [1.0, 0.9, 1.1]
    drawn = made.tables()[f"random_mlp/{made.V_MLP}.csv"]
    for column in ("share_of_real", "share_of_real_lo", "share_of_real_hi"):
        drawn[column] /= 10
    other = called_on(tmp_path / "other", {"effects.csv": effects, f"random_mlp/{made.V_MLP}.csv": drawn})
    assert other[["v_true.flip_rate", "v_mlp.full_patch.effect", "random_mlp.share_of_real"]].tolist() == [
        REPRODUCES,
        DOES_NOT,
        DOES_NOT,
    ]
    assert likely["facts.later.edit_subspace"] == NOT_ASKED


def test_what_is_said_of_ioi_is_not_asked_of_another_task():
    found = [Finding("v_true.flip_rate", "", Estimate(0.8)), Finding("facts.first.whole", "", Estimate(0.5, 0.3, 0.7))]
    called = claims_table(read_table(CLAIMS), FACTS, found).set_index("key")["call"]
    assert called["v_true.flip_rate"] == NOT_ASKED
    assert called["facts.first.whole"] == DOES_NOT


@pytest.mark.parametrize(("patched", "kept"), [([1.0, -1.2], 2), ([1.0, 1.2], 1), ([-1.0, 1.2], 0)])
def test_attributions_that_are_kept(patched, kept):
    heads = pd.DataFrame(
        dict(
            reader=["reader", "reader", "other"], attribution_clean=[1.0, -1.0, 1.0], attribution_patched=[*patched, 1]
        )
    )
    assert kept_attributions(heads).sum() == kept
    assert kept_attributions(heads, -1).sum() == 2 - kept


def table_of(**calls: str) -> pd.DataFrame:
    rows = [dict(source="post", section="s", claim=name, published="1", here="", interval="", call=made_call,
                 rule="about", key=name) for name, made_call in calls.items()]  # fmt: skip
    return pd.DataFrame(rows)


def test_claims_are_counted_and_those_that_fail_are_named():
    called = table_of(a=REPRODUCES, b=REPRODUCES, c=IN_PART, d=DOES_NOT, e=NOT_ASKED)
    assert counts(called) == "Of 4 claims 2 reproduce, 1 in part, 1 fail: d"
    assert counts(table_of(a=REPRODUCES)).endswith("0 fail")


def test_runs_complete_one_another_in_the_order_of_the_first():
    runs = table_of(a=REPRODUCES, b=NOT_ASKED, c=NOT_ASKED), table_of(a=NOT_ASKED, b=DOES_NOT, c=NOT_ASKED)
    together = of_runs(runs)
    assert together["claim"].tolist() == ["a", "b", "c"]
    assert together["call"].tolist() == [REPRODUCES, DOES_NOT, NOT_ASKED]
    block = claims_block(together)
    assert block.count("| post | s |") == 1
    assert "|  |  | b | 1 |  |  | does not |" in block
    assert all(f"*{rule}*" in block for rule in RULES)


def test_the_section_shows_what_could_be_asked_and_is_left_out_where_nothing_could():
    (shown,) = section(table_of(a=REPRODUCES, b=NOT_ASKED))
    counted, listed, rules = shown.grids
    assert counted.rows == [[REPRODUCES, "1"], ["all", "1"]]
    assert [row[2] for row in listed.rows] == ["a"]
    assert [row[0] for row in rules.rows] == list(RULES)
    assert "cannot be asked in this run are left out" in shown.reading
    assert not list(section(table_of(a=NOT_ASKED)))


def test_every_claim_has_a_rule_and_its_figures():
    claims = read_table(CLAIMS)
    assert not claims.duplicated(["section", "claim"]).any()
    assert set(claims["rule"]) <= set(RULES)
    for row in claims.to_dict("records"):
        assert call(row, Estimate(0.3)) in CALLS
        assert pd.notna(row["low"]) or pd.notna(row["high"]), row["claim"]
        assert row["rule"] not in ("about", "accuracy", "lost", "within") or row["low"] <= row["high"], row["claim"]
