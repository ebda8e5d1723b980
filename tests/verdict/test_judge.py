"""The verdict, on what is seen made by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.intervals import ELSEWHERE, HERE, WIDENED, Intervals
from subspace_illusion.verdict.judge import Caution, judge
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, Reason
from subspace_illusion.verdict.seen import Seen

MLP, STREAM, KEYS = (Site.parse(f"blocks.3.{point}") for point in ("mlp.hook_post", "hook_resid_post", "attn.hook_k"))
DAS = SubspaceKey(TRAINED, component="mlp3")


def planted(error: float, blocks: tuple[int, ...] = (9, 10, 11), source: str = ELSEWHERE) -> Intervals:
    """Cases in MLPs whose truth lies so far above, and so far below, an estimate anywhere."""
    estimate = np.linspace(0, 1, 101)
    sides = [np.clip(estimate + sign * error, 0, 1) for sign in (-1, 1)]
    cases = dict(model="smollm2", task="ioi", hook="blocks.9.mlp.hook_post", kind="writes to the stream")
    parts = [
        pd.DataFrame(cases | dict(block=block, estimate=estimate, truth=truth)) for block in blocks for truth in sides
    ]
    return Intervals(pd.concat(parts, ignore_index=True), source)


def seen(share: float, effect: float = 0.8, site: Site = MLP, rank: int = 1, groups: int = 40, spread=0.0) -> Seen:
    noise = spread * np.linspace(-1, 1, 101)
    noise[0] = 0
    flat = np.full(101, effect)
    return Seen(site, rank, flat + noise, flat, np.full(101, share) + noise, groups)


def one(found: Seen, intervals: Intervals, model: str | None = None, here=None):
    return judge({DAS: found}, intervals, model, 0.1, LIMITS, here)[DAS]


@pytest.mark.parametrize(
    ("share", "verdict", "reason"),
    [
        (0.9, FAITHFUL, Reason.BEYOND),
        (0.1, ILLUSORY, Reason.BEYOND),
        (0.55, INCONCLUSIVE, Reason.ACROSS),
    ],
)
def test_the_whole_interval_must_lie_on_one_side(share, verdict, reason):
    told = one(seen(share), planted(0.2))
    assert (told.verdict, told.reason) == (verdict, reason)
    assert told.share is not None
    assert told.share.low <= told.share.value <= told.share.high
    assert told.predicted.source == ELSEWHERE


def test_the_interval_holds_that_of_the_pairs():
    steady, noisy = (one(seen(0.8, spread=spread), planted(0.01)) for spread in (0.0, 0.2))
    assert noisy.share.low < 0.65 < steady.share.low
    assert noisy.share.value == steady.share.value


def test_cases_of_the_own_block_of_the_own_model_set_nothing():
    known = Intervals(pd.concat([planted(0.3, (3,)).cases, planted(0.05).cases], ignore_index=True))
    own, other = one(seen(0.7), known, "smollm2"), one(seen(0.7), known, "gemma3")
    assert own.share.low == pytest.approx(0.65, abs=0.01)
    assert other.share.low == pytest.approx(0.4, abs=0.01)
    for blocks, told in (((3, 9, 10), False), ((3, 9, 10, 11), True)):
        others = one(seen(0.7), planted(0.05, blocks), "smollm2")
        assert (others.predicted is not None, others.reason != Reason.LITTLE_PLANTED) == (told, told)


def test_planting_in_the_component_counts_where_it_shows_more_error():
    for error, source in ((0.3, WIDENED), (0.05, ELSEWHERE)):
        told = one(seen(0.7), planted(0.1), None, {"mlp3": planted(error, (3,), HERE)})
        assert told.predicted.source == source
        assert told.share.low == pytest.approx(0.7 - max(error, 0.1), abs=0.02)
    assert one(seen(0.7), planted(0.1), None, {"elsewhere": planted(0.3, (3,), HERE)}).predicted.source == ELSEWHERE


def test_effects_of_either_sign_are_judged_and_small_ones_not():
    assert one(seen(0.9, effect=-0.8), planted(0.1)).verdict == FAITHFUL
    assert one(seen(0.9, effect=0.05), planted(0.1)).reason == Reason.SMALL_EFFECT


def test_where_nothing_was_planted_there_is_no_verdict():
    for site in (STREAM, KEYS):
        assert one(seen(0.9, site=site), planted(0.1)).reason == Reason.LITTLE_PLANTED


def test_few_groups_and_many_dimensions_are_said():
    assert one(seen(0.9, groups=4), planted(0.1)).reason == Reason.FEW_GROUPS
    assert one(seen(0.9, groups=19), planted(0.1)).cautions == (Caution.FEW_GROUPS,)
    assert one(seen(0.9, rank=3), planted(0.1)).cautions == (Caution.MANY_DIMENSIONS,)
    assert one(seen(0.9, effect=0.05, groups=19), planted(0.1)).cautions == ()


def test_a_component_that_works_the_other_way_is_said():
    """There the own difference moves nothing the way of the patch, so that the estimate could be nothing but 0."""
    assert one(seen(0.0), planted(0.1)).cautions == (Caution.OPPOSED,)
    assert one(seen(0.0, spread=0.01), planted(0.1)).cautions == ()
    found, intervals = seen(0.5, site=STREAM), planted(0.1)
    of_stream = Intervals(intervals.cases.assign(kind="the stream", hook="blocks.9.hook_resid_post"))
    assert one(replace(found, whole=-found.whole), of_stream).cautions == (Caution.OPPOSED,)
    assert one(found, of_stream).cautions == ()


def test_a_mean_difference_that_writes_is_what_it_is_compared_with():
    key = SubspaceKey(MEAN_DIFFERENCE, component="mlp3")
    told = judge({key: seen(1.0)}, planted(0.1), None, 0.1, LIMITS)[key]
    assert (told.verdict, told.cautions) == (FAITHFUL, (Caution.BY_DEFINITION,))


def test_a_hook_at_which_nothing_was_planted_is_said():
    assert one(seen(0.9, site=Site.parse("blocks.3.attn.hook_z.1")), planted(0.1)).cautions == (Caution.NO_SUCH_HOOK,)


@pytest.mark.parametrize(("held", "is_said"), [(1.0, False), (0.8, True), (np.nan, False)])
def test_a_hook_at_which_intervals_held_too_little_on_a_model_left_out_is_said(held, is_said):
    cases = planted(0.2).cases
    told = one(seen(0.9), Intervals(cases.assign(held=held)))
    assert (Caution.HELD_LESS in told.cautions) == is_said
    few = cases.assign(held=np.where(cases["block"] == 9, 0.0, np.nan))  # of one block nothing is said
    assert Caution.HELD_LESS not in one(seen(0.9), Intervals(few)).cautions


def test_the_stream_before_a_block_was_planted_in_behind_the_one_before_it():
    behind = Intervals(planted(0.1).cases.assign(hook="blocks.9.hook_resid_post"))
    assert behind.planted_at(Site.parse("blocks.3.hook_resid_pre"))
    assert not behind.planted_at(Site.parse("blocks.3.hook_resid_mid"))


def test_a_word_that_hangs_on_one_block_is_said():
    wide = pd.concat([planted(0.05, (9, 10, 11)).cases, planted(0.5, (12,)).cases], ignore_index=True)
    hanging = one(seen(0.8), Intervals(wide))
    assert (hanging.verdict, hanging.cautions) == (INCONCLUSIVE, (Caution.ONE_BLOCK,))
    assert one(seen(0.8), planted(0.05, (9, 10, 11, 12))).cautions == ()


def test_an_illusory_axis_takes_a_faithful_verdict_back():
    axis, weak = DAS.of_axis(1), DAS.of_axis(2)
    verdicts = judge(
        {DAS: seen(0.9, rank=2), axis: seen(0.1), weak: seen(0.1, effect=0.01)}, planted(0.1), None, 0.1, LIMITS
    )
    assert verdicts[DAS].reason == Reason.ILLUSORY_AXIS
    assert verdicts[DAS].illusory_axes == (axis,)
    assert verdicts[axis].verdict == ILLUSORY


def test_what_is_judged_beside_a_subspace_changes_nothing():
    other = SubspaceKey.user("probe", "mlp3")
    together = judge({DAS: seen(0.9), other: seen(0.1)}, planted(0.2), None, 0.1, LIMITS)
    assert together[DAS].share == one(seen(0.9), planted(0.2)).share
