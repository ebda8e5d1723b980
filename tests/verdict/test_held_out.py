"""The estimate, its intervals, and what they make of what was left out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion.errors import InputError
from subspace_illusion.verdict.estimate import STREAM, WRITES, match_of, mediated_share, share_of
from subspace_illusion.verdict.held_out import (
    counted,
    goals,
    hard,
    judged,
    left_out,
    told_apart,
)
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, called

shares = st.floats(0, 1)
effects = st.floats(-3, 3)


@given(shares, shares)
def test_in_the_stream_own_and_match_must_both_be_high(own, match):
    in_stream = mediated_share(np.array([own]), np.array([match]), STREAM)[0]
    assert min(own, match) - 1e-9 <= in_stream <= max(own, match) + 1e-9
    assert mediated_share(np.array([own]), np.array([0.0]), STREAM)[0] == 0
    assert mediated_share(np.array([own]), np.array([match]), WRITES)[0] == own


@given(effects, effects)
def test_match_is_the_same_whichever_of_the_two_does_more(effect, whole):
    there, turned, swapped = (
        match_of(np.array([a]), np.array([b]))[0] for a, b in ((effect, whole), (-effect, -whole), (whole, effect))
    )
    assert there == turned == swapped
    assert 0 <= there <= 1
    if effect * whole <= 0:
        assert there == 0
    elif effect == whole:
        assert there == 1
    assert share_of(np.array([effect]), np.array([0.0]))[0] == 0


def cases(models=("one", "other"), blocks=8, of_block=30, spread=0.1, seed=0) -> pd.DataFrame:
    """Cases whose estimate misses the truth by something that cases of a block share, and something of their own."""
    random = np.random.default_rng(seed)
    rows = []
    for model in models:
        for block in range(blocks):
            shared = random.normal(0, spread)
            truth = random.random(of_block)
            own = np.clip(truth + shared + random.normal(0, spread / 4, of_block), 0, 1)
            for kind in ("MLP", "stream after"):
                rows += [
                    dict(model=model, task="ioi", block=block, place=kind, hook="blocks.1.mlp.hook_post",
                         kind=WRITES if kind == "MLP" else STREAM,
                         found="trained", dose=1.0, effect=1.0, mediated=t, own=o, whole=1.0, by_itself=0.0,
                         carried=1.0)
                    for t, o in zip(truth, own, strict=True)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def test_small_effects_twins_and_places_whose_truth_is_not_known_do_not_count():
    table = cases(("one",), blocks=3, of_block=4).assign(effect=[1.0, 0.05, -1.0, 1.0] * 6)
    table = table.assign(
        by_itself=np.where(table["block"] == 1, 0.2, 0.0), carried=np.where(table["block"] == 2, 0.05, 1)
    )
    told = told_apart(table, 0.1)
    assert told.groupby("block")["known"].first().to_dict() == {
        0: True,
        1: False,
        2: False,
    }  # 1 acts alone, 2 not at all
    kept = judged(told)
    assert len(kept) == 6
    assert set(kept["effect"]) == {1.0, -1.0}
    again = pd.concat([table, table.assign(found="probe", effect=table["effect"] + 0.005)], ignore_index=True)
    assert len(judged(told_apart(again, 0.1))) == 6
    of_place = counted(told_apart(again, 0.1)).set_index(["block", "place"])
    assert (of_place[["tried", "large", "twins"]] == [8, 6, 3]).all(axis=None)
    assert of_place.loc[(1, "MLP"), "counts"] == 0
    assert of_place["error_unknown"].notna().tolist() == [False, False, True, True, True, True]
    assert of_place["slack"].dropna().tolist() == [0.2, 0.2, 0.0, 0.0]


def test_a_truth_is_known_where_the_effect_is_more_than_the_component_could_do_by_itself():
    table = cases(("one",), blocks=1, of_block=4).assign(effect=[0.2, 0.5, 1.0, 2.0] * 2, by_itself=0.08)
    assert told_apart(table, 0.1)["known"].tolist() == [False, False, True, True] * 2


def test_an_interval_holds_its_estimate_and_widens_with_the_errors():
    estimates = np.linspace(0, 1, 21)
    widths = []
    for spread in (0.02, 0.2):
        low, high, _, _ = Intervals(judged(told_apart(cases(spread=spread), 0.1))).around(estimates, WRITES)
        assert (low <= estimates).all()
        assert (estimates <= high).all()
        assert low.min() >= 0
        assert high.max() <= 1
        widths.append((high - low).mean())
    assert widths[0] < widths[1] / 2


@pytest.mark.parametrize("seed", range(4))
def test_intervals_hold_the_cases_of_blocks_that_set_none_of_them(seed):
    """Errors that a block's cases share would be missed by percentiles of all cases together with few blocks."""
    known, new = (judged(told_apart(cases(("one",), 24, seed=s), 0.1)) for s in (seed, 100 + seed))
    for kind in (WRITES, STREAM):
        of_kind = new[new["kind"] == kind]
        low, high, _, _ = Intervals(known).around(of_kind["estimate"].to_numpy(), kind)
        assert of_kind["truth"].between(low, high).mean() > 0.8


def test_what_is_left_out_sets_nothing():
    table = judged(told_apart(cases(), 0.1))
    changed = table.assign(truth=np.where(table["model"] == "one", 1 - table["truth"], table["truth"]))
    before, after = (left_out(t, "model") for t in (table, changed))
    one = before["model"] == "one"
    np.testing.assert_array_equal(
        before.loc[one, ["estimate_lo", "estimate_hi"]], after.loc[one, ["estimate_lo", "estimate_hi"]]
    )
    assert (before.loc[~one, "estimate_lo"] != after.loc[~one, "estimate_lo"]).any()
    by_block = left_out(table, "block")
    assert len(by_block) == len(table)


def test_one_model_alone_cannot_be_left_out():
    with pytest.raises(InputError, match="all of one model"):
        left_out(judged(told_apart(cases(("one",)), 0.1)), "model")


def test_every_block_has_the_same_weight_in_what_intervals_hold():
    told = left_out(judged(told_apart(cases(), 0.1)), "model")
    first = told["unit"] == told["unit"].iloc[0]
    more = pd.concat([told, told[first]]).reset_index(drop=True)
    assert goals(more, ["task"])["coverage_90"][0] == goals(told, ["task"])["coverage_90"][0]


def test_a_task_of_a_model_can_be_left_out():
    table = judged(told_apart(cases(models=("one",)), 0.1))
    both = pd.concat([table, table.assign(task="other", unit=table["unit"] + " other")], ignore_index=True)
    found = left_out(both, "task")
    assert (found["level"] > 0).any()
    with pytest.raises(InputError, match="all of one task"):
        left_out(table, "task")


def test_what_is_reached_is_counted():
    table = pd.DataFrame(
        dict(
            model="one", place="MLP", unit=["a", "a", "b", "b", "b"], truth=[0.0, 0.1, 0.9, 1.0, 1.0],
            estimate=[0.0, 0.4, 0.9, 0.4, 1.0], estimate_lo=[0.0, 0.2, 0.8, 0.1, 0.0], effect=1.0,
            estimate_hi=[0.1, 0.8, 1.0, 0.5, 1.0], mediated=[0.0, 0.1, 0.9, 1.0, 1.2], level=[0.5, 0.5, 0.5, 0.5, 0.0],
        )
    )  # fmt: skip
    table = table.assign(call=called(table["estimate_lo"].to_numpy(), table["estimate_hi"].to_numpy(), LIMITS))
    assert table["call"].tolist() == [ILLUSORY, INCONCLUSIVE, FAITHFUL, ILLUSORY, INCONCLUSIVE]
    (row,) = goals(table, ["model", "place"]).to_dict("records")
    ends = [row.pop(f"{name}_{end}") for name in ("median_error", "coverage_90") for end in ("lo", "hi")]
    assert np.isnan(ends).all()  # either block alone gives the same
    assert row == dict(
        model="one", place="MLP", cases=5, units=2, below_02=2, above_08=3, cut=1, median_error=0.0, nothing_error=0.1,
        bias=-0.06, told=4, coverage_90=0.5, level=0.5, missed_above=0.25, below_02_called_faithful=0.0,
        above_08_called_illusory=0.5, called=0.75, faithful_wrong=0.0, illusory_wrong=0.5, below_02_inconclusive=0.5,
        above_08_inconclusive=0.0, inconclusive=0.5,
    )  # fmt: skip
    (row,) = goals(table[table["truth"] > 0.5], ["model"]).to_dict("records")
    assert np.isnan(row["below_02_called_faithful"])
    assert row["inconclusive"] == 0
    (row,) = goals(table[table["level"] == 0], ["model"]).to_dict("records")
    assert (row["told"], row["cases"]) == (0, 1)
    assert np.isnan([row[name] for name in ("coverage_90", "level", "called", "inconclusive")]).all()


def test_what_is_reached_lies_in_its_interval_over_blocks():
    told = left_out(judged(told_apart(cases(), 0.1)), "model")
    for row in goals(told, ["model", "kind"]).to_dict("records"):
        for name in ("median_error", "coverage_90"):
            assert row[f"{name}_lo"] <= row[name] <= row[f"{name}_hi"]
    alike = told.assign(estimate=told["truth"] - 0.25)
    (row,) = goals(alike, ["task"]).to_dict("records")
    assert (row["median_error"], row["bias"]) == (0.25, -0.25)
    assert np.isnan(row["median_error_lo"])  # which no block can move


def test_few_blocks_promise_little_and_say_so():
    for blocks, level in ((2, 0), (3, 3 / 4), (6, 6 / 7), (9, 0.9), (30, 0.9)):
        found = left_out(judged(told_apart(cases(blocks=blocks), 0.1)), "model")
        assert found["level"].max() == pytest.approx(level)  # less where fewer have a like estimate
        assert found["level"].min() >= min(level, 0.5)


def test_a_place_that_no_other_model_has_gets_no_interval():
    table = judged(told_apart(cases(), 0.1))
    alone = table[(table["model"] == "one") | (table["kind"] == WRITES)]
    found = left_out(alone, "model")
    assert len(found) == len(alone)
    stream = found[found["kind"] == STREAM]
    assert (stream["estimate_lo"] == 0).all()
    assert (stream["estimate_hi"] == 1).all()
    assert (stream["call"] == INCONCLUSIVE).all()


def test_what_is_given_by_how_a_case_is_made_is_not_hard():
    table = cases(blocks=1, of_block=2).assign(dose=[0.0, 1.0] * 4, found=["trained"] * 4 + ["probe"] * 4)
    assert len(hard(table)) == 2
    assert counted(told_apart(table, 0.1))["counts"].sum() == len(table)
