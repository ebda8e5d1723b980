import numpy as np
import pandas as pd
import pytest
import torch

from some_pairs import some_pairs
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.split_directions import (
    BY_CHANCE,
    RANDOM_SEEN,
    RANDOM_UNSEEN,
    READ_PARTS,
    SEEN,
    UNDIVIDED,
    UNSEEN,
    ReadPart,
    divide,
    split_directions,
    split_table,
)
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, POOLED, TRAINED, SubspaceKey
from subspace_illusion.tasks.table import DIFFERENT

DAS, MEAN = SubspaceKey(TRAINED), SubspaceKey(MEAN_DIFFERENCE)
FRAMES = {
    DAS.of_seed(4): random_basis(32, 1, 0),
    DAS.of_seed(2): random_basis(32, 1, 1),
    MEAN: random_basis(32, 2, 2),
}
TOLERANCE = 1e-5


def test_parts_are_orthogonal_and_their_squared_norms_sum_to_one():
    readout = torch.randn(32, 8, generator=torch.Generator().manual_seed(3))
    parts, rank = divide(FRAMES, readout, TOLERANCE, 2, 0)
    assert rank == 8
    for key in FRAMES:
        for seen, unseen, draw in (
            (SEEN, UNSEEN, None),
            (RANDOM_SEEN, RANDOM_UNSEEN, 0),
            (RANDOM_SEEN, RANDOM_UNSEEN, 1),
        ):
            if key == DAS.of_seed(2) and draw is not None:  # random subspaces are for the first seed
                assert ReadPart(key, seen, draw) not in parts
                continue
            one, other = parts[ReadPart(key, seen, draw)], parts[ReadPart(key, unseen, draw)]
            assert one.norm**2 + other.norm**2 == pytest.approx(1, abs=1e-5)
            torch.testing.assert_close(
                one.basis.mT @ other.basis, torch.zeros(len(one.basis.mT), len(other.basis.mT)), atol=1e-5, rtol=0
            )
        unseen = parts[ReadPart(key, UNSEEN)].basis
        assert (unseen.mT @ readout).abs().max() < 1e-4
        # The two parts together make the direction.
    direction = sum(
        parts[ReadPart(DAS.of_seed(4), part)].norm * parts[ReadPart(DAS.of_seed(4), part)].basis
        for part in (SEEN, UNSEEN)
    )
    torch.testing.assert_close(direction, FRAMES[DAS.of_seed(4)], atol=1e-5, rtol=0)


def test_a_random_subspace_is_the_same_for_every_method():
    bases = {DAS.of_seed(0): FRAMES[DAS.of_seed(4)], SubspaceKey(GRADIENT): FRAMES[DAS.of_seed(4)]}
    parts, _ = divide(bases, torch.eye(32)[:, :5], TOLERANCE, 2, 0)
    for draw in (0, 1):
        one, other = (parts[ReadPart(which, RANDOM_SEEN, draw)].basis for which in bases)
        torch.testing.assert_close(one, other)
    assert not torch.allclose(*(parts[ReadPart(DAS.of_seed(0), RANDOM_SEEN, draw)].basis for draw in (0, 1)))


def test_a_part_that_is_empty_is_left_out():
    bases = {MEAN: torch.eye(32)[:, :1]}
    parts, _ = divide(bases, torch.eye(32)[:, :5], TOLERANCE, 0, 0)
    assert {key.part for key in parts} == {UNDIVIDED, SEEN}
    assert parts[ReadPart(MEAN, SEEN)].norm == pytest.approx(1)


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < 0)


def test_shares_are_of_the_same_pairs_and_seeds():
    outcomes = {
        ReadPart(DAS.of_seed(0), UNDIVIDED): outcome(0, 2),  # effect 3
        ReadPart(DAS.of_seed(1), UNDIVIDED): outcome(2, 4),  # effect 1
        ReadPart(DAS.of_seed(0), SEEN): outcome(1, 3),  # 2
        ReadPart(DAS.of_seed(1), SEEN): outcome(3, 4),  # 0.5
        ReadPart(DAS.of_seed(0), RANDOM_SEEN, 0): outcome(2, 4),  # 1
        ReadPart(DAS.of_seed(0), RANDOM_SEEN, 1): outcome(0, 2),  # 3
    }
    table = split_table(outcomes, dict.fromkeys(outcomes, 0.5), 0.25, np.array([4.0, 4.0]), Bootstrap.of([0, 1], 10, 0))
    wholes = table[table["part"] == UNDIVIDED].set_index("seed")
    assert wholes["row_share"].to_dict() == pytest.approx({POOLED: 2.5 / 4, "0": 2 / 3, "1": 0.5}, abs=1e-6)
    # Random subspaces divided the first seed alone, whose effect they are a share of.
    assert wholes.loc[[POOLED, "0"], "random_row_share"].tolist() == pytest.approx([2 / 3, 2 / 3], abs=1e-6)
    assert np.isnan(wholes.loc["1", "random_row_share"])
    random = table[table["part"] == RANDOM_SEEN]
    assert list(zip(random["seed"], random["draw"], strict=True)) == [
        (POOLED, POOLED),
        (POOLED, 0),
        (POOLED, 1),
        ("0", POOLED),
    ]
    assert random["effect"].tolist() == [2, 1, 3, 2]
    # Two random subspaces are no sample of them.
    assert random.set_index("draw").loc[POOLED, ["effect_lo", "effect_hi"]].isna().all(axis=None)
    assert wholes["random_row_share_lo"].isna().all()
    assert set(table.loc[table["part"] == SEEN, "chance_norm"]) == {0.5}
    assert table.loc[table["part"] != UNDIVIDED, "row_share"].isna().all()


@pytest.fixture(scope="module")
def pairs(llama):
    return some_pairs(llama, [residual_after(1)], 2, kinds=[DIFFERENT])


def divided(pairs, heads) -> pd.DataFrame:
    bootstrap = Bootstrap.of(pairs.groups, 10, 0)
    settings = dict(tolerance=TOLERANCE, draws=2, seed=0, batch=3)
    table, by_pair = split_directions(pairs, residual_after(1), FRAMES, heads, False, bootstrap, **settings)
    if heads:
        # Pair for pair the same: means over seeds, and of the seed that random subspaces divide.
        means = pairs.ld_clean.mean() - by_pair.groupby("subspace")[["whole", "seen"]].mean()
        pooled = table[(table["seed"] == POOLED) & table["draw"].isna()].set_index(["subspace", "part"])["effect"]
        for method in means.index:
            assert means.loc[method].tolist() == pytest.approx(
                pooled.loc[[(method, UNDIVIDED), (method, SEEN)]].tolist(), abs=1e-5
            )
        assert by_pair["pair"].tolist() == 2 * pairs.table["pair"].tolist()
        of_trained = by_pair[by_pair["subspace"] == TRAINED]
        chance = (pairs.ld_clean.mean() - of_trained.filter(like=BY_CHANCE).mean()).to_numpy()
        random = table[(table["subspace"] == TRAINED) & (table["part"] == RANDOM_SEEN)].set_index("draw")["effect"]
        assert chance.tolist() == pytest.approx([random[0], random[1]], abs=1e-5)
    return table


def test_every_seed_has_its_rows(pairs):
    table = divided(pairs, [Site(2, "attn.hook_z", 1), Site(3, "attn.hook_z", 0)])
    by_part = {part: rows["seed"].tolist() for part, rows in table[table["subspace"] == TRAINED].groupby("part")}
    assert by_part[UNDIVIDED] == by_part[SEEN] == by_part[UNSEEN] == [POOLED, "4", "2"]
    assert by_part[RANDOM_SEEN] == [POOLED, POOLED, POOLED, "4"]
    assert set(table["part"]) == set(READ_PARTS)
    norms = table[(table["subspace"] == TRAINED) & (table["seed"] == "2")].set_index("part")["norm"]
    assert norms[SEEN] ** 2 + norms[UNSEEN] ** 2 == pytest.approx(1, abs=1e-5)


def test_without_readers_directions_are_patched_whole_and_no_more(pairs):
    table = divided(pairs, [])
    assert set(table["part"]) == {UNDIVIDED}
    assert "row_share" not in table
    assert table["seed"].tolist() == [POOLED, "4", "2", POOLED]
