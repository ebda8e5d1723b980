"""What tables call subspaces, and what they mean."""

from itertools import product

import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.subspace.keys import (
    METHODS,
    NULL,
    PARTS,
    ROW,
    TRAINED,
    SubspaceKey,
    axes_among,
    is_label,
    with_keys,
)

USERS = ("mine", "trained", "row part of mine", "axis 1 of mine", "user: mine", "the probe: 2")
FOUND = [*map(SubspaceKey, METHODS), *map(SubspaceKey.user, USERS)]


def test_every_name_is_read_as_what_it_was_written_for():
    keys = [
        SubspaceKey(key.method, part, seed, axis, key.is_user, "mlp8")
        for key, part, seed, axis in product(FOUND, PARTS, (None, 0, 12), (None, 1, 12))
    ]
    assert len({(key.subspace, key.seed_text) for key in keys}) == len(keys)
    for key in keys:
        assert SubspaceKey.read(key.subspace, key.seed_text, "mlp8") == key


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (SubspaceKey("trained", ROW), "row part"),
        (SubspaceKey("mean difference", ROW), "row part of the mean difference"),
        (SubspaceKey.user("mine").of_part(NULL), "null part of user: mine"),
        (SubspaceKey("trained", ROW, axis=2), "row part of axis 2 of trained"),
    ],
)
def test_names(key, name):
    assert key.subspace == name


@pytest.mark.parametrize(
    "name", ["", "mine", "row part of mine", "row part of trained", "axis 0 of trained", "the trained", "row part of "]
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(InputError, match="the name of no subspace"):
        SubspaceKey.read(name)


def test_a_seed_that_is_none_is_refused():
    with pytest.raises(InputError, match="'first' is no training seed"):
        SubspaceKey.read(TRAINED, "first")


def test_order_is_by_component_name_and_seed_pooled_last():
    trained, mine = SubspaceKey(TRAINED), SubspaceKey.user("mine")
    listed = [mine, trained, trained.of_seed(10), trained.of_seed(2), trained.of_part(ROW), trained.at("a")]
    assert sorted(listed) == [
        trained.of_part(ROW), trained.of_seed(2), trained.of_seed(10), trained, mine, trained.at("a")
    ]  # fmt: skip


def test_axes_are_those_of_the_subspace_that_is_named():
    a, b = SubspaceKey.user("a"), SubspaceKey.user("b")
    keys = [a.of_axis(1), b.of_axis(1), a.of_axis(1).of_part(ROW), a.of_axis(12), SubspaceKey("a", axis=1), a]
    assert axes_among(a, keys) == [a.of_axis(1), a.of_axis(12)]


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("mine", True),
        ("probe", True),
        ("row part", False),
        ("random", False),
        ("a:b", False),
        ("axis 1 of mine", False),
        ("row part of mine", False),
    ],
)
def test_a_label_is_a_word_that_no_subspace_of_a_run_is_called_by(text, may):
    assert is_label(text) == may


def test_keys_in_place_of_names():
    table = with_keys(pd.DataFrame(dict(subspace=["trained", "user: mine"], other=["random", "random"], x=[1, 2])))
    assert table["subspace"].tolist() == [SubspaceKey(TRAINED), SubspaceKey.user("mine")]
    assert table["other"].tolist() == [SubspaceKey("random")] * 2
    assert list(table) == ["subspace", "other", "x"]
