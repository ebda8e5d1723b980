"""Computes the post's abstract example, its two bases, its generalisation, and the cancelling heads (E0)."""

import torch

from subspace_illusion.experiments.toy_example import (
    EXAMPLE,
    EXAMPLE_PATCHES,
    HEADS,
    HEADS_BASIS,
    HEADS_PATCHES,
    ROTATED,
    STANDARD,
    basis_table,
    generalisation_table,
    patch_table,
    span,
)
from subspace_illusion.files import RESULTS, write_json
from subspace_illusion.pipeline.stage import run, say


def main(params) -> None:
    say("computing the abstract example, a second")
    heads = {name: HEADS_PATCHES[name] for name in ("positive head", "negative head")}
    heads_basis = span(HEADS_BASIS)
    tables = dict(
        patches=patch_table(EXAMPLE, EXAMPLE_PATCHES),
        bases=[
            dict(basis=name) | row
            for name, basis in dict(standard=STANDARD, rotated=ROTATED).items()
            for row in basis_table(EXAMPLE, basis, EXAMPLE_PATCHES)
        ],
        generalisation=[
            row
            for k in params.toy_example.dimensions
            for m in (1, 3)  # irrelevant directions for each dormant one
            for row in generalisation_table(k, m, params.toy_example.seed)
        ],
        cancelling_heads=dict(
            patches=patch_table(HEADS, HEADS_PATCHES),
            change_of_basis=basis_table(HEADS, HEADS_BASIS, heads),
            patches_in_new_basis=patch_table(
                HEADS.in_basis(heads_basis),
                {name: torch.linalg.solve(heads_basis, subspace) for name, subspace in HEADS_PATCHES.items()},
            ),
        ),
    )
    write_json(RESULTS / "toy_example.json", tables)


if __name__ == "__main__":
    run(main, __doc__, reads=("toy_example",))
