"""Reads signs that were written into the residual stream from the hidden activations of every MLP (E10)."""

import torch

from subspace_illusion.core.mlps import mlp_flops
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.read_signs import read_signs
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import MODEL, RESULTS, TEXT, read_tensors, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker


def main(params: Params) -> None:
    model, text = open_model(MODEL), Text.of(read_tensors(TEXT))
    n, regressions = len(text.rows.training), params.read_signs.directions * len(params.read_signs.z)
    # Regressions run on the CPU; each takes about half as long as running the MLP at every position there.
    flops = 0.5 * regressions * sum(mlp_flops(model, block, n) for block in range(model.n_blocks))
    say(
        f"{regressions} classifiers from the MLP of each of {model.n_blocks} blocks at {n} positions, "
        f"{duration(flops, torch.device('cpu'))}"
    )
    signs = read_signs(
        model,
        text,
        z=params.read_signs.z,
        directions=params.read_signs.directions,
        inverse_penalty=params.read_signs.C,
        seed=params.read_signs.seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / "text/read_signs.csv", signs)


if __name__ == "__main__":
    run(main, __doc__)
