"""Reads signs that were written into the residual stream from the hidden activations of every MLP (E10)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.read_signs import read_signs as classify
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import read_tensors, write_table
from subspace_illusion.pipeline.layout import MODEL, RESULTS, TEXT
from subspace_illusion.pipeline.sections import ReadSigns, Signs
from subspace_illusion.pipeline.stage import run, say, ticker


def main(read_signs: ReadSigns, signs: Signs, seed: int) -> None:
    model, text = open_model(MODEL), Text.of(read_tensors(TEXT))
    classifiers = read_signs.directions * len(signs.z)
    say(
        f"{classifiers} classifiers from the MLP of each of {model.n_blocks} blocks at {len(text.rows.training)} "
        "positions"
    )
    told = classify(
        model,
        text,
        z=signs.z,
        directions=read_signs.directions,
        inverse_penalty=signs.C,
        seed=seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / "text/read_signs.csv", told)


if __name__ == "__main__":
    run(main, __doc__)
