"""Time and memory as the work grows: recording a prompt, a DAS step and an evaluation, on models with random weights.

One thing grows at a time (pairs, prompt length, width, blocks, vocabulary, rank), the others stay. Every point is a
process of its own, so that its peak memory is its own. Pairs go through the cache on disk, as in the pipeline. Writes
benchmarks/results/scale.csv and scale.png in some minutes:

    python benchmarks/scale.py [--quick]
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

RESULTS = Path(__file__).parent / "results"
BASE = dict(pairs=400, length=16, width=256, blocks=8, vocabulary=8000, rank=1)
"""What stays as it is while something else grows."""
GROWS = dict(
    pairs=[200, 600, 2000, 6000, 20000],
    length=[8, 16, 32, 64, 128, 256],
    width=[128, 256, 512, 1024],
    blocks=[4, 8, 16, 32],
    vocabulary=[2000, 8000, 32000, 128000],
    rank=[1, 4, 16, 64],
)
SMALL = dict(width=64, blocks=4, vocabulary=1000)
"""The model with which pairs grow, so that 20,000 of them fit a disk."""
BATCH = 40


class Watched:
    """The most memory of this process that is its own (files that are mapped can always be dropped), in megabytes."""

    def __init__(self) -> None:
        self.most, self.on = 0.0, True
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while self.on:
            lines = Path("/proc/self/status").read_text().splitlines()
            (line,) = (line for line in lines if line.startswith("RssAnon"))
            self.most = max(self.most, int(line.split()[1]) / 1024)
            time.sleep(0.02)


def measure(pairs: int, length: int, width: int, blocks: int, vocabulary: int, rank: int) -> dict[str, float]:
    """Seconds to record a prompt, of a DAS step, and to evaluate a patch in a pair; and the memory that it took."""
    import torch
    from random_llama import random_llama

    from subspace_illusion.core.activations import (
        Activations,
        cache_shard,
        finish_cache,
        shards_of,
        sites_of,
        with_clean,
    )
    from subspace_illusion.core.basis import random_basis
    from subspace_illusion.core.sites import Site
    from subspace_illusion.statistics import Bootstrap, summarise
    from subspace_illusion.subspace.das import train_das
    from subspace_illusion.subspace.pairs import Pairs

    model = random_llama(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
        max_position_embeddings=512,
    )
    site = Site(blocks // 2, "mlp.hook_post")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, vocabulary, (2 * pairs, length), generator=generator)
    prompts = pd.DataFrame(dict(prompt=range(2 * pairs), tokens=tokens.tolist(), end=length - 1, position=length - 1))
    prompts["has_tail"] = prompts["prompt"] % 2 == 0
    ids = torch.randint(1, vocabulary, (pairs, 2), generator=generator).numpy()
    table = pd.DataFrame(dict(pair=range(pairs), group=[i // 2 for i in range(pairs)], base=range(0, 2 * pairs, 2)))
    table = table.assign(source=table["base"] + 1, answer_id=ids[:, 0], foil_id=ids[:, 1], target_id=ids[:, 1])
    watched = Watched()
    with TemporaryDirectory() as name:
        folder = Path(name)
        start = time.perf_counter()
        shards = shards_of(prompts, 64)
        parts = [
            cache_shard(folder, f"{i:05}", model, shard, table, [site], sites_of(site))
            for i, shard in enumerate(shards)
        ]
        recorded = time.perf_counter() - start
        table = with_clean(table, [clean for _, clean in parts])
        finish_cache(folder, model, dict(c=site), [index for index, _ in parts], table)
        listed = Pairs(model, table, Activations(folder), table["ld"].to_numpy())
        examples = listed.examples(site)
        settings: dict[str, Any] = dict(rank=rank, seeds=[0], batch=BATCH, lr=0.01, loss="cross_entropy")
        train_das(model, site, examples, steps=1, **settings)
        start = time.perf_counter()
        train_das(model, site, examples, steps=4, matmul_dtype="float32", **settings)
        step = (time.perf_counter() - start) / 4
        basis = random_basis(model.width(site), rank, 0)
        start = time.perf_counter()
        outcome = listed.patch(site, {"v": listed.along(site, basis)}, 200)["v"]
        summarise(outcome, listed.ld_clean, Bootstrap.of(listed.groups, 2000, 0))
        evaluated = time.perf_counter() - start
    watched.on = False
    return dict(
        record_ms=1e3 * recorded / (2 * pairs), step_ms=1e3 * step, evaluate_ms=1e3 * evaluated / pairs,
        record_seconds=recorded, evaluate_seconds=evaluated, megabytes=watched.most,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first two points of each curve alone")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(**json.loads(options.one))))
        return
    import torch
    from machine import machine

    about = machine(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    print(f"measuring on {about}, some minutes")
    rows = []
    for grows, values in GROWS.items():
        for value in values[: 2 if options.quick else None]:
            asked = {**BASE, **(SMALL if grows == "pairs" else {}), grows: value}
            run = [sys.executable, __file__, "--one", json.dumps(asked)]
            done = subprocess.run(run, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            rows.append(dict(grows=grows, value=value, **found))
            print(
                f"{grows} {value}: " + ", ".join(f"{name} {figure:.2f}" for name, figure in found.items()), flush=True
            )
    table = pd.DataFrame(rows).round(3).assign(processor=about["processor"], threads=about["threads"])
    if not options.quick:
        table.to_csv(RESULTS / "scale.csv", index=False)
        draw(table, str(about["processor"]), RESULTS / "scale.png")


def draw(table: pd.DataFrame, processor: str, path: Path) -> None:
    """One panel for each thing that grows: times on the left axis, memory on the right."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    figure, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained")
    for axis, (grows, rows) in zip(axes.flat, table.groupby("grows", sort=False), strict=True):
        whole = grows == "pairs"
        each, unit = ("all", "seconds") if whole else ("one", "ms")
        lines = (
            (f"record {each}", f"record_{unit}", "o-"),
            ("a DAS step of 40 pairs", "step_ms", "s-"),
            (f"evaluate {each}", f"evaluate_{unit}", "^-"),
        )
        for words, name, look in lines:
            scale = 1e-3 if whole and name == "step_ms" else 1
            axis.loglog(rows["value"], rows[name] * scale, look, ms=4, label=words)
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set_xticks(rows["value"], [f"{value:,}" for value in rows["value"]], fontsize=7)
        axis.set_xlabel(str(grows))
        axis.set_ylabel(unit)
        memory = axis.twinx()
        memory.plot(rows["value"], rows["megabytes"], "k:", label="memory")
        memory.set_ylim(0, 1.15 * table["megabytes"].max())
        memory.set_ylabel("MB (dotted)")
        axis.legend(fontsize=7)
    figure.suptitle(f"time and peak memory as one thing grows ({processor})", fontsize=10)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
