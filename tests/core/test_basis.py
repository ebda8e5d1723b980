import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.core.basis import (
    SMALLEST_PART,
    closeness,
    main_axis,
    mean_difference,
    oriented,
    orthonormal,
    patch_change,
    principal_axes,
    random_basis,
    spaces,
    split,
    value_means,
)
from subspace_illusion.errors import InputError

# The post's abstract example: W_in = (1, 1, 0), W_out = (1, 0, 2), hidden = x W_in.
W_OUT = torch.tensor([[1.0], [0.0], [2.0]])


def hidden(x: float) -> torch.Tensor:
    return x * torch.tensor([[1.0, 1.0, 0.0]])


def direction(*entries: float) -> torch.Tensor:
    return orthonormal(torch.tensor(entries, dtype=torch.float32)[:, None])


@pytest.mark.parametrize(("base", "source"), [(1.0, -1.0), (-1.0, 1.0)])
def test_both_tables_of_the_post(base, source):
    true = hidden(base) + patch_change(hidden(base), hidden(source), direction(1, 0, 0))
    assert true.tolist() == [[source, base, 0]]
    assert (true @ W_OUT).item() == source
    illusory = hidden(base) + patch_change(hidden(base), hidden(source), direction(0, 1, 1))
    torch.testing.assert_close(illusory, torch.tensor([[base, 0.0, source]]))
    torch.testing.assert_close(illusory @ W_OUT, torch.tensor([[source]]))


def test_the_posts_direction_splits_into_irrelevant_and_dormant():
    parts = split(direction(0, 1, 1), W_OUT, tolerance=1e-6)
    assert parts.rank == 1
    # The row space is spanned by (1, 0, 2); the row part of (0, 1, 1)/sqrt 2 is its projection on that.
    torch.testing.assert_close(parts.row_vectors, torch.tensor([[2.0], [0.0], [4.0]]) / (5 * math.sqrt(2)))
    torch.testing.assert_close(parts.null_vectors.T @ W_OUT, torch.zeros(1, 1))
    torch.testing.assert_close(parts.row_vectors + parts.null_vectors, direction(0, 1, 1))


dimensions = st.tuples(st.integers(2, 12), st.integers(1, 3), st.integers(1, 12), st.integers(0, 10**6)).filter(
    lambda dims: dims[1] < dims[0]
)


@settings(max_examples=60, deadline=None)
@given(dimensions)
def test_split_is_an_orthogonal_sum_whose_null_part_the_readout_does_not_see(dims):
    d, k, out, seed = dims
    basis = random_basis(d, k, seed)
    readout = torch.randn(d, out, generator=torch.Generator().manual_seed(seed))
    parts = split(basis, readout, tolerance=1e-6)
    torch.testing.assert_close(parts.row_vectors + parts.null_vectors, basis)
    torch.testing.assert_close(parts.null_vectors.T @ readout, torch.zeros(k, out), atol=1e-5, rtol=0)
    torch.testing.assert_close(parts.row_vectors.T @ parts.null_vectors, torch.zeros(k, k), atol=1e-5, rtol=0)
    both = parts.both
    torch.testing.assert_close(both.T @ both, torch.eye(both.shape[1]), atol=1e-4, rtol=0)
    # The whole subspace lies in the span of both parts, but for what is too short to be one.
    torch.testing.assert_close(both @ (both.T @ basis), basis, atol=2 * SMALLEST_PART, rtol=0)


@settings(max_examples=40, deadline=None)
@given(dimensions)
def test_patching_moves_the_subspace_to_the_source_and_nothing_else(dims):
    d, k, _, seed = dims
    generator = torch.Generator().manual_seed(seed)
    base, source = torch.randn(2, 5, d, generator=generator)
    basis = random_basis(d, k, seed)
    patched = base + patch_change(base, source, basis)
    torch.testing.assert_close(patched @ basis, source @ basis, atol=1e-4, rtol=0)
    rest = torch.eye(d) - basis @ basis.T
    torch.testing.assert_close(patched @ rest, base @ rest, atol=1e-4, rtol=0)
    torch.testing.assert_close(base + patch_change(base, source, None), source)
    assert patch_change(base, base, basis).abs().max() == 0


def test_orthonormal_keeps_orientation_and_gradient():
    matrix = torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 0.0]], requires_grad=True)
    basis = orthonormal(matrix)
    torch.testing.assert_close(basis, torch.eye(3)[:, :2])
    basis.sum().backward()
    assert matrix.grad.isfinite().all()


def test_a_readout_of_full_rank_leaves_no_null_part():
    parts = split(random_basis(4, 1, 0), torch.eye(4), tolerance=1e-6)
    assert parts.null is None
    assert parts.both.shape == (4, 1)


@pytest.mark.parametrize("columns", [[0], [0, 1]])
def test_what_numbers_leave_over_is_no_part(columns):
    """Columns in the row space (e1, e2) but for noise of 1e-4 outside of it give no null axis, one column or two."""
    readout = torch.eye(4)[:, :2]
    basis = orthonormal(torch.eye(4)[:, columns] + 1e-4 * torch.tensor([[0.0], [0], [1], [-1]]))
    parts = split(basis, readout, tolerance=1e-6)
    assert 0 < parts.null_vectors.norm() < 1e-3
    assert parts.null is None
    assert parts.both.shape == (4, len(columns))


def test_a_plane_with_one_column_in_the_row_space_has_one_null_axis():
    """The second column has a real null part; the first one's 1e-4 makes no axis of its own beside it."""
    readout = torch.eye(4)[:, :2]
    columns = torch.tensor([[1.0, 0], [0, 1], [0, 1], [1e-4, 0]])
    parts = split(orthonormal(columns), readout, tolerance=1e-6)
    assert parts.row.shape == (4, 2)
    assert parts.null.shape == (4, 1)
    torch.testing.assert_close(parts.null.abs(), torch.eye(4)[:, 2:3], atol=1e-3, rtol=0)
    assert parts.both.shape == (4, 3)


@pytest.mark.parametrize("sine", [0.02, 0.5])
def test_a_short_part_that_is_real_counts_in_a_line_and_in_a_plane(sine):
    tilted = torch.tensor([1.0, 0, sine, 0])[:, None]
    for basis in (orthonormal(tilted), orthonormal(torch.cat([tilted, torch.eye(4)[:, 1:2]], 1))):
        null = split(basis, torch.eye(4)[:, :2], tolerance=1e-6).null
        torch.testing.assert_close(null.abs(), torch.eye(4)[:, 2:3])


def test_the_main_axis_is_where_the_difference_points_inside_the_subspace():
    plane = torch.eye(3)[:, :2]
    torch.testing.assert_close(main_axis(plane, direction(1, 1, 5)), direction(1, 1, 0))
    torch.testing.assert_close(main_axis(direction(0, 1, 0), direction(1, 1, 5)), direction(0, 1, 0))


def test_split_refuses_a_readout_of_another_space():
    with pytest.raises(InputError, match="takes 5 dimensions, the subspace lives in 4"):
        split(random_basis(4, 1, 0), torch.zeros(5, 2), tolerance=1e-6)


def test_mean_difference_and_orientation_point_to_the_last_value():
    activations = torch.tensor([[3.0, 0.0], [5.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    values = torch.tensor([1, 1, 0, 0])
    torch.testing.assert_close(value_means(activations, values), torch.tensor([[0.0, 0], [4, 0]]))
    torch.testing.assert_close(mean_difference(activations, values), direction(1, 0))
    torch.testing.assert_close(mean_difference(activations, 3 * values), direction(1, 0))  # values may lack prompts
    torch.testing.assert_close(mean_difference(activations, values, rank=2), direction(1, 0))
    torch.testing.assert_close(oriented(direction(-1, 0), activations, values), direction(1, 0))
    with pytest.raises(InputError, match="two values at least"):
        mean_difference(activations, torch.ones(4, dtype=torch.long))
    with pytest.raises(InputError, match="no direction"):
        mean_difference(torch.ones(4, 2), values)


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 6), st.integers(1, 6), st.integers(0, 10**6))
def test_the_mean_difference_of_many_values_is_the_plane_in_which_their_means_vary_most(n, rank, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.arange(4 * n) % n
    x = torch.randn(4 * n, 8, generator=generator)
    basis = mean_difference(x, values, rank)
    k = min(rank, n - 1)
    assert basis.shape == (8, k)
    torch.testing.assert_close(basis.T @ basis, torch.eye(k), atol=1e-5, rtol=0)
    means = torch.stack([x[values == value].mean(0) for value in range(n)])
    centred = means - means.mean(0)
    # No other subspace of the rank holds more of the means' variance.
    most = torch.linalg.svdvals(centred)[:k].square().sum()
    assert float((centred @ basis).square().sum()) == pytest.approx(float(most), rel=1e-4)
    # The signs are those of the last value against the first.
    assert (((means[-1] - means[0]) @ basis) >= 0).all()
    torch.testing.assert_close(oriented(-basis, x, values), basis)


def test_value_means_that_lie_on_a_line_have_one_axis():
    """Three values at -1, 0 and 3 along one direction: a second axis would be rounding."""
    line = direction(1, 2, -1)
    values = torch.arange(12) % 3
    x = torch.tensor([-1.0, 0, 3])[values][:, None] * line.T
    basis = mean_difference(x, values, rank=2)
    torch.testing.assert_close(basis, line)


def test_the_main_axis_of_several_values_is_that_which_lies_most_inside():
    """Means that vary along e1 + e4 and e2: of the plane of e1 and e2, e2 lies inside whole."""
    difference = torch.stack([direction(1, 0, 0, 1)[:, 0], direction(0, 1, 0, 0)[:, 0]], 1)
    plane = torch.eye(4)[:, :2]
    torch.testing.assert_close(main_axis(plane, difference).abs(), direction(0, 1, 0, 0))
    torch.testing.assert_close(main_axis(direction(1, 0, 0, 0), difference), direction(1, 0, 0, 0))
    # Its sign is that of the first axis of the difference, where that one lies inside at all.
    turned = torch.stack([direction(1, 0.1, 0, 0)[:, 0], direction(0, 0, 1, 0)[:, 0]], 1)
    assert (main_axis(plane, turned).T @ turned[:, :1]).item() > 0
    assert (main_axis(plane, -turned).T @ -turned[:, :1]).item() > 0


def test_closeness_is_signed_for_directions_and_the_best_cosine_for_planes():
    assert closeness(direction(-1, 0, 0), direction(1, 0, 0)) == pytest.approx(-1)
    plane = torch.eye(3)[:, :2]
    assert closeness(direction(1, 1, 0), plane) == pytest.approx(1)
    assert closeness(direction(0, 1, 1), plane) == pytest.approx(math.sqrt(0.5))


@given(st.integers(0, 20), st.integers(2, 4))
def test_principal_axes_span_the_subspace_the_most_varying_first(seed, k):
    basis = random_basis(8, k, seed)
    activations = torch.randn(30, 8, generator=torch.Generator().manual_seed(seed)) * torch.arange(1, 9)
    axes = principal_axes(basis, activations)
    assert torch.allclose(axes.mT @ axes, torch.eye(k), atol=1e-5)
    assert torch.allclose(axes @ axes.mT, basis @ basis.mT, atol=1e-5)
    spread = (activations @ axes).var(0)
    assert (spread.diff() <= 1e-3 * spread[0]).all()


@given(dims=st.tuples(st.integers(1, 12), st.integers(1, 12)), seed=st.integers(0, 99))
def test_what_is_seen_and_what_is_not_make_up_a_vector(dims, seed):
    generator = torch.Generator().manual_seed(seed)
    readout, x = torch.randn(*dims, generator=generator), torch.randn(5, dims[0], generator=generator)
    halves = spaces(readout, 1e-5)
    seen, unread = x @ halves.seen, halves.unread(x)
    assert unread.shape[1] == dims[0] - halves.seen.shape[1]
    torch.testing.assert_close(seen.square().sum(1) + unread.square().sum(1), x.square().sum(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(halves.unread(readout.T), torch.zeros(dims[1], unread.shape[1]), atol=1e-4, rtol=0)
