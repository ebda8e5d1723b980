import numpy as np
import pandas as pd
import pytest
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.dormant import waking, written_along

ABSTRACT = torch.tensor([[1.0, 1, 0], [-1, -1, 0]])  # the post's example: hidden activations of x = 1 and x = -1
W_OUT = torch.tensor([[1.0], [0], [2]])


def test_the_posts_example_by_hand():
    illusory = torch.tensor([[0.0], [1], [1]]) / 2**0.5
    mlp_alone = W_OUT * torch.tensor([[0.0], [1], [1]])  # e2 and e3 as a component of their own
    clean, patched = written_along(ABSTRACT, ABSTRACT.flip(0), illusory, mlp_alone, torch.ones(1, 1))
    assert clean.tolist() == [0, 0]
    assert patched == pytest.approx([-2, 2])
    clean, patched = written_along(ABSTRACT, ABSTRACT.flip(0), torch.eye(3)[:, :1], None, torch.eye(3)[:, :1])
    assert clean.tolist() == [1, -1]
    assert patched.tolist() == [-1, 1]


def pairs(clean: dict[str, float], patched: dict[tuple[str, str], float], copies: int = 20) -> pd.DataFrame:
    """Pairs of all four combinations with values around those given, two seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for (base, source), value in patched.items():
        for copy in range(copies):
            for seed in (0, 1):
                noise = 0.01 * rng.normal(size=2)
                rows.append(
                    dict(
                        seed=seed, pair=f"{base}{source}{copy:02d}", base_pattern=base, source_pattern=source,
                        clean=clean[base] + noise[0], patched=value + noise[1],
                    )
                )  # fmt: skip
    return pd.DataFrame(rows)


COMBINATIONS = [("ABB", "CDD"), ("ABB", "DCD"), ("BAB", "DCD"), ("BAB", "CDD")]


def test_a_dormant_pathway_wakes():
    table = pairs({"ABB": 0.1, "BAB": -0.1}, dict(zip(COMBINATIONS, [0.1, -2.0, -0.1, 2.0], strict=True)))
    figures = waking(table, (0, 100), resamples=200, seed=0)
    assert figures["clean_gap"] == pytest.approx(0.2, abs=0.01)
    assert figures["patched_gap"] == pytest.approx(2.1, abs=0.01)
    assert figures["gap_ratio"] == pytest.approx(10.5, rel=0.1)
    assert figures["gap_ratio_lo"] < figures["gap_ratio"] < figures["gap_ratio_hi"]
    assert figures["outside"] == 1
    assert figures["outside_same"] < 0.2


def test_a_variable_that_the_component_carries_stays_in_its_range():
    table = pairs({"ABB": 1.0, "BAB": -1.0}, dict(zip(COMBINATIONS, [1.0, -1.0, -1.0, 1.0], strict=True)))
    figures = waking(table, (0, 100), resamples=200, seed=0)
    assert figures["gap_ratio"] == pytest.approx(1, abs=0.01)
    assert figures["outside"] < 0.2


def test_a_missing_combination_is_an_error():
    table = pairs({"ABB": 1.0, "BAB": -1.0}, {("ABB", "CDD"): 1.0, ("ABB", "DCD"): -1.0})
    with pytest.raises(InputError, match="all four combinations"):
        waking(table, (0, 100), resamples=100, seed=0)
