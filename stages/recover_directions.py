"""Recovers random directions of the residual stream from the hidden activations of every MLP (E9)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.recover_directions import rank_weights
from subspace_illusion.experiments.recover_directions import recover_directions as recover
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import read_tensors, write_table
from subspace_illusion.pipeline.layout import MODEL, RESULTS, TEXT
from subspace_illusion.pipeline.sections import RecoverDirections, Recovery
from subspace_illusion.pipeline.stage import run, say, ticker


def main(recover_directions: RecoverDirections, recovery: Recovery, rank_tolerance: float, seed: int) -> None:
    model, text = open_model(MODEL), Text.of(read_tensors(TEXT))
    directions, permutations = recover_directions.directions, recover_directions.permutations
    say(
        f"{directions} regressions from the MLP of each of {model.n_blocks} blocks at {len(text.rows.training)} "
        f"positions, and {permutations} with permuted targets for each"
    )
    recovered = recover(
        model,
        text,
        directions=directions,
        alphas=recovery.alphas,
        permutations=permutations,
        seed=seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / "text/recover_directions.csv", recovered)
    write_table(RESULTS / "text/recover_directions_ranks.csv", rank_weights(model, rank_tolerance))


if __name__ == "__main__":
    run(main, __doc__)
