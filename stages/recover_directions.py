"""Recovers random directions of the residual stream from the hidden activations of every MLP, on one text (E9)."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.recover_directions import recover_directions as recover
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import read_tensors, write_table
from subspace_illusion.pipeline.layout import MODEL, RESULTS, TEXTS
from subspace_illusion.pipeline.sections import RecoverDirections, Recovery
from subspace_illusion.pipeline.stage import run, say, ticker


def main(text: str, recover_directions: RecoverDirections, recovery: Recovery, seed: int) -> None:
    model, read = open_model(MODEL), Text.of(read_tensors(TEXTS / f"{text}.safetensors"))
    directions, permutations = recover_directions.directions, recover_directions.permutations
    say(
        f"{directions} regressions from the MLP of each of {model.n_blocks} blocks at {len(read.rows.training)} "
        f"positions, and {permutations} with permuted targets for each"
    )
    recovered = recover(
        model,
        read,
        directions=directions,
        alphas=recovery.alphas,
        permutations=permutations,
        seed=seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / f"text/recover_directions/{text}.csv", recovered)


if __name__ == "__main__":
    run(main, __doc__)
