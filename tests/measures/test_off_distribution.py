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


def test_it_is_the_energy_distance_over_points_of_different_groups():
    """By hand, with two pairs in every group."""
    base, source, patched = normal(12, 1, 0), normal(12, 1, 1), normal(12, 1, 2) + 2
    groups = np.arange(12) // 2
    natural, unit = torch.cat([base, source]).double(), np.tile(groups, 2)
    spread = natural.std(unbiased=False)
    natural, moved = natural / spread, patched.double() / spread

    def apart(a: torch.Tensor, of_a: np.ndarray, b: torch.Tensor, of_b: np.ndarray) -> float:
        return float((a - b.T).abs()[torch.from_numpy(of_a[:, None] != of_b)].mean())

    across = apart(moved, groups, natural, unit)
    within = apart(moved, groups, moved, groups) + apart(natural, unit, natural, unit)
    found = inhomogeneity(Cloud(base, source, patched), Bootstrap.of(groups, 0, 0))
    assert found == pytest.approx([(2 * across - within) / (2 * across)], rel=1e-5)


def test_in_one_dimension_it_is_scipys_energy_distance_in_units_of_the_distance_apart():
    """But for what points beside themselves take off scipy's, one part in n."""
    base, source, patched = normal(400, 1, 0), normal(400, 1, 1), normal(400, 1, 2) + 2
    natural = torch.cat([base, source]).double()
    spread = natural.std(unbiased=False)
    natural, moved = natural / spread, patched.double() / spread
    expected = energy_distance(natural.squeeze(1), moved.squeeze(1)) ** 2 / (
        2 * float((moved - natural.T).abs().mean())
    )
    assert once(Cloud(base, source, patched)) == pytest.approx(expected, rel=0.01)


def swapped(groups: int, d: int, shift: float, seed: int) -> tuple[Cloud, np.ndarray]:
    """Both swaps of every case, so that each prompt stands twice, patched by a small shift of the source."""
    a, b = normal(groups, d, seed), normal(groups, d, seed + 1000)
    base, source = torch.cat([a, b]), torch.cat([b, a])
    step = torch.full((d,), shift / d**0.5)
    return Cloud(base, source, 0.9 * base + 0.1 * source + step), np.tile(np.arange(groups), 2)


@pytest.mark.parametrize("shift", [0.0, 0.3, 3.0])
def test_an_interval_holds_its_figure_where_prompts_stand_twice(shift):
    """A statistic that counts distances within a group has all its draws on one side of the figure."""
    for seed in range(10):
        of, groups = swapped(40, 30, shift, seed)
        draws = inhomogeneity(of, Bootstrap.of(groups, 200, seed))
        low, high = np.percentile(draws[1:], [2.5, 97.5])
        assert low <= draws[0] <= high
        assert 0.2 < (draws[1:] <= draws[0]).mean() <= 1 if draws[0] == 0 else 0.2 < (draws[1:] < draws[0]).mean() < 0.8


def test_it_has_no_bias_and_its_interval_covers_the_truth():
    # Three thousand groups, by five hundreds: time goes with the cube.
    truth = np.mean(
        [inhomogeneity(*_with_bootstrap(*swapped(500, 3, 1.5, seed), 0))[0] for seed in range(107, 707, 100)]
    )
    hits, figures = 0, []
    for seed in range(100):
        draws = inhomogeneity(*_with_bootstrap(*swapped(30, 3, 1.5, seed), 200))
        low, high = np.percentile(draws[1:], [2.5, 97.5])
        hits += low <= truth <= high
        figures.append(draws[0])
    assert np.mean(figures) == pytest.approx(truth, abs=0.01)
    assert 88 <= hits <= 100


def _with_bootstrap(of: Cloud, groups: np.ndarray, resamples: int) -> tuple[Cloud, Bootstrap]:
    return of, Bootstrap.of(groups, resamples, 0)


def test_of_one_group_nothing_is_known():
    of = Cloud(normal(6, 3, 0), normal(6, 3, 1), normal(6, 3, 2))
    assert np.isnan(inhomogeneity(of, Bootstrap.of(np.zeros(6), 20, 0))).all()


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
    # Points that lie apart by group are no two halves that lie apart, unless groups are cut.
    away = 9.0 * torch.arange(60)[:, None].ge(30)
    shifted = Cloud(of.base + away, of.source + away, of.base)
    one_by_one, in_groups = (floor(shifted, np.arange(60) // size, 200, 0) for size in (1, 15))
    assert one_by_one < 0.05 < in_groups
    assert np.isnan(floor(of, np.arange(60) // 30, 10, 0))
    assert floor(Cloud(*[torch.zeros(60, 1)] * 3), np.arange(60), 10, 0) == 0


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
    rows = list(distances(clouds, np.arange(30) // 2, Bootstrap.of(np.arange(30) // 2, 50, 0), 3, 0, {}))
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
        expected = [about | row for row in distances(clouds, groups, bootstrap, 3, 0, {})]
        assert [row for row in rows if row["subspace"] == key.subspace] == expected


def test_of_many_pairs_some_are_looked_at(monkeypatch):
    base, source = normal(360, 4, 1), 3 + normal(360, 4, 2)
    bootstrap, key = Bootstrap.of(np.repeat(np.arange(120), 3), 30, 0), SubspaceKey(TRAINED)
    asked = ("mlp8", (base, source), None, {key: random_basis(4, 1, 0)}, [key], normal(4, 2, 3), bootstrap)
    everything, some = [], []
    for most, rows in ((360, everything), (180, some)):
        monkeypatch.setattr(module, "MOST_PAIRS", most)
        rows += distances_of_component(*asked, tolerance=1e-5, halvings=5, seed=0)
    assert len(everything) == len(some)
    for all_pairs, fewer in zip(everything, some, strict=True):
        assert fewer["distance"] == pytest.approx(all_pairs["distance"], abs=0.05)
        assert fewer["floor"] == pytest.approx(all_pairs["floor"], abs=0.05)
    assert [row["distance"] for row in everything] != [row["distance"] for row in some]
