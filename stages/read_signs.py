"""Reads signs written into the residual stream from the hidden activations of every MLP, on one text (E10)."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.read_signs import read_signs as classify
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import read_tensors, write_table
from subspace_illusion.pipeline.layout import MODEL, RESULTS, TEXTS
from subspace_illusion.pipeline.sections import ReadSigns, Signs
from subspace_illusion.pipeline.stage import run, say, ticker


def main(text: str, read_signs: ReadSigns, signs: Signs, seed: int) -> None:
    model, read = open_model(MODEL), Text.of(read_tensors(TEXTS / f"{text}.safetensors"))
    classifiers = read_signs.directions * len(signs.z)
    say(
        f"{classifiers} classifiers from the MLP of each of {model.n_blocks} blocks at {len(read.rows.training)} "
        "positions"
    )
    told = classify(
        model,
        read,
        z=signs.z,
        directions=read_signs.directions,
        inverse_penalty=signs.C,
        seed=seed,
        on_block=ticker(model.n_blocks, "block").update,
    )
    write_table(RESULTS / f"text/read_signs/{text}.csv", told)


if __name__ == "__main__":
    run(main, __doc__)
