"""Distances between patched and natural clouds (E15)."""

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance

from subspace_illusion.core.basis import random_basis, spaces
from subspace_illusion.measures import off_distribution as module
from subspace_illusion.measures.off_distribution import (
    COMPONENT,
    NEXT_INPUT,
    OUTPUT,
    WRITTEN,
    Cloud,
    cloud,
    distances,
    distances_of_component,
    floor,
    inhomogeneity,
    looked_at,
)
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import ROW, TRAINED, WHOLE, SubspaceKey


def normal(n: int, d: int, seed: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def once(of: Cloud) -> float:
    return float(inhomogeneity(of, Bootstrap.of(range(len(of.base)), 0, 0))[0])


def test_in_one_dimension_it_is_scipys_energy_distance_in_units_of_the_distance_apart():
    """scipy's mean within a cloud has every point beside itself, which takes one part in n off it."""
    base, source, patched = normal(30, 1, 0), normal(30, 1, 1), normal(30, 1, 2) + 2
    natural = torch.cat([base, source]).double()
    spread = natural.std(unbiased=False)
    natural, moved = natural / spread, patched.double() / spread
    squared = energy_distance(natural.squeeze(1), moved.squeeze(1)) ** 2
    apart, of_natural, of_moved = (
        float((a - b.T).abs().mean()) for a, b in ((moved, natural), (natural, natural), (moved, moved))
    )
    expected = (squared - of_natural / 59 - of_moved / 29) / (2 * apart)
    assert once(Cloud(base, source, patched)) == pytest.approx(expected, rel=1e-5)


def test_a_patch_that_hands_over_everything_leads_nowhere_new():
    """The whole component: patched base prompts are sources, and swapped pairs are the natural cloud itself."""
    a, b = normal(20, 5, 0), normal(20, 5, 1) + 3
    base, source = torch.cat([a, b]), torch.cat([b, a])
    assert once(cloud(base, source, None)) == pytest.approx(0, abs=1e-6)


def test_it_grows_with_how_far_the_patch_leads_and_has_no_unit():
    base, source = normal(40, 4, 0), normal(40, 4, 1)
    near, far = (once(Cloud(base, source, base + shift)) for shift in (1, 5))
    assert 0 < near < far < 1
    assert once(Cloud(100 * base, 100 * source, 100 * base + 100)) == pytest.approx(near, abs=1e-6)


def test_coordinates_are_standardised_by_the_natural_cloud_and_one_that_does_not_vary_is_left_out():
    base, source = normal(40, 2, 0), normal(40, 2, 1)
    still = torch.zeros(40, 1)
    narrow, wide = (
        Cloud(base, source, base + 1),
        Cloud(*(x * torch.tensor([1.0, 50.0]) for x in (base, source, base + 1))),
    )
    assert once(narrow) == pytest.approx(once(wide), abs=1e-6)
    assert once(Cloud(*(torch.cat([x, still], 1) for x in (base, source, base + 1)))) == pytest.approx(once(narrow))
    assert once(Cloud(still, still, still)) == 0


def test_the_floor_is_small_and_keeps_groups_whole():
    of = Cloud(normal(60, 3, 0), normal(60, 3, 1), normal(60, 3, 2))
    assert 0 <= floor(of, np.arange(60), 10, 0) < 0.05
    # Two groups that lie apart are two halves that lie apart.
    shifted = Cloud(
        of.base + torch.arange(60)[:, None].ge(30) * 9, of.source + torch.arange(60)[:, None].ge(30) * 9, of.base
    )
    assert floor(shifted, np.arange(60) // 30, 10, 0) > 0.5
    assert np.isnan(floor(of, np.zeros(60), 10, 0))


def test_every_place_and_part():
    base, source, readout = normal(30, 6, 0), normal(30, 6, 1), normal(6, 4, 2)
    after = normal(30, 4, 3), normal(30, 4, 4)
    found = looked_at(base, source, random_basis(6, 1, 0), readout, spaces(readout, 1e-5), after)
    clouds = {(place, part): of for place, part, of in found}
    assert list(clouds) == [
        (COMPONENT, "all of it"), (COMPONENT, "what acts"), (COMPONENT, "what nothing reads"),
        (OUTPUT, "all of it"), (OUTPUT, WRITTEN), (NEXT_INPUT, "all of it"),
    ]  # fmt: skip
    assert clouds[COMPONENT, "what acts"].base.shape == (30, 4)
    assert clouds[COMPONENT, "what nothing reads"].base.shape == (30, 2)
    # What nothing reads has no part in the output, which is what is added to the residual stream.
    written = clouds[OUTPUT, "all of it"].patched - clouds[OUTPUT, "all of it"].base
    moved = clouds[NEXT_INPUT, "all of it"].patched - clouds[NEXT_INPUT, "all of it"].base
    assert torch.allclose(written, moved, atol=1e-5)
    assert clouds[OUTPUT, WRITTEN].base.shape == (30, 1)
    residual = [place for place, _, _ in looked_at(base, source, None, None, None, (base, source))]
    assert residual == [COMPONENT, NEXT_INPUT]


def test_rows_have_an_interval_over_groups():
    base, source = normal(30, 3, 0), normal(30, 3, 1)
    clouds = looked_at(base, source, random_basis(3, 1, 0), None, None, (base, source))
    rows = list(distances(clouds, np.arange(30) // 2, Bootstrap.of(np.arange(30) // 2, 50, 0), 3, 0))
    assert all(row["distance_lo"] <= row["distance"] <= row["distance_hi"] for row in rows)


def test_the_rows_of_a_component_are_those_of_its_patches_whole_and_by_each_methods_first_seed():
    """With the floors that the pairs' own groups give."""
    base, source, readout = normal(30, 6, 0), normal(30, 6, 1), normal(6, 3, 2)
    after, groups = (normal(30, 3, 3), normal(30, 3, 4)), np.arange(30) // 2 + 7
    bootstrap = Bootstrap.of(groups, 50, 0)
    trained = SubspaceKey(TRAINED)
    bases = {trained.of_seed(seed): random_basis(6, 1, seed) for seed in (0, 1)}
    bases[trained.of_seed(0).of_part(ROW)] = normal(6, 1, 5)
    rows = list(
        distances_of_component(
            "mlp8", (base, source), after, bases, [trained], readout, bootstrap, tolerance=1e-5, halvings=3, seed=0
        )
    )
    assert {(row["component"], row["subspace"]) for row in rows} == {("mlp8", "whole component"), ("mlp8", "trained")}
    halves = spaces(readout, 1e-5)
    for key, basis in {WHOLE: None, trained: bases[trained.of_seed(0)]}.items():
        clouds = looked_at(base, source, basis, readout, halves, after)
        about = dict(component="mlp8", subspace=key.subspace)
        expected = [about | row for row in distances(clouds, groups, bootstrap, 3, 0)]
        assert [row for row in rows if row["subspace"] == key.subspace] == expected


def test_of_many_pairs_some_are_looked_at(monkeypatch):
    base, source = normal(360, 4, 1), 3 + normal(360, 4, 2)
    groups = np.repeat(np.arange(120), 3)
    bootstrap = Bootstrap.of(groups, 30, 0)
    of = cloud(base, source, random_basis(4, 1, 0))
    everything, spread = inhomogeneity(of, bootstrap), floor(of, groups, 5, 0)
    monkeypatch.setattr(module, "MOST_PAIRS", 180)
    assert inhomogeneity(of, bootstrap)[0] == pytest.approx(everything[0], abs=0.05)
    assert inhomogeneity(of, bootstrap)[0] != everything[0]
    assert floor(of, groups, 5, 0) == pytest.approx(spread, abs=0.05)
