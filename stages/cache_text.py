"""Runs the model on ordinary text and keeps the residual stream before every MLP at some positions (for E9, E10).

The text (parameter cache_text.text.source): model, sampled from the model itself; path, a text file or a folder of .txt
files; hub, a column of the parquet files of a Hugging Face dataset. A path is read once: after a change there, run
dvc repro -f cache_text.
"""

import os

from subspace_illusion.core.mlps import record_residuals
from subspace_illusion.core.model import open_model
from subspace_illusion.core.sampling import sample_text
from subspace_illusion.experiments.text import Text, choose_rows, read_documents, read_hub, tokenise
from subspace_illusion.files import MODEL, TEXT, write_tensors
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker


def main(params: Params) -> None:
    sequences, length = params.cache_text.text.sequences, params.cache_text.text.length
    seed, positions = params.cache_text.seed, params.cache_text.positions
    rows = choose_rows(sequences, length, positions, params.cache_text.train, seed)
    documents: list[str] = []
    if params.cache_text.text.source == "hub":
        documents = read_hub(
            params.cache_text.text.repository, params.cache_text.text.revision, params.cache_text.text.column
        )
    else:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's client, which comes with the model, looks when it is imported
    if params.cache_text.text.source == "path":
        documents = read_documents(params.cache_text.text.path)

    model = open_model(MODEL)
    sampled = params.cache_text.text.source == "model"
    # Sampling goes token by token, which takes several times as long as reading.
    flops = model.flops(0, sequences * length) * (3 if sampled else 1)
    say(
        f"reading the residual stream before {model.n_blocks} MLPs at {positions} positions of {sequences} x {length} "
        f"tokens (source: {params.cache_text.text.source}), {duration(flops, model.device)}"
    )
    if sampled:
        tokens = sample_text(model, sequences, length, seed, ticker(length - 1, "token").update)
    else:
        tokens = tokenise(model.tokenizer, documents, sequences, length, seed)
    residuals = record_residuals(model, tokens, rows.places, ticker(sequences, "sequence").update)
    write_tensors(TEXT, Text(tokens, rows, residuals).tensors())


if __name__ == "__main__":
    run(main, __doc__, fetches=True)
