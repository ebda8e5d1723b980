import pytest
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.names import name_probe

CASES = [f"case-{i // 2}" for i in range(80)]
NAMES = [["Anna", "Paul", "Lisa", "Max"][(i // 2) % 4] for i in range(80)]
SETTINGS = dict(folds=4, permutations=30, seed=0)


def test_names_that_are_there_are_read():
    x = torch.nn.functional.one_hot(torch.tensor([(i // 2) % 4 for i in range(80)])).float()
    probe = name_probe(
        x + 0.01 * torch.randn(80, 4, generator=torch.Generator().manual_seed(0)), NAMES, CASES, **SETTINGS
    )
    assert probe["accuracy"] == 1
    assert probe["p"] == pytest.approx(1 / 31)
    assert 0.1 < probe["chance"] < 0.4


def test_names_that_are_not_there_are_not_read():
    draws = [torch.randn(80, 1, generator=torch.Generator().manual_seed(i)) for i in range(5)]
    probes = [name_probe(x, NAMES, CASES, **SETTINGS) for x in draws]
    assert sorted(probe["p"] for probe in probes)[2] > 0.05
    assert max(probe["accuracy"] for probe in probes) < 0.5


def test_what_a_case_shares_does_not_leak():
    """Activations that know the case but not the name: with a case's prompts in two folds this would be easy."""
    x = torch.randn(40, 8, generator=torch.Generator().manual_seed(2)).repeat_interleave(2, 0)
    assert name_probe(x, NAMES, CASES, **SETTINGS)["accuracy"] < 0.5


def test_too_little_is_an_error():
    with pytest.raises(InputError, match="at least 4 cases"):
        name_probe(torch.randn(4, 1), NAMES[:4], CASES[:4], **SETTINGS)
