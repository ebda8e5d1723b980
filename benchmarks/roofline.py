"""The pipeline's cost, stage by stage, against the operations and bytes that each stage cannot do without.

Every stage of dvc.lock but fetch_model runs once more, in a copy of the project whose data are hard links, so that
nothing here changes. Counted are the model's matrix products, by dtype, forward and, where a gradient is asked for,
backward, and the bytes of their weights; beside them what a process reads and writes. The floor is what these take at
the rates that this machine reaches for large products and for reading memory, whichever is longer. Regressions,
factorisations and pictures are not counted: a stage made of them has no floor. Nor are files that are mapped among the
bytes read, or Conv1D's products (GPT-2) in float32. Takes as long as the pipeline, and writes
benchmarks/results/roofline.csv:

    python benchmarks/roofline.py [--before results/timings.json] [stage ...]
"""

import argparse
import json
import os
import resource
import runpy
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks/results/roofline.csv"


def count(command: list[str]) -> None:
    """Runs a stage in this process, and prints what it cost as the last line."""
    import torch

    linear = torch.nn.functional.linear
    flops = {torch.float32: 0.0, torch.bfloat16: 0.0}
    of_weights = 0.0

    def counted(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        nonlocal of_weights
        methods = 2 if input.requires_grad else 1
        flops[weight.dtype] = flops.get(weight.dtype, 0.0) + 2.0 * input.numel() * weight.shape[0] * methods
        of_weights += weight.nbytes * methods
        return linear(input, weight, bias)

    torch.nn.functional.linear = counted
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")
    io = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    found = dict(
        gflop_float32=flops[torch.float32] / 1e9,
        gflop_bfloat16=flops[torch.bfloat16] / 1e9,
        gigabytes_of_weights=of_weights / 1e9,
        megabytes_read=int(io["rchar"]) / 1e6,
        megabytes_written=int(io["wchar"]) / 1e6,
        peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    )
    print(json.dumps(found))


def commands() -> dict[str, list[str]]:
    """What dvc.lock says was run, by stage and component."""
    locked = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]
    defined = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    # The lock keeps stages that are no more, such as one that has become a list since.
    known = [n for n in locked if n != "fetch_model" and ("foreach" in defined.get(n.split("@")[0], {})) == ("@" in n)]
    run = [locked[name]["cmd"].split()[1:] for name in known]
    return {"@".join([Path(command[0]).stem, *command[1:]]): command for command in run}


def copied(top: Path) -> Path:
    """A copy of the project, its data as hard links: stages replace files and never write into one."""
    for folder in ("stages", "data", "results"):
        # Without the units of work that are done, which would not be done again.
        shutil.copytree(ROOT / folder, top / folder, copy_function=os.link, ignore=shutil.ignore_patterns("units"))
    for file in (*ROOT.glob("*.yaml"), ROOT / "dvc.lock"):
        shutil.copy(file, top)
    (top / "src").symlink_to(ROOT / "src")
    return top


def floor(row: dict[str, Any], about: dict[str, Any]) -> float:
    """The seconds that the counted operations and bytes take at the machine's rates."""
    rates = about["gflops"]
    products = row["gflop_float32"] / rates["float32"]
    products += row["gflop_bfloat16"] / rates.get("bfloat16", rates["float32"])
    return max(products, row["gigabytes_of_weights"] / about["gigabytes_per_second"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", help="stages, such as train_das@mlp20 (default: all)")
    parser.add_argument("--before", type=Path, help="the timings of an earlier run, results/timings.json of its commit")
    parser.add_argument("--count", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.count:
        return count(options.count)
    import torch
    from machine import machine

    about: dict[str, Any] = machine(torch.device("cpu"))
    asked = options.stages or list(commands())
    listed = {name: command for name, command in commands().items() if name in asked}
    before = json.loads(options.before.read_text()) if options.before else {}
    print(f"running {len(listed)} stages on {about}, about as long as dvc repro")
    rows = []
    with TemporaryDirectory(dir=ROOT, prefix=".roofline.", suffix=".partial") as folder:
        top = copied(Path(folder) / "copy")
        for stage, command in listed.items():
            run = [sys.executable, str(Path(__file__).resolve()), "--count", *command]
            start = time.perf_counter()
            done = subprocess.run(
                run, cwd=top, env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True
            )
            if done.returncode:
                sys.exit(f"{stage} failed: {done.stderr[-500:]}")
            row: dict[str, Any] = dict(stage=stage) | json.loads(done.stdout.strip().splitlines()[-1])
            row |= dict(seconds=time.perf_counter() - start, floor_seconds=floor(row, about))
            counted = row["gflop_float32"] + row["gflop_bfloat16"] > 10
            row |= dict(ratio=row["seconds"] / row["floor_seconds"] if counted else None)
            row |= dict(before_seconds=before.get(stage, {}).get("seconds"))
            rows.append(row)
            ratio = f"{row['ratio']:.1f} times its floor" if counted else "no floor"
            print(f"{stage}: {row['seconds']:.1f} s, {ratio}", flush=True)
    table = pd.DataFrame(rows).sort_values("seconds", ascending=False)
    table = table.assign(processor=about["processor"], threads=about["threads"], rates=json.dumps(about["gflops"]))
    if not options.stages:
        table.round(2).to_csv(OUT, index=False)
    print(table.drop(columns=["processor", "threads", "rates"]).round(1).to_string(index=False))
    print(f"{table['seconds'].sum():.0f} s in all; counted work alone {table['floor_seconds'].sum():.0f} s")


if __name__ == "__main__":
    main()
