import numpy as np
import pandas as pd
import pytest
import torch

from subspace_illusion.experiments.tell_names import ALIKE, SIGNIFICANT, UNALIKE, analyse, tell_names, without_position
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, POOLED, RANDOM, TRAINED, SubspaceKey

CASES, FEW = 40, [f"name {i}" for i in range(8)]
PERMUTATIONS = 99


def prompts(names: list[str] = FEW, cases: int = CASES, seed: int = 0) -> pd.DataFrame:
    """Four prompts a case: ABB and BAB of one pair of names, CDD and DCD of another, where the first name is second."""
    rng = np.random.default_rng(seed)
    rows = []
    for case in range(cases):
        a, b, c, d = rng.choice(names, 4, replace=False)
        for pattern, io, s in (("ABB", a, b), ("BAB", a, b), ("CDD", c, d), ("DCD", c, d)):
            rows.append(dict(group=f"case-{case}", template=case % 2, pattern=pattern, io=io, s=s))
    return pd.DataFrame(rows)


PROMPTS = prompts()
S_IS_SECOND = PROMPTS["pattern"].isin(["ABB", "CDD"]).to_numpy(dtype=float)


def noise(seed: int, size: int = 4 * CASES) -> np.ndarray:
    return np.random.default_rng([7, seed]).normal(size=size)


def p_of(values: np.ndarray, name: str = "IO", table: pd.DataFrame = PROMPTS, half: str = ALIKE) -> np.ndarray:
    """The p of every column."""
    found = analyse(without_position(values, table)[half], name, PERMUTATIONS, 0)
    return np.array([found.p(place) for place in range(values.shape[1])])


def test_names_that_are_there_are_told():
    value = dict(zip(FEW, np.random.default_rng(1).normal(size=len(FEW)), strict=True))
    io = PROMPTS["io"].map(value).to_numpy() + 0.1 * noise(0) + 5 * S_IS_SECOND
    found = analyse(without_position(io[:, None], PROMPTS)[ALIKE], "IO", PERMUTATIONS, 0)
    assert found.p(0) == 1 / (1 + PERMUTATIONS)
    assert found.omega_squared[0] > 0.9
    assert (found.names, found.units) == (len(FEW), 2 * CASES)


def test_noise_is_not_told():
    p = p_of(np.stack([noise(seed) for seed in range(40)], 1))
    assert (p < SIGNIFICANT).mean() <= 0.15
    assert 0.3 < np.median(p) < 0.7


def test_the_position_alone_is_not_told():
    """However strong it is, and whatever its size in a template: it is taken out before names are asked for."""
    strong = 100 * S_IS_SECOND * (1 + PROMPTS["template"].to_numpy())
    for units in without_position(strong[:, None], PROMPTS).values():
        assert abs(units.values).max() < 1e-9
        assert units.left == pytest.approx([0], abs=1e-12)
    with_noise = np.stack([strong + noise(seed) for seed in range(20)], 1)
    assert np.median(p_of(with_noise)) > 0.2


@pytest.mark.parametrize("prompts_a_case", [2, 4])
def test_what_prompts_of_a_case_share_is_not_counted_twice(prompts_a_case):
    """Noise that two prompts with the same names share, or all four of a case, tells no names."""
    size = 4 * CASES // prompts_a_case
    shared = np.stack([noise(seed, size).repeat(prompts_a_case) for seed in range(40)], 1)
    p = p_of(shared)
    assert (p < SIGNIFICANT).mean() <= 0.15
    assert np.median(p) > 0.2


def test_units_by_hand():
    table = prompts(cases=2).assign(template=0)
    halves = without_position(np.arange(8.0)[:, None], table)
    units = halves[ALIKE]
    # S second: 0, 2, 4, 6, mean 3; S first: 1, 3, 5, 7, mean 4. Left -3 -3 -1 -1 1 1 3 3, two prompts a unit.
    assert units.values[:, :, 0].tolist() == [[-3, -1], [1, 3]]
    assert units.names["IO"].tolist() == table["io"].to_numpy()[::2].reshape(2, 2).tolist()
    assert units.left == pytest.approx([40 / 42])
    assert halves[UNALIKE].values[:, :, 0].tolist() == [[0, 0], [0, 0]]


def test_names_that_shift_the_positions_apart_are_told_by_the_other_half():
    value = dict(zip(FEW, np.random.default_rng(1).normal(size=len(FEW)), strict=True))
    io = PROMPTS["io"].map(value).to_numpy() * (2 * S_IS_SECOND - 1) + 0.1 * noise(0)
    assert p_of(io[:, None], half=UNALIKE)[0] == 1 / (1 + PERMUTATIONS)
    assert p_of(io[:, None], half=ALIKE)[0] > SIGNIFICANT


def test_with_every_name_once_nothing_can_be_told():
    table = prompts([f"name {i}" for i in range(400)], cases=3)
    table["io"] = [f"other {i // 2}" for i in range(len(table))]
    assert np.isnan(p_of(noise(0, 12)[:, None], table=table)).all()


def test_the_table():
    """Direction 0 holds IO, direction 1 nothing; seeds are pooled, random directions stand beside."""
    value = dict(zip(FEW, np.random.default_rng(1).normal(size=len(FEW)), strict=True))
    x = torch.tensor(np.stack([noise(seed) for seed in range(6)], 1))
    x[:, 0] += 10 * torch.tensor(PROMPTS["io"].map(value).to_numpy())
    trained = SubspaceKey(TRAINED)
    axes = {trained.of_seed(0): 0, trained.of_seed(1): 1, SubspaceKey(MEAN_DIFFERENCE): 0}
    bases = {key: torch.eye(6)[:, place : place + 1] for key, place in axes.items()}
    table = tell_names(x, PROMPTS, bases, random_directions=5, permutations=PERMUTATIONS, seed=0)
    assert (table["half"].value_counts() == len(table) / 2).all()
    io = table[(table["name"] == "IO") & (table["half"] == ALIKE)].set_index(["subspace", "seed"])
    floor = 1 / (1 + PERMUTATIONS)
    assert io.index.tolist() == [
        (TRAINED, POOLED), (TRAINED, "0"), (TRAINED, "1"), (MEAN_DIFFERENCE, POOLED), (RANDOM, POOLED),
    ]  # fmt: skip
    assert io.loc[(TRAINED, "0"), "p"] == io.loc[(MEAN_DIFFERENCE, POOLED), "p"] == floor
    assert io.loc[(TRAINED, "1"), "p"] > floor
    assert io.loc[(TRAINED, POOLED), "directions"] == 2
    assert io.loc[(RANDOM, POOLED), "directions"] == 5
