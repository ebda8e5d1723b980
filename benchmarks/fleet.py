"""What a sweep over many components of a large model would cost, on paper and by simulation; nothing is run.

Operations per unit are two per weight and token. The rates are what a DAS step of twelve seeds reached on one H100 in a
model of 1.1 billion weights (das_step_llama_1b_h100.json), with products in bfloat16 for training and in float32 for
evaluation. Workers open the model once; a unit reads its component's activations and tails through a file server that
all workers share. Prints a table by number of workers and writes benchmarks/results/fleet.csv:

    python benchmarks/fleet.py [--components 1000] [--seeds 10]
"""

import argparse
import heapq
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

OUT = Path(__file__).parent / "results/fleet.csv"


@dataclass(frozen=True)
class Model:
    """A model's shape: weights of a block, blocks, widths, keys and values of a token together, vocabulary."""

    block: float
    blocks: int
    d_model: int
    d_mlp: int
    kv: int
    vocabulary: int

    def flops(self, start: int, tokens: float, backward: bool) -> float:
        """Of one replayed prompt: two per weight and token, as much again for the gradient."""
        return (
            2 * (self.block * (self.blocks - start) * tokens + self.d_model * self.vocabulary) * (2 if backward else 1)
        )

    @property
    def weights(self) -> float:
        return self.block * self.blocks + self.d_model * self.vocabulary


LLAMA_7B = Model(block=2.02e8, blocks=32, d_model=4096, d_mlp=11008, kv=2 * 4096, vocabulary=32000)


@dataclass(frozen=True)
class Sweep:
    """What is asked of every component, and what the machines give."""

    pairs: int = 400
    prompts: int = 1600
    steps: int = 60
    batch: int = 40
    patches: int = 7
    tokens: float = 1.0
    length: int = 21
    train_rate: float = 4.5e13
    evaluate_rate: float = 2.3e13
    server: float = 2e9
    stage_seconds: float = 4.0
    stages: int = 7


def unit(model: Model, sweep: Sweep, component: int, components: int, seeds: int) -> tuple[float, float, float]:
    """Seconds of training and evaluating one component on one device, its bytes on disk, and those that it reads."""
    start = component * model.blocks // components
    trained = sweep.steps * sweep.batch * seeds * model.flops(start, sweep.tokens, backward=True)
    patched = sweep.pairs * (sweep.patches * seeds + 5) * model.flops(start, sweep.tokens, backward=False)
    own = 4 * sweep.prompts * model.d_mlp
    tails = 4 * sweep.prompts // 2 * (sweep.length - sweep.tokens) * model.kv * (model.blocks - start)
    return trained / sweep.train_rate + patched / sweep.evaluate_rate, own, own + tails


def simulate(model: Model, sweep: Sweep, costs: list[tuple[float, float, float]], workers: int) -> dict[str, float]:
    """The hours that workers take for all units, each going to the first that is free; the server is read in turn."""
    free = [0.0] * workers
    read_until = 0.0
    busy = 0.0
    for worker in range(workers):  # everyone opens the model, in float32, through the server
        read_until += 4 * model.weights / sweep.server
        free[worker] = read_until
    heapq.heapify(free)
    for seconds, _, read in costs:
        at = heapq.heappop(free)
        read_until = max(at, read_until) + read / sweep.server
        heapq.heappush(free, read_until + seconds)
        busy += seconds
    end = max(free)
    return dict(
        workers=workers,
        hours=end / 3600,
        gpu_hours=workers * end / 3600,
        busy_share=busy / (workers * end),
        server_share=sum(read for _, _, read in costs) / sweep.server / end,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--components", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    model, rows = LLAMA_7B, []
    for words, sweep in (("END", Sweep()), ("a token of its own, 6 to END", Sweep(tokens=6.0))):
        costs = [unit(model, sweep, i, options.components, options.seeds) for i in range(options.components)]
        stored = sum(own for _, own, _ in costs) + costs[0][2] - costs[0][1]  # the tails serve every component
        for workers in (1, 4, 16, 64):
            found = simulate(model, sweep, costs, workers)
            traffic = sum(cost for _, _, cost in costs) / 1e12
            rows.append(dict(position=words, **found, stored_gb=stored / 1e9, traffic_tb=traffic))
        overhead = options.components * sweep.stages * sweep.stage_seconds / 3600
    table = pd.DataFrame(rows).round(2)
    table.to_csv(OUT, index=False)
    print(table.to_string(index=False))
    print(f"the same as stages of DVC, one after the other, would start processes for {overhead:.1f} hours")


if __name__ == "__main__":
    main()
