"""Recovers random directions and signs of the residual stream from the hidden activations of every MLP (E9, E10).

The text (parameter recover_directions.text.source): model, sampled from the model itself; path, a text file or a folder
of .txt files; hub, a column of the parquet files of a Hugging Face dataset. A path is read once: after a change there,
run dvc repro -f recover_directions.
"""

import os
from functools import partial

from threadpoolctl import threadpool_limits

from subspace_illusion.core.mlps import hidden_from_residual
from subspace_illusion.core.model import open_model
from subspace_illusion.core.sampling import sample_text
from subspace_illusion.experiments.recovery import (
    choose_positions,
    read_signs,
    record_mlps,
    recover_directions,
    weight_ranks,
)
from subspace_illusion.experiments.text import read_documents, read_hub, tokenise
from subspace_illusion.files import MODEL, RESULTS, write_table
from subspace_illusion.pipeline.stage import duration, progress, run, say, ticker
from subspace_illusion.statistics import table


def main(params) -> None:
    settings = params.recover_directions
    text, ridge, logistic, seed = settings.text, settings.ridge, settings.logistic, settings.seed
    positions = choose_positions(text.sequences, text.length, settings.positions, seed)
    if text.source == "hub":
        # A stage is offline unless it says otherwise, and the client, which the model brings too, looks when imported.
        os.environ.pop("HF_HUB_OFFLINE", None)
        documents = read_hub(text.repository, text.revision, text.column)
    elif text.source == "path":
        documents = read_documents(text.path)

    model = open_model(MODEL)
    blocks = model.bridge.blocks
    regressions = ridge.directions + len(logistic.z) * logistic.directions
    # Each takes about as long as running the MLP three times at every position.
    flops = 6 * settings.positions * regressions * sum(p.numel() for block in blocks for p in block.mlp.parameters())
    flops += 2 * model.flops(0, text.sequences * text.length)
    say(
        f"{regressions} regressions from the MLP of each of {len(blocks)} blocks at {settings.positions} positions of "
        f"{text.sequences} x {text.length} tokens (source: {text.source}), {duration(flops, model.device)}"
    )
    if text.source == "model":
        tokens = sample_text(model, text.sequences, text.length, seed, ticker(text.length - 1, "token").update)
    else:
        tokens = tokenise(model.tokenizer, documents, text.sequences, text.length, seed)
    recorded = record_mlps(model, tokens, positions, ticker(text.sequences, "sequence").update)

    recovery, signs, ranks = [], [], []
    # One thread: the problems are so small that threads wait for one another more than they work.
    with threadpool_limits(1):
        for i, block in enumerate(progress(blocks, "block")):
            recovery += recover_directions(recorded[i], i, train=settings.train, seed=seed, **ridge.model_dump())
            signs += read_signs(
                partial(hidden_from_residual, block),
                recorded[i].residual,
                i,
                z=logistic.z,
                directions=logistic.directions,
                train=settings.train,
                inverse_penalty=logistic.C,
                seed=seed,
            )
            ranks.append(weight_ranks(model, i, settings.rank_tolerance))
    write_table(RESULTS / "recovery.csv", table(recovery))
    write_table(RESULTS / "binary_information.csv", table(signs))
    write_table(RESULTS / "ranks.csv", table(ranks))


if __name__ == "__main__":
    run(main, __doc__, reads=("recover_directions",))
