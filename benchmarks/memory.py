"""The most memory that an audit takes beside the weights, in a random model as wide as Qwen2.5-1.5B.

    python benchmarks/memory.py TOKENIZER [--blocks N] [--width N] [--pairs N ...] [--tokens N ...] [--train]

TOKENIZER is a folder with a tokenizer that knows some English words, such as data/model. Every line is a process of its
own: the peak of its resident memory (the weights are a mapped file, and count), what the weights take, and how much may
be, 1.25 times the weights and 1.5 GB. What is over the weights does not depend on the number of blocks, but for tails.
A narrow model shows whether it depends on how many pairs there are, and how long, where a wide one would take hours.
Lines are added to benchmarks/results/memory.csv, and the picture is drawn anew.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from llama_shapes import QWEN_WIDE

from subspace_illusion.files import write_table

TABLE = Path(__file__).parent / "results/memory.csv"
WORDS = ("the", "man", "house", "river", "cold", "walk", "green", "stone", "paper", "tree", "water", "light", "big")


def write_model(folder: Path, tokenizer: Path, blocks: int, width: int) -> None:
    """Writes a model in bfloat16, its stream and MLPs of such a width, and a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    sizes = dict(hidden_size=width, intermediate_size=hidden(width), num_hidden_layers=blocks)
    shape: dict[str, Any] = QWEN_WIDE | sizes
    config = Qwen2Config(**shape)
    config.architectures = ["Qwen2ForCausalLM"]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    for file in tokenizer.glob("*token*"):
        shutil.copy(file, folder)


def hidden(width: int) -> int:
    """How wide the MLPs are, in the proportion of the model as it is."""
    return QWEN_WIDE["intermediate_size"] * width // QWEN_WIDE["hidden_size"]


def draw(table: pd.DataFrame, path: Path) -> None:
    """What was taken in every run, the weights apart, and what may be."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 0.5 * len(table) + 1.2), layout="constrained")
    names = [
        f"{row['blocks']} blocks of {row['d_model']}, {row['pairs']:,} pairs of {row['tokens']} tokens"
        f"{', DAS' if row['trained'] else ''}"
        for row in table.to_dict("records")
    ]
    axis.barh(names, table["weights_gb"], label="weights")
    axis.barh(names, table["peak_gb"] - table["weights_gb"], left=table["weights_gb"], label="over them, at most")
    axis.plot(table["allowed_gb"], names, "k|", ms=18, label="1.25 weights + 1.5 GB")
    axis.invert_yaxis()
    axis.set_xlabel("GB")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def rows(pairs: int, tokens: int) -> list[dict[str, str]]:
    """Pairs of prompts of so many words, of which the first differs."""
    draw, found = random.Random(0), []
    for number in range(pairs):
        words = " ".join([*draw.choices(WORDS, k=tokens - 2), "said"])
        names, answers = (("Mary", "John"), (" she", " he")) if number % 2 else (("Paul", "Anna"), (" he", " she"))
        base, source = (f"{name} {words}" for name in names)
        found.append(dict(base=base, source=source, base_answer=answers[0], source_answer=answers[1]))
    return found


def one(folder: str, hook: str, neurons: int, pairs: int, tokens: int, gb: float, train: bool) -> tuple[float, float]:
    """The peak of an audit of one random direction, in gigabytes, and its seconds; ``train`` says whether DAS trains
    another, and cases are planted where that is quick."""
    import torch

    from subspace_illusion import audit

    start = time.perf_counter()
    mine = torch.randn(neurons, generator=torch.Generator().manual_seed(0))
    given = dict(train=train, calibrate=train, filter_incorrect=False, recorded_gb=gb)
    audit(folder, rows(pairs, tokens), hook, {"mine": mine}, **given)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, time.perf_counter() - start


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path, help="a folder with a tokenizer")
    parser.add_argument("--blocks", type=int, default=28, help="of the model; 28 make 1.5 billion weights")
    parser.add_argument("--behind", type=int, default=14, help="blocks from the audited one on")
    parser.add_argument("--width", type=int, default=QWEN_WIDE["hidden_size"], help="of the residual stream")
    parser.add_argument("--pairs", type=int, nargs="+", default=[24, 200])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20, 500])
    parser.add_argument("--recorded-gb", type=float, default=0.25)
    parser.add_argument("--train", action="store_true", help="DAS, and planted cases, too")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(*one(*json.loads(options.one)))
        return
    with TemporaryDirectory() as folder:
        write_model(Path(folder), options.tokenizer, options.blocks, options.width)
        weights = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors")) / 1e9
        for pairs in options.pairs:
            for tokens in options.tokens:
                hook = f"blocks.{options.blocks - options.behind}.mlp.hook_post"
                asked = [folder, hook, hidden(options.width), pairs, tokens, options.recorded_gb, options.train]
                run = [sys.executable, __file__, str(options.tokenizer), "--one", json.dumps(asked)]
                done = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True)
                peak, seconds = map(float, done.stdout.splitlines()[-1].split())
                about = dict(
                    blocks=options.blocks, behind=options.behind, d_model=options.width, pairs=pairs, tokens=tokens
                )
                about |= dict(trained=options.train, recorded_gb=options.recorded_gb)
                asked_for = list(about)
                about |= dict(weights_gb=round(weights, 2), peak_gb=round(peak, 2))
                about |= dict(allowed_gb=round(1.25 * weights + 1.5, 2), seconds=round(seconds))
                print(about, flush=True)
                before = [pd.read_csv(TABLE)] if TABLE.exists() else []
                table = pd.concat([*before, pd.DataFrame([about])])
                table = table.drop_duplicates(asked_for, keep="last")
                write_table(TABLE, table)
                draw(table, TABLE.with_suffix(".png"))


if __name__ == "__main__":
    main()
