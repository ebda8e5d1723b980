"""The names of the methods, and whose they are."""

from subspace_illusion.subspace.methods import (
    GRADIENT,
    LENT,
    MEAN_DIFFERENCE,
    METHODS,
    NULL,
    ROW,
    TRAINED,
    axes_among,
    axis_of,
    part_of,
    user_labels,
)


def test_what_has_no_other_name_is_the_users_own():
    axes = [axis_of(method, number) for method in ("probe 2", TRAINED) for number in (1, 2)]
    parts = [part_of(of, part) for of in ("probe 2", *axes, MEAN_DIFFERENCE) for part in (LENT, ROW, NULL)]
    assert user_labels([*METHODS, "probe 2", *axes, *parts, "other"]) == ["probe 2", "other"]
    assert user_labels([GRADIENT]) == []


def test_axes_are_those_of_the_subspace_that_is_named():
    names = [axis_of("a", 1), axis_of("b", 1), part_of(axis_of("a", 1), ROW), axis_of("a", 12), axis_of("a+", 1)]
    assert axes_among("a", names) == ["axis 1 of a", "axis 12 of a"]
    assert axes_among("a+", names) == ["axis 1 of a+"]
