import math

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.core.basis import orthonormal, split
from subspace_illusion.experiments.toy_example import (
    BOTH_TRAITS,
    DORMANT_TRAIT,
    EXAMPLE,
    EXAMPLE_PATCHES,
    HEADS,
    HEADS_BASIS,
    HEADS_PATCHES,
    INPUTS,
    IRRELEVANT,
    NEITHER_TRAIT,
    ROTATED,
    STANDARD,
    basis_table,
    columns,
    generalisation_table,
    generalised,
    kind,
    patch_table,
    plain,
    span,
    traits,
)
from subspace_illusion.report.plots.toy_example import toy_example_figure


def test_both_tables_of_the_post():
    assert [tuple(row.values()) for row in patch_table(EXAMPLE, EXAMPLE_PATCHES)] == [
        ("e1", "into 1 from -1", [1, 1, 0], [-1, 1, 0], 1, -1),
        ("e1", "into -1 from 1", [-1, -1, 0], [1, -1, 0], -1, 1),
        ("e2 + e3", "into 1 from -1", [1, 1, 0], [1, 0, -1], 1, -1),
        ("e2 + e3", "into -1 from 1", [-1, -1, 0], [-1, 0, 1], -1, 1),
    ]


@pytest.mark.parametrize("basis", [STANDARD, ROTATED])
def test_both_bases_are_what_the_post_says(basis):
    table = pd.DataFrame(basis_table(EXAMPLE, basis, {}))
    assert table["class"].tolist() == table["post_says"].tolist() == [BOTH_TRAITS, IRRELEVANT, DORMANT_TRAIT]
    assert (table["w_in"] * table["w_out"]).tolist() == pytest.approx([1, 0, 0])
    gram = span(basis).mT @ span(basis)
    assert torch.equal(gram, gram.diagonal().diag())


def test_in_the_rotated_basis_the_correct_unit_is_the_illusory_one():
    """There e2 + e3 is the one correct unit, and e1 the sum of an irrelevant and a dormant direction."""
    shares = [row["coordinates"] for row in basis_table(EXAMPLE, ROTATED, EXAMPLE_PATCHES)]
    assert [share["e2 + e3"] for share in shares] == [1, 0, 0]
    assert [share["e1"] for share in shares] == pytest.approx([0, 1 / 3, -1 / 3])
    alone = {name: span(ROTATED)[:, [i]] for i, name in enumerate(ROTATED)}
    outputs = [row["output_after"] for row in patch_table(EXAMPLE, alone)]
    assert outputs == [-1, 1, 1, -1, 1, -1]  # only the first of the three changes the base's output


def test_the_readout_splits_the_sum_into_the_two_units_only_without_the_correct_unit():
    illusory = orthonormal(columns((0, 1, 1)))
    outside = split(illusory[1:], EXAMPLE.w_out[1:], tolerance=1e-6)
    torch.testing.assert_close(outside.row_vectors * math.sqrt(2), torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(outside.null_vectors * math.sqrt(2), torch.tensor([[1.0], [0.0]]))
    whole = split(illusory, EXAMPLE.w_out, tolerance=1e-6)
    assert traits(EXAMPLE, whole.row_vectors[:, 0].double(), INPUTS) == (True, True)  # it holds some of e1


@pytest.mark.parametrize(
    ("vector", "expected"),
    [((1, -1, 0), DORMANT_TRAIT), ((0, 3, 0), IRRELEVANT), ((-2, 2, 1), NEITHER_TRAIT), ((0.1, 0, 0), BOTH_TRAITS)],
)
def test_a_direction_has_one_of_four_classes(vector, expected):
    assert kind(*traits(EXAMPLE, columns(vector)[:, 0], INPUTS)) == expected


entries = st.integers(-3, 3)


@settings(max_examples=60)
@given(st.tuples(entries, entries, entries).filter(any), st.floats(1e-3, 1e3), st.sampled_from([-1, 1]))
def test_a_class_is_two_scalar_products_and_does_not_depend_on_scale(vector, scale, sign):
    direction = columns(vector)[:, 0]
    a, b, c = vector
    assert traits(EXAMPLE, sign * scale * direction, INPUTS) == (a + b != 0, a + 2 * c != 0)


def test_the_generalisation_starts_at_the_post():
    model, subspaces = generalised(1, 1)
    assert torch.equal(model.w_in, EXAMPLE.w_in)
    assert torch.equal(model.w_out, EXAMPLE.w_out)
    assert torch.equal(subspaces["sums"], EXAMPLE_PATCHES["e2 + e3"])


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10**6), st.floats(1e-3, 1e3))
def test_the_sums_reproduce_the_interchange_and_their_parts_do_nothing(k, m, seed, size):
    model, subspaces = generalised(k, m)
    base, source = size * torch.randn(2, 7, k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    torch.testing.assert_close(model.output(model.hidden(base)), base)
    for name, subspace in subspaces.items():
        hidden = model.patched(base, source, subspace)
        expected = source if name in ("correct units", "sums") else base
        torch.testing.assert_close(model.output(hidden), expected, atol=1e-9 * size, rtol=0)
        if name != "correct units":
            torch.testing.assert_close(hidden[:, :k], base, atol=1e-9 * size, rtol=0)


@pytest.mark.parametrize(("k", "m"), [(1, 1), (2, 3)])
def test_the_table_of_the_generalisation(k, m):
    table = pd.DataFrame(generalisation_table(k, m, seed=0)).set_index("patched")
    assert table["agrees"].all()
    assert table["dimensions"].tolist() == [k, k, k, k, 2 * k]
    assert table["dormant_weight"].iloc[0] == pytest.approx(1 + 1 / m)
    assert (table["from_source"] == 0).tolist() == [True, True, False, False, False]
    assert (table["from_base"] == 0).tolist() == [False, False, True, True, True]
    assert (table["correct_units_moved"] == 0).tolist() == [False, True, True, True, True]


def test_one_of_two_cancelling_heads_acts_and_both_do_not():
    table = pd.DataFrame(patch_table(HEADS, HEADS_PATCHES))
    assert table["output_before"].tolist() == [1, -1] * 3
    # The negative head alone does not flip the answer: it strengthens it.
    assert table["output_after"].tolist() == [1, -1, -1, 1, 3, -3]


def test_the_cancelling_heads_are_the_example_in_another_basis():
    matrix = span(HEADS_BASIS)
    changed = HEADS.in_basis(matrix)
    torch.testing.assert_close(changed.w_in, EXAMPLE.w_in)
    torch.testing.assert_close(changed.w_out, EXAMPLE.w_out)
    units = {name: torch.linalg.solve(matrix, unit) for name, unit in HEADS_PATCHES.items()}
    torch.testing.assert_close(2 * units["positive head"], EXAMPLE_PATCHES["e2 + e3"])
    before = patch_table(HEADS, HEADS_PATCHES)
    after = patch_table(changed, units)
    for one, other in zip(before, after, strict=True):
        seen = torch.linalg.solve(matrix, columns(one["hidden_after"]))
        assert plain(seen[:, 0]) == other["hidden_after"]
    table = pd.DataFrame(basis_table(HEADS, HEADS_BASIS, {}))
    assert table["class"].tolist() == table["post_says"].tolist() == [BOTH_TRAITS, IRRELEVANT, DORMANT_TRAIT]


def test_numbers_are_plain():
    assert plain(torch.tensor([-0.0, 1 + 1e-15, 1 / 3], dtype=torch.float64)) == [0, 1, 0.333333333333]
    assert str(plain(torch.tensor(-1e-16))) == "0"


def test_the_picture_draws():
    figure = toy_example_figure(pd.DataFrame(patch_table(EXAMPLE, EXAMPLE_PATCHES)))
    words = {text.get_text() for text in figure.axes[0].texts}
    assert {"into 1 from -1\noutput 1 → -1", "into -1 from 1\noutput -1 → 1"} <= words
