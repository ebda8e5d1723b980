"""Recovers random directions of the residual stream from the hidden activations of every MLP (E9)."""

import torch

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.recover_directions import rank_weights, recover_directions
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import MODEL, RESULTS, TEXT, read_tensors, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker


def main(params: Params) -> None:
    model, text = open_model(MODEL), Text.of(read_tensors(TEXT))
    n, permutations = len(text.rows.training), params.recover_directions.permutations
    # A factorisation for every strength, which then predicts every target, permuted ones too.
    strengths, targets = len(params.recover_directions.alphas), params.recover_directions.directions * permutations
    flops = model.n_blocks * n**2 * strengths * (0.6 * n + 0.25 * targets)
    say(
        f"{params.recover_directions.directions} regressions from the MLP of each of {model.n_blocks} blocks at {n} "
        f"positions, and {permutations} with permuted targets for each, {duration(flops, torch.device('cpu'))}"
    )
    recovered = recover_directions(
        model,
        text,
        directions=params.recover_directions.directions,
        alphas=params.recover_directions.alphas,
        permutations=permutations,
        seed=params.recover_directions.seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / "text/recover_directions.csv", recovered)
    ranks = rank_weights(model, params.recover_directions.rank_tolerance)
    write_table(RESULTS / "text/recover_directions_ranks.csv", ranks)


if __name__ == "__main__":
    run(main, __doc__)
