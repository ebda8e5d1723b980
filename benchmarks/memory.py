"""The most memory that an audit takes beside the weights, in a random model as wide as Qwen2.5-1.5B.

    python benchmarks/memory.py TOKENIZER [--blocks N] [--pairs N ...] [--tokens N ...] [--recorded-gb GB]

TOKENIZER is a folder with a tokenizer that knows some English words, such as data/model. Every line is a process of its
own: the peak of its resident memory (the weights are a mapped file, and count), what the weights take, and how much may
be, 1.25 times the weights and 1.5 GB. What is over the weights does not depend on the number of blocks, but for tails.
"""

import argparse
import json
import random
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

WORDS = ("the", "man", "house", "river", "cold", "walk", "green", "stone", "paper", "tree", "water", "light", "big")


def write_model(folder: Path, tokenizer: Path, blocks: int) -> None:
    """Writes a model in bfloat16 and a tokenizer."""
    import torch
    from transformers import AutoModelForCausalLM, Qwen2Config

    config = Qwen2Config(
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=blocks,
        num_attention_heads=12,
        num_key_value_heads=2,
        vocab_size=151936,
        tie_word_embeddings=True,
    )
    config.architectures = ["Qwen2ForCausalLM"]
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
    for file in tokenizer.glob("*token*"):
        shutil.copy(file, folder)


def rows(pairs: int, tokens: int) -> list[dict[str, str]]:
    """Pairs of prompts of so many words, of which the first differs."""
    draw, found = random.Random(0), []
    for number in range(pairs):
        words = " ".join([*draw.choices(WORDS, k=tokens - 2), "said"])
        names, answers = (("Mary", "John"), (" she", " he")) if number % 2 else (("Paul", "Anna"), (" he", " she"))
        base, source = (f"{name} {words}" for name in names)
        found.append(dict(base=base, source=source, base_answer=answers[0], source_answer=answers[1]))
    return found


def one(folder: str, hook: str, pairs: int, tokens: int, gigabytes: float) -> float:
    """The peak of an audit of one random direction that trains nothing, in gigabytes."""
    import torch

    from subspace_illusion import audit

    mine = torch.randn(8960, generator=torch.Generator().manual_seed(0))
    given = dict(train=False, calibrate=False, filter_incorrect=False, recorded_gb=gigabytes)
    audit(folder, rows(pairs, tokens), hook, {"mine": mine}, **given)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path, help="a folder with a tokenizer")
    parser.add_argument("--blocks", type=int, default=28, help="of the model; 28 make 1.5 billion weights")
    parser.add_argument("--pairs", type=int, nargs="+", default=[24, 200])
    parser.add_argument("--tokens", type=int, nargs="+", default=[20, 500])
    parser.add_argument("--recorded-gb", type=float, default=0.25)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(one(*json.loads(options.one)))
        return
    with TemporaryDirectory() as folder:
        write_model(Path(folder), options.tokenizer, options.blocks)
        weights = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors")) / 1e9
        print("pairs,tokens,weights_gb,peak_gb,allowed_gb")
        for pairs in options.pairs:
            for tokens in options.tokens:
                asked = [folder, f"blocks.{options.blocks // 2}.mlp.hook_post", pairs, tokens, options.recorded_gb]
                run = [sys.executable, __file__, str(options.tokenizer), "--one", json.dumps(asked)]
                done = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True)
                peak = float(done.stdout.splitlines()[-1])
                print(f"{pairs},{tokens},{weights:.2f},{peak:.2f},{1.25 * weights + 1.5:.2f}", flush=True)


if __name__ == "__main__":
    main()
