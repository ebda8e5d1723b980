"""What every stage does: read its parameters, say what it will do, and end in one clear line if something is wrong."""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import psutil
import torch
from tqdm import tqdm

from subspace_illusion.errors import InputError
from subspace_illusion.files import METRICS, SUMMARIES, TIMINGS, read_json, remove, write_json
from subspace_illusion.pipeline.params import read_params
from subspace_illusion.pipeline.process import spare_memory_management

T = TypeVar("T")

SUMMING_UP = ("judge", "report")
"""The stages that write what ``outdate`` takes back."""
APART = ("plant", "calibrate")
"""The stages that no run's summary rests on until their outcome is put in place."""


def run(main: Callable[..., None], about: str | None, fetches: bool = False) -> None:
    """Runs a stage.

    Args:
        main: The stage; called with the parameters and, where it runs once per component or task and says so by taking
            a ``component`` or a ``task``, with its name.
        about: The script's docstring, shown by ``--help``.
        fetches: Whether the stage may ask the Hugging Face hub for something.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for which, under in (("component", "components"), ("task", "calibrate.tasks")):
        if which in signature(main).parameters:
            parser.add_argument(which, help=f"a name under {under} in params.yaml")
    arguments = vars(parser.parse_args())
    spare_memory_management()
    if not fetches:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the client reads this when it is imported
    stage = Path(sys.argv[0]).stem
    try:
        params = read_params()
        if (name := arguments.get("component")) is not None and name not in params.components:
            raise InputError(f"'{name}' is no component; params.yaml names {', '.join(params.components)}")
        main(params, **arguments)
        if stage not in (*SUMMING_UP, *APART):
            outdate(stage)
        note_cost("@".join([stage, *arguments.values()]))
    except InputError as error:
        sys.exit(f"error: {error}")


def outdate(stage: str) -> None:
    """Takes back what sums up an earlier run, because a stage that it rests on has run again.

    An experiment that runs a part of the pipeline would else show another run's figures as its own. The next stage
    ``judge`` writes the figures anew; what stood here is in git. A stage that DVC restores from its run cache does not
    run and takes nothing back: an experiment that runs a part needs ``--force`` to be sure.
    """
    if METRICS.exists():
        write_json(METRICS, {"run": {"state": f"out of date since {stage} ran: dvc repro brings the figures"}})
    for path in SUMMARIES:
        remove(path)


def note_cost(stage: str) -> None:
    """Writes how long this process has run and how much memory it took at most into ``TIMINGS``, by stage.

    DVC does not track the file: the same stage takes another time on every run.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kibibytes elsewhere
    cost = dict(
        seconds=round(time.time() - psutil.Process().create_time(), 1),
        peak_megabytes=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6),
    )
    known = read_json(TIMINGS) if TIMINGS.exists() else {}
    write_json(TIMINGS, dict(sorted({**known, stage: cost}.items())))


def say(what: str) -> None:
    """The stage's line of what it does, on the screen at once."""
    print(what, flush=True)


def progress(items: Iterable[T], unit: str) -> Iterator[T]:
    """The items, with a progress bar."""
    return iter(tqdm(items, unit=unit, mininterval=1, dynamic_ncols=True))


def duration(flops: float, device: torch.device) -> str:
    """How long so many floating-point operations take here, in words, from a short measurement of the machine.

    Small products, attention and Python take their share, so it counts with a third of the rate of large products; on a
    GPU, where Python takes more than that, it says too little.
    """
    x = torch.randn(1024, 1024, device=device)
    (x @ x)[0, 0].item()
    start = time.perf_counter()
    (x @ x)[0, 0].item()
    rate = 2 * 1024**3 / (time.perf_counter() - start)
    seconds = max(1.0, 3 * flops / rate)
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"


def training_bar(steps: int) -> Callable[[float], None]:
    """A progress bar for training: call it with the loss after every step."""
    bar = ticker(steps, "step")

    def on_step(loss: float) -> None:
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update()

    return on_step


def ticker(total: int, unit: str) -> Any:
    """A progress bar that is moved by calling ``update``."""
    return tqdm(total=total, unit=unit, mininterval=1, dynamic_ncols=True)
