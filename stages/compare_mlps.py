"""Compares the model's MLPs with random ones of other kinds, and rows with near duplicates with others (E9, E10).

Both are reasons for which what MLPs keep of the residual stream may differ from the post.
"""

import torch

from subspace_illusion.core.mlps import mlp_flops
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.compare_mlps import compare_duplicates, compare_mlps, spread_blocks
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import MODEL, RESULTS, TEXT, read_tensors, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker


def main(params: Params) -> None:
    model, text = open_model(MODEL), Text.of(read_tensors(TEXT))
    blocks = spread_blocks(model.n_blocks, params.compare_mlps.blocks)
    n, regressions = len(text.rows.training), params.compare_mlps.directions * len(params.read_signs.z)
    # Five lots of E10, four of E9 with a factorisation for every strength, and reading the text once more.
    flops = 2.5 * regressions * sum(mlp_flops(model, block, n) for block in blocks)
    flops += 2.4 * len(params.recover_directions.alphas) * len(blocks) * n**3 + model.flops(0, text.tokens.numel())
    say(f"random MLPs and padded text at blocks {blocks}, {duration(flops, torch.device('cpu'))}")
    compared = compare_mlps(
        model,
        text,
        blocks,
        directions=params.compare_mlps.directions,
        alphas=params.recover_directions.alphas,
        z=params.read_signs.z,
        inverse_penalty=params.read_signs.C,
        seed=params.compare_mlps.seed,
        on_mlp=ticker(4 * len(blocks), "MLP").update,
    )
    write_table(RESULTS / "text/compare_mlps.csv", compared)
    duplicates = compare_duplicates(
        model,
        text,
        blocks,
        directions=params.compare_mlps.directions,
        z=params.read_signs.z,
        inverse_penalty=params.read_signs.C,
        seed=params.compare_mlps.seed,
        on_block=ticker(len(blocks), "block").update,
    )
    write_table(RESULTS / "text/compare_mlps_duplicates.csv", duplicates)


if __name__ == "__main__":
    run(main, __doc__)
