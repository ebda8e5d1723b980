"""What is seen of subspaces, from a table of what patches did, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, OWN, TRAINED, WHOLE, SubspaceKey
from subspace_illusion.verdict.seen import draws_table, judged_among, read_seen, see_component, seen_table

DAS, MEAN, USER = SubspaceKey(TRAINED), SubspaceKey(MEAN_DIFFERENCE), SubspaceKey.user("probe")
MLP, STREAM, KEYS = (Site.parse(f"blocks.3.{point}") for point in ("mlp.hook_post", "hook_resid_post", "attn.hook_k"))


def did(**effects: float) -> pd.DataFrame:
    """A clean LD of 4 in 8 pairs of 4 groups, and LD under patches that take so much off."""
    table = pd.DataFrame(dict(pair=range(8), group=np.repeat(range(4), 2), ld=4.0, residual=0.0))
    keys = dict(whole=WHOLE, das=DAS, own=DAS.of_part(OWN), mean=MEAN, mean_own=MEAN.of_part(OWN), user=USER,
                user_own=USER.of_part(OWN))  # fmt: skip
    return table.assign(**{keys[name].subspace: 4.0 - effect for name, effect in effects.items()})


def see(site: Site, table: pd.DataFrame):
    ranks = {DAS.of_seed(0): 1, DAS.of_seed(1): 1, MEAN: 1, USER: 2}
    return see_component(table, site, ranks, resamples=100, seed=0)


def test_noise_is_in_every_interval_and_moves_no_figure():
    ranks = {DAS.of_seed(0): 1}
    table = did(whole=1.0, das=2.0, own=0.5)
    seen, exact = (see_component(table, MLP, ranks, resamples=1000, seed=0, noise=noise)[DAS] for noise in (0.05, 0.0))
    for name in ("fldd", "whole", "own", "match", "share"):
        assert getattr(seen, name)[0] == getattr(exact, name)[0]
        assert np.ptp(getattr(exact, name)) == 0
        assert getattr(seen, name)[1:].std() > 0.02
    assert seen.fldd[1:].std() == pytest.approx(0.05, rel=0.1)  # a share of the clean LD
    assert not np.array_equal(seen.fldd - 0.5, seen.whole - 0.25)  # every patch has a noise of its own


def test_what_writes_is_estimated_by_its_own_difference():
    seen = see(MLP, did(whole=1.0, das=2.0, own=0.5))[DAS]
    assert seen.fldd[0] == 0.5
    assert seen.whole[0] == 0.25
    assert seen.own[0] == seen.share[0] == 0.25
    assert seen.match[0] == 0.5  # it does twice as much
    assert seen.groups == 4
    assert len(seen.share) == 101


def test_the_stream_is_estimated_by_own_and_match():
    seen = see(STREAM, did(whole=1.0, das=2.0, own=0.5))[DAS]
    assert seen.share[0] == pytest.approx(np.sqrt(0.25 * 0.5))
    assert see(STREAM, did(whole=-1.0, das=2.0, own=1.0))[DAS].share[0] == 0


@pytest.mark.parametrize(("own", "share"), [(-1.0, 0.0), (3.0, 1.0)])
def test_a_share_is_between_nothing_and_all(own, share):
    assert see(MLP, did(whole=1.0, das=2.0, own=own))[DAS].own[0] == share


def test_effects_that_strengthen_the_answer_are_seen_alike():
    weaker, stronger = (see(STREAM, did(whole=s * 1.0, das=s * 2.0, own=s * 1.0))[DAS] for s in (1, -1))
    assert weaker.share[0] == stronger.share[0]
    assert weaker.fldd[0] == -stronger.fldd[0]


def test_where_nothing_can_be_planted_there_is_no_estimate():
    seen = see(KEYS, did(whole=1.0, das=2.0, own=1.0))[DAS]
    assert seen.kind is None
    assert np.isnan(seen.share).all()
    assert seen.estimate("share") is None or np.isnan(seen.estimate("share").value)


def test_the_table_of_draws_gives_it_back():
    seen = see(MLP, did(whole=1.0, das=2.0, own=0.5, mean=1.0, mean_own=1.0, user=3.0, user_own=0.3))
    assert list(seen) == [DAS, USER, MEAN]
    read = read_seen(draws_table({key.at("mlp3"): one for key, one in seen.items()}))
    assert list(read) == [key.at("mlp3") for key in seen]
    for one, again in zip(seen.values(), read.values(), strict=True):
        assert (one.site, one.rank, one.groups) == (again.site, again.rank, again.groups)
        np.testing.assert_array_equal(one.share, again.share)
    table = seen_table(read).set_index("subspace")
    assert table.loc[USER.subspace, "own"] == 0.1
    assert table.loc[MEAN.subspace, "share"] == 1


def test_parts_are_not_judged_and_axes_are():
    listed = [DAS, DAS.of_part(OWN), USER, USER.of_axis(1), USER.of_axis(1).of_part(OWN), WHOLE, SubspaceKey("random")]
    assert judged_among(listed) == [DAS, USER, USER.of_axis(1)]
