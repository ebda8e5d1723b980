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
from subspace_illusion.files import write_tensors
from subspace_illusion.pipeline.layout import MODEL, TEXT
from subspace_illusion.pipeline.sections import CacheText
from subspace_illusion.pipeline.stage import run, say, ticker


def main(cache_text: CacheText, seed: int) -> None:
    text, positions = cache_text.text, cache_text.positions
    rows = choose_rows(text.sequences, text.length, positions, cache_text.train, seed)
    documents: list[str] = []
    if text.source == "hub":
        documents = read_hub(text.repository, text.revision, text.column)
    else:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's client, which comes with the model, looks when it is imported
    if text.source == "path":
        documents = read_documents(text.path)
    model = open_model(MODEL)
    say(
        f"reading the residual stream before {model.n_blocks} MLPs at {positions} positions of {text.sequences} x "
        f"{text.length} tokens (source: {text.source})"
    )
    if text.source == "model":
        tokens = sample_text(model, text.sequences, text.length, seed, ticker(text.length - 1, "token").update)
    else:
        tokens = tokenise(model.tokenizer, documents, text.sequences, text.length, seed)
    residuals = record_residuals(model, tokens, rows.places, ticker(text.sequences, "sequence").update)
    write_tensors(TEXT, Text(tokens, rows, residuals).tensors())


if __name__ == "__main__":
    run(main, __doc__, fetches=True)
