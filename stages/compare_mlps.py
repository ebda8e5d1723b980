"""Compares the model's MLPs with random ones of other kinds, and rows with near duplicates with others (E9, E10).

With the ranks of the MLPs' weights, these are reasons for which what MLPs keep of the residual stream may differ from
the post.
"""

from typing import Any

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.compare_mlps import compare_duplicates, spread_blocks
from subspace_illusion.experiments.compare_mlps import compare_mlps as compare
from subspace_illusion.experiments.recover_directions import rank_weights
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import read_tensors, write_table
from subspace_illusion.pipeline.layout import MODEL, RESULTS, TEXTS
from subspace_illusion.pipeline.sections import CompareMlps, Recovery, Signs
from subspace_illusion.pipeline.stage import run, say, ticker


def main(
    text: str, compare_mlps: CompareMlps, recovery: Recovery, signs: Signs, rank_tolerance: float, seed: int
) -> None:
    model, read = open_model(MODEL), Text.of(read_tensors(TEXTS / f"{text}.safetensors"))
    blocks = spread_blocks(model.n_blocks, compare_mlps.blocks)
    say(f"random MLPs and padded text at blocks {blocks}, {compare_mlps.directions} directions each")
    settings: dict[str, Any] = dict(directions=compare_mlps.directions, z=signs.z, inverse_penalty=signs.C, seed=seed)
    tick = ticker(4 * len(blocks), "MLP").update
    compared = compare(model, read, blocks, alphas=recovery.alphas, on_mlp=tick, **settings)
    write_table(RESULTS / "text/compare_mlps.csv", compared)
    duplicates = compare_duplicates(model, read, blocks, on_block=ticker(len(blocks), "block").update, **settings)
    write_table(RESULTS / "text/compare_mlps_duplicates.csv", duplicates)
    write_table(RESULTS / "text/compare_mlps_ranks.csv", rank_weights(model, rank_tolerance))


if __name__ == "__main__":
    run(main, __doc__)
