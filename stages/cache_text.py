"""Runs the model on ordinary text and keeps the residual stream before every MLP at some positions (for E9, E10).

The text (parameter texts.<name>.source): model, sampled from the model itself; pypi, the .txt files in a wheel of the
Python package index; path, a text file or a folder of .txt files; hub, a column of the parquet files of a Hugging Face
dataset. A path is read once: after a change there, run dvc repro -f cache_text.
"""

import os

from subspace_illusion.core.mlps import record_residuals
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.sampling import sample_text
from subspace_illusion.experiments.documents import read_documents, read_hub, read_wheel
from subspace_illusion.experiments.text import Text, choose_rows, tokenise
from subspace_illusion.files import write_tensors
from subspace_illusion.pipeline.layout import MODEL, TEXTS
from subspace_illusion.pipeline.sections import CacheText, Texts
from subspace_illusion.pipeline.stage import run, say, ticker


def main(text: str, texts: Texts, cache_text: CacheText, seed: int) -> None:
    asked, sequences, length = texts[text], cache_text.sequences, cache_text.length
    rows = choose_rows(sequences, length, cache_text.positions, cache_text.train, seed)
    documents: list[str] = []
    if asked.source == "hub":
        documents = read_hub(asked.repository, asked.revision, asked.column)
    else:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's client, which comes with the model, looks when it is imported
    if asked.source == "path":
        documents = read_documents(asked.path)
    if asked.source == "pypi":
        documents = read_wheel(asked.requirement, asked.wheel_sha256, f"texts.{text}.wheel_sha256")
    model = open_model(MODEL)
    say(
        f"reading the residual stream before {model.n_blocks} MLPs at {cache_text.positions} positions of {sequences} "
        f"x {length} tokens (text: {text}, source: {asked.source})"
    )
    if asked.source == "model":
        tokens = sample_text(model, sequences, length, seed, ticker(length - 1, "token").update)
    else:
        tokens = tokenise(model.tokenizer, documents, sequences, length, seed)
    residuals = record_residuals(model, tokens, rows.places, ticker(sequences, "sequence").update)
    write_tensors(TEXTS / f"{text}.safetensors", Text(tokens, rows, residuals).tensors())


if __name__ == "__main__":
    run(main, __doc__, fetches=True)
