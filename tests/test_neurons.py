import pytest
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.neuron_sweep import linear_fit, random_supports


def test_sets_are_nested_within_a_draw():
    runs, supports = random_supports(40, [0.1, 0.5, 1.0], 2, 1, seed=0)
    assert runs == [(4, 0), (4, 1), (20, 0), (20, 1), (40, 0), (40, 1)]
    assert supports.sum(1).tolist() == [4, 4, 20, 20, 40, 40]
    for draw in (0, 1):
        small, half, full = supports[draw::2]
        assert (small <= half).all()
        assert (half <= full).all()
    assert not torch.equal(supports[2], supports[3])


def test_sizes_that_fall_together_are_an_error():
    with pytest.raises(InputError, match="only 1 sizes"):
        random_supports(10, [0.1, 0.12], 1, 1, seed=0)


def test_the_line_by_hand():
    fit = linear_fit(torch.tensor([0, 100, 200]), torch.tensor([0.1, 0.3, 0.5]))
    assert fit == pytest.approx(dict(slope_per_neuron=0.002, intercept=0.1, r2=1.0, points=3), abs=1e-6)
