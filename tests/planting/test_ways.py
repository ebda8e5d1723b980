"""Ways of finding directions: a probe's, and all of them in a component that a signal was planted in."""

import torch

from subspace_illusion.planting.ways import probe


def test_a_probe_points_from_the_first_value_to_the_last():
    generator = torch.Generator().manual_seed(0)
    values = torch.arange(40) % 2
    activations = torch.randn(40, 5, generator=generator) + 4 * values[:, None] * torch.eye(5)[0]
    found = probe(activations, values)
    assert found.shape == (5, 1)
    assert found[0] > 0.9
