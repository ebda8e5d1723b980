"""The abstract example (E0): the post's linear model, small enough to compute every claim about it exactly.

Each table is a list of rows, a row a dictionary of plain values.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from subspace_illusion.core.basis import orthonormal, patch_change
from subspace_illusion.core.seeds import torch_generator

TOLERANCE = 1e-9
"""What is smaller is zero: everything here is in double precision and of about size one."""

RANDOM_PAIRS = 100
"""Random pairs of inputs on which the generalisation is tried."""

BOTH_TRAITS = "correlated and causal"
IRRELEVANT = "irrelevant"
DORMANT_TRAIT = "dormant"
NEITHER_TRAIT = "neither"
SUM = "e2 + e3"

Table = list[dict[str, Any]]
Basis = Mapping[str, tuple[tuple[float, ...], str]]
"""Directions by name: the vector, not normalised, and the class that the post gives it."""


def columns(*vectors: tuple[float, ...]) -> torch.Tensor:
    """The vectors as columns, ``[d, k]``."""
    return torch.tensor(vectors, dtype=torch.float64).T


@dataclass(frozen=True)
class LinearModel:
    """Inputs ``[n, inputs]`` -> hidden activations ``[n, d]`` -> outputs ``[n, outputs]``.

    Attributes:
        w_in: What each hidden unit reads, ``[d, inputs]``.
        w_out: What each hidden unit writes, ``[d, outputs]``.
    """

    w_in: torch.Tensor
    w_out: torch.Tensor

    def hidden(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.w_in.mT

    def output(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden @ self.w_out

    def patched(self, base: torch.Tensor, source: torch.Tensor, subspace: torch.Tensor) -> torch.Tensor:
        """Hidden activations ``[n, d]`` of base inputs, patched from source inputs along columns ``[d, k]``."""
        hidden = self.hidden(base)
        return hidden + patch_change(hidden, self.hidden(source), orthonormal(subspace))

    def in_basis(self, basis: torch.Tensor) -> "LinearModel":
        """The same model with the coordinates along the columns of ``basis``, ``[d, d]``, as its hidden units."""
        return LinearModel(torch.linalg.solve(basis, self.w_in), basis.mT @ self.w_out)


INPUTS = columns((1, -1))
"""All inputs of the post's task, ``[2, 1]``."""

EXAMPLE = LinearModel(columns((1, 1, 0)), columns((1, 0, 2)))
EXAMPLE_PATCHES = {"e1": columns((1, 0, 0)), SUM: columns((0, 1, 1))}
"""The post's model and the directions of its two tables ("Setup for the example", "Geometric intuition")."""

STANDARD: Basis = {"e1": ((1, 0, 0), BOTH_TRAITS), "e2": ((0, 1, 0), IRRELEVANT), "e3": ((0, 0, 1), DORMANT_TRAIT)}
"""The hidden units themselves; the post calls the first one correct."""

ROTATED: Basis = {
    SUM: ((0, 1, 1), BOTH_TRAITS),
    "2 e1 + e2 - e3": ((2, 1, -1), IRRELEVANT),
    "-e1 + e2 - e3": ((-1, 1, -1), DORMANT_TRAIT),
}
"""The basis of the post's appendix, "The importance of correct model units"."""

HEADS = LinearModel(columns((1, 1, -1)), columns((1, 1, 1)))
HEADS_PATCHES = {
    "both heads": columns((0, 1, 0), (0, 0, 1)),
    "positive head": columns((0, 1, 0)),
    "negative head": columns((0, 0, 1)),
}
"""The post's footnote 6: beside the correct unit two heads that cancel, patched together and alone."""

HEADS_BASIS: Basis = {
    "correct unit": ((1, 0, 0), BOTH_TRAITS),
    "positive - negative head": ((0, 1, -1), IRRELEVANT),
    "positive + negative head": ((0, 1, 1), DORMANT_TRAIT),
}
"""The basis in which ``HEADS`` is ``EXAMPLE``; the footnote says that there is one, the classes are the example's.

Its vectors in the plane of the heads are orthogonal and of one length, so patching inside the plane is the same before
and after the change; a direction that mixes the heads with the correct unit, whose vector is shorter, would change.
"""


def span(basis: Basis) -> torch.Tensor:
    """The vectors of a basis as columns, ``[d, d]``."""
    return columns(*(vector for vector, _ in basis.values()))


def patch_table(model: LinearModel, subspaces: Mapping[str, torch.Tensor]) -> Table:
    """Patches a model of one input and one output into 1 from -1 and into -1 from 1.

    Args:
        model: The model.
        subspaces: What to patch by name, columns ``[d, k]``.
    """
    rows = []
    for name, subspace in subspaces.items():
        before, after = model.hidden(INPUTS), model.patched(INPUTS, -INPUTS, subspace)
        for i, x in enumerate(INPUTS.int().flatten().tolist()):
            rows.append(
                dict(
                    direction=name,
                    patch=f"into {x} from {-x}",
                    hidden_before=plain(before[i]),
                    hidden_after=plain(after[i]),
                    output_before=plain(model.output(before[i])[0]),
                    output_after=plain(model.output(after[i])[0]),
                )
            )
    return rows


def traits(model: LinearModel, direction: torch.Tensor, data: torch.Tensor) -> tuple[bool, bool]:
    """Whether a direction is correlated and whether it is causal.

    Correlated: the projection on it varies over the data. Causal: moving along it moves the output.

    Args:
        model: The model.
        direction: ``[d]``, of any length.
        data: Inputs ``[n, inputs]``.
    """
    unit = direction / direction.norm()
    projections = model.hidden(data) @ unit
    return bool(projections.max() - projections.min() > TOLERANCE), bool(model.output(unit).norm() > TOLERANCE)


def kind(correlated: bool, causal: bool) -> str:
    """The class of a direction, in the post's words."""
    if correlated:
        return BOTH_TRAITS if causal else IRRELEVANT
    return DORMANT_TRAIT if causal else NEITHER_TRAIT


def basis_table(model: LinearModel, basis: Basis, others: Mapping[str, torch.Tensor]) -> Table:
    """Every direction of a basis, classed by computation beside what the post says, and what it is as a hidden unit.

    Args:
        model: A model of one input and one output.
        basis: A whole basis of its hidden activations.
        others: Directions ``[d, 1]`` whose coordinates in the basis are of interest.
    """
    matrix = span(basis)
    changed = model.in_basis(matrix)
    rows = []
    for i, (name, (vector, post_says)) in enumerate(basis.items()):
        correlated, causal = traits(model, matrix[:, i], INPUTS)
        rows.append(
            dict(direction=name, vector=list(vector), correlated=correlated, causal=causal)
            | {"class": kind(correlated, causal), "post_says": post_says}
            | dict(w_in=plain(changed.w_in[i, 0]), w_out=plain(changed.w_out[i, 0]))
            | dict(coordinates={name: plain(torch.linalg.solve(matrix, other)[i, 0]) for name, other in others.items()})
        )
    return rows


def generalised(k: int, m: int) -> tuple[LinearModel, dict[str, torch.Tensor]]:
    """The example for inputs of ``k`` dimensions, with ``m`` irrelevant directions for each dormant one.

    Patching the sum of ``m`` irrelevant units and a dormant one that writes ``w`` moves the output by ``w m / (m + 1)``
    of the difference between the inputs; ``w = 1 + 1 / m`` makes that the whole. The post's 2 is the case ``m = 1``.

    Returns:
        The model, ``k`` correct units, then ``k m`` irrelevant and ``k`` dormant ones, and the subspaces to patch by
        name, columns ``[k (m + 2), k]`` (twice as many for the span of both parts).
    """
    eye = torch.eye(k, dtype=torch.float64)
    correct, irrelevant, dormant = (
        torch.cat([entry * eye for entry in entries])
        for entries in ((1, *[0] * m, 0), (0, *[1] * m, 0), (0, *[0] * m, 1))
    )  # fmt: skip
    model = LinearModel(correct + irrelevant, correct + (1 + 1 / m) * dormant)
    return model, {
        "correct units": correct,
        "sums": irrelevant + dormant,
        "irrelevant part": irrelevant,
        "dormant part": dormant,
        "span of both": torch.cat([irrelevant, dormant], 1),
    }


def generalisation_table(k: int, m: int, seed: int) -> Table:
    """What patching each subspace of ``generalised(k, m)`` does between random inputs, drawn by ``seed``.

    ``from_source`` and ``from_base`` are the largest differences between the patched output and the source's and the
    base's own; ``agrees`` is whether the output is whose it should be.
    """
    model, subspaces = generalised(k, m)
    base, source = torch.randn(2, RANDOM_PAIRS, k, generator=torch_generator(seed, "toy", k, m), dtype=torch.float64)
    rows = []
    for name, subspace in subspaces.items():
        change = model.patched(base, source, subspace) - model.hidden(base)
        output = model.output(model.hidden(base) + change)
        from_source, from_base = (float((output - model.output(model.hidden(x))).abs().max()) for x in (source, base))
        rows.append(
            dict(
                k=k,
                irrelevant_per_dormant=m,
                dormant_weight=plain(model.w_out[-1, -1]),
                patched=name,
                dimensions=subspace.shape[1],
                correct_units_moved=plain(change[:, :k].abs().max()),
                from_source=plain(from_source),
                from_base=plain(from_base),
                agrees=(from_source if name in ("correct units", "sums") else from_base) < TOLERANCE,
            )
        )
    return rows


def plain(values: Any) -> Any:
    """A number or tensor as plain numbers of 12 digits, whole ones as integers, none of them minus zero."""
    if isinstance(values, torch.Tensor):
        values = values.tolist()
    if isinstance(values, list):
        return [plain(value) for value in values]
    rounded = round(values, 12)
    return int(rounded) if rounded == int(rounded) else rounded


def toy_example(dimensions: Sequence[int], seed: int) -> dict[str, Any]:
    """Every table of the abstract example.

    Args:
        dimensions: Of the inputs in the generalisation.
        seed: Of the random inputs on which the generalisation is tried.

    Returns:
        ``patches``, ``bases``, ``generalisation`` and ``cancelling_heads``, which has the tables ``patches``,
        ``change_of_basis`` and ``patches_in_new_basis``.
    """
    heads = {name: HEADS_PATCHES[name] for name in ("positive head", "negative head")}
    basis = span(HEADS_BASIS)
    in_basis = {name: torch.linalg.solve(basis, subspace) for name, subspace in HEADS_PATCHES.items()}
    return dict(
        patches=patch_table(EXAMPLE, EXAMPLE_PATCHES),
        bases=[
            dict(basis=name) | row
            for name, of_name in dict(standard=STANDARD, rotated=ROTATED).items()
            for row in basis_table(EXAMPLE, of_name, EXAMPLE_PATCHES)
        ],
        generalisation=[
            row
            for k in dimensions
            for m in (1, 3)  # irrelevant directions for each dormant one
            for row in generalisation_table(k, m, seed)
        ],
        cancelling_heads=dict(
            patches=patch_table(HEADS, HEADS_PATCHES),
            change_of_basis=basis_table(HEADS, HEADS_BASIS, heads),
            patches_in_new_basis=patch_table(HEADS.in_basis(basis), in_basis),
        ),
    )
