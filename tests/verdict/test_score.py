"""The score: its sub-scores in small cases that can be worked out by hand."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion.core.basis import orthonormal, random_basis, row_space
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, ROW, TRAINED, WHOLE, SubspaceKey
from subspace_illusion.verdict.score import (
    Score,
    draws_table,
    lost_to_readers,
    of_activations,
    read_scores,
    score_component,
    score_of,
    score_table,
    scored,
)

N = 40
BOOTSTRAP = Bootstrap.of(range(N), 100, 0)
CLEAN = np.linspace(3, 5, N)


def sub_scores(effect: float, whole: float, row: float | None) -> dict[str, float]:
    part = None if row is None else CLEAN - row
    score = score_of(CLEAN, CLEAN - effect, CLEAN - whole, part, CLEAN - 4, BOOTSTRAP)
    return {name: draws[0] for name, draws in score.sub_scores.items()}


@pytest.mark.parametrize(
    ("effect", "whole", "row", "apart", "lost"),
    [
        (2.0, 2.0, 2.0, 0.0, 0.0),
        (2.0, 1.0, 0.5, 0.5, 0.75),  # it does twice what its component does
        (1.0, 2.0, 1.0, 0.5, 0.0),  # and half
        (2.0, -1.0, 3.0, 1.0, 0.0),  # other signs have nothing in common; a part that does more loses nothing
        (-2.0, -2.0, -1.0, 0.0, 0.5),  # a negative effect is asked the same
        (2.0, 0.0, 0.0, 1.0, 1.0),
    ],
)
def test_effects_too_large_and_too_small(effect, whole, row, apart, lost):
    assert sub_scores(effect, whole, row) == dict(lost=pytest.approx(lost), apart=pytest.approx(apart))


def test_what_does_not_apply_is_no_sub_score():
    assert set(sub_scores(1.0, 1.0, None)) == {"apart"}
    score = score_of(CLEAN, CLEAN - 1, CLEAN - 1, None, CLEAN - 4, BOOTSTRAP)
    assert not score.applies
    assert score.moved == pytest.approx(0.25)
    assert np.isnan(score.draws).all()


@given(st.floats(0.1, 5), st.floats(-5, 5), st.floats(-5, 5), st.floats(0.1, 10))
def test_the_sub_scores_are_shares_and_have_no_unit(effect, whole, row, unit):
    found, scaled = sub_scores(effect, whole, row), sub_scores(effect * unit, whole * unit, row * unit)
    assert all(0 <= share <= 1 for share in found.values())
    assert found == {name: pytest.approx(share, abs=1e-6) for name, share in scaled.items()}


def activations(seed: int = 0, d: int = 6) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Pairs that differ along the first two dimensions, both ways."""
    noise = torch.randn(2, N, d, generator=torch.Generator().manual_seed(seed)) * 0.1
    sign = torch.where(torch.arange(N) % 2 == 0, 1.0, -1.0)
    apart = torch.zeros(d)
    apart[:2] = 1
    return sign[:, None] * apart + noise[0], -sign[:, None] * apart + noise[1], ((sign > 0).long(), (sign < 0).long())


def test_what_is_lent_and_how_far_it_leads():
    """Only the first dimension is read. A direction along it lends nothing and takes the output where sources are."""
    base, source, values = activations()
    readout = torch.zeros(6, 3)
    readout[0, 0] = 1
    own = of_activations(base, source, values, [torch.eye(6)[:, :1]], readout, row_space(readout, 1e-5), BOOTSTRAP)
    assert own["lent"][0] == pytest.approx(0, abs=1e-6)
    assert own["off"][0] < 0.01
    both = orthonormal(torch.eye(6)[:, :1] + torch.eye(6)[:, 1:2])
    mixed = of_activations(base, source, values, [both], readout, row_space(readout, 1e-5), BOOTSTRAP)
    assert mixed["lent"][0] == pytest.approx(0.5, abs=0.02)
    asleep = orthonormal(torch.eye(6)[:, 1:2] + torch.eye(6)[:, 2:3])
    readout[2, 1] = 1
    woken = of_activations(base, source, values, [asleep], readout, row_space(readout, 1e-5), BOOTSTRAP)
    assert woken["lent"][0] == pytest.approx(1, abs=0.05)
    assert woken["off"][0] > 0.2


def test_without_a_null_space_nothing_is_lent():
    base, source, values = activations(d=3)
    found = of_activations(base, source, values, [torch.eye(3)[:, :1]], torch.eye(3), torch.eye(3).double(), BOOTSTRAP)
    assert set(found) == {"off"}


def test_seeds_count_alike():
    base, source, values = activations()
    readout = torch.randn(6, 3, generator=torch.Generator().manual_seed(1))
    bases = [random_basis(6, 1, seed) for seed in (0, 1)]
    both = of_activations(base, source, values, bases, readout, row_space(readout, 1e-5), BOOTSTRAP)
    each = [
        of_activations(base, source, values, [basis], readout, row_space(readout, 1e-5), BOOTSTRAP) for basis in bases
    ]
    for name in ("lent", "off"):
        assert both[name] == pytest.approx(np.mean([one[name] for one in each], 0))


def test_what_readers_miss_counts_beside_what_they_miss_of_any_direction():
    """They miss a tenth where random subspaces miss a quarter, and as much as those where they miss a quarter too."""
    chance = (CLEAN - 2, np.tile(CLEAN - 1.5, (5, 1)))
    for missed, share in ((0.2, 0.4), (0.5, 1.0), (0.8, 1.0), (0.0, 0.0)):
        found = lost_to_readers(CLEAN, CLEAN - 2, CLEAN - 2 + missed, chance, BOOTSTRAP)
        assert found["lost"][0] == pytest.approx(share)
    assert lost_to_readers(CLEAN, CLEAN - 2, CLEAN - 1.9, (CLEAN - 2, np.tile(CLEAN - 1.98, (5, 1))), BOOTSTRAP) == {}


def test_random_subspaces_are_drawn_too():
    """What they miss is an estimate from a few: with them held fixed, no draw would know it."""
    by_chance = np.stack([CLEAN - 2 + missed for missed in (0.3, 0.4, 0.5, 0.6, 0.7)])
    (draws,) = lost_to_readers(CLEAN, CLEAN - 2, CLEAN - 1.8, (CLEAN - 2, by_chance), BOOTSTRAP).values()
    assert draws[0] == pytest.approx(0.4)
    low, high = np.percentile(draws[1:], [2.5, 97.5])
    assert low < 0.36 < 0.45 < high


DAS, MEAN, MINE = SubspaceKey(TRAINED), SubspaceKey(MEAN_DIFFERENCE), SubspaceKey.user("mine")


def did(effects: Mapping[SubspaceKey, float]) -> pd.DataFrame:
    return pd.DataFrame(
        dict(pair=range(N), group=range(N), ld=CLEAN, residual=CLEAN - 3)
        | {key.subspace: CLEAN - x for key, x in effects.items()}
    )


SETTINGS = dict(swaps=True, tolerance=1e-5, resamples=50, seed=0)


def test_every_method_of_a_component_is_scored_by_its_own_parts():
    base, source, values = activations()
    readout = torch.zeros(6, 3)
    readout[0, 0] = 1
    basis = torch.eye(6)[:, :1]
    null = torch.eye(6)[:, 3:4]
    table = did({WHOLE: 1.0, DAS: 2.0, DAS.of_part(ROW): 1.0, MEAN: 1.0, MEAN.of_part(ROW): 1.0, MINE: 0.5})
    bases = {DAS.of_seed(0): basis, DAS.of_seed(1): basis, MEAN: basis, MINE: null}
    found = score_component(table, bases, base, source, values, readout, None, **SETTINGS)
    assert list(found) == [DAS, MINE, MEAN]
    assert found[DAS].sub_scores["lost"][0] == pytest.approx(0.5)
    assert found[MEAN].sub_scores["lost"][0] == pytest.approx(0)
    assert found[MINE].sub_scores["lost"][0] == 1  # it has no row part, and all of its effect goes with the null part
    one_way = score_component(table, bases, base, source, values, readout, None, **SETTINGS | dict(swaps=False))
    assert set(one_way[DAS].sub_scores) == {"lent", "lost", "apart"}
    assert {score.groups for score in found.values()} == {table["group"].nunique()}
    scores = {key.at("mlp8"): score for key, score in found.items()}
    again = read_scores(draws_table(scores))
    for key, score in scores.items():
        assert again[key].draws == pytest.approx(score.draws)
        assert again[key].groups == score.groups
    rows = score_table(scores)
    assert rows["figures"].tolist() == ["lent+lost+apart+off"] * 3


def test_residual_subspaces_rest_on_the_pairs_that_were_split():
    base, source, values = activations()
    splits = pd.DataFrame(
        dict(pair=range(10), subspace=TRAINED, whole=CLEAN[:10] - 2, seen=CLEAN[:10] - 1,
             whole_by_chance=CLEAN[:10] - 2, **{f"seen_by_chance_{draw}": CLEAN[:10] for draw in range(5)})
    )  # fmt: skip
    table = did({WHOLE: 2.0, DAS: 2.0, MEAN: 2.0})
    found = score_component(table, {}, base, source, values, None, splits, **SETTINGS)
    assert found[DAS].sub_scores["lost"][0] == pytest.approx(0.5, abs=0.02)
    assert set(found[MEAN].sub_scores) == {"apart"}


def test_axes_stand_behind_their_subspace():
    keys = [WHOLE, MINE.of_axis(2), MINE.of_axis(1), MINE.of_axis(1).of_part(ROW), MINE, DAS, DAS.of_part(ROW)]
    assert scored(keys) == [DAS, MINE, MINE.of_axis(2), MINE.of_axis(1)]


def test_a_score_that_is_the_same_in_every_draw_has_no_interval():
    row = Score(np.full(5, 0.5), dict(lent=np.full(5, 0.2), lost=np.full(5, 0.4)), 0.5, 20).row()
    assert row["score"] == pytest.approx(0.3)
    assert np.isnan(row["score_lo"])
