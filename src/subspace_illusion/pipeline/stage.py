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
from tqdm import tqdm

from subspace_illusion.errors import InputError
from subspace_illusion.files import read_json, remove, write_json
from subspace_illusion.pipeline.cores import bound_threads
from subspace_illusion.pipeline.layout import METRICS, SUMMARIES, TIMINGS
from subspace_illusion.pipeline.params import Parameters, Params, read_params
from subspace_illusion.pipeline.process import spare_memory_management

T = TypeVar("T")

SUMMING_UP = ("judge", "report")
"""The stages that write what ``outdate`` takes back."""
CALIBRATING = ("fetch_models", "plant_cases", "held_out")
"""The stages that no run's summary rests on until their outcome is put in place."""


def run(
    main: Callable[..., None], about: str | None, parameters: type[Parameters] = Params, fetches: bool = False
) -> None:
    """Runs a stage.

    Args:
        main: The stage. Each of its arguments that has the name and the type of a section of the parameters is given
            that section, one of the type ``parameters`` all of them; any other, ``component`` or ``text``, is a name of
            the section ``components`` or ``texts``, taken from the command line.
        about: The script's docstring, shown by ``--help``.
        parameters: The file of parameters that it reads; the file is checked whole.
        fetches: Whether the stage may ask the Hugging Face hub for something.
    """
    sections = sections_of(main, parameters)
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in signature(main).parameters:
        if name not in sections:
            parser.add_argument(name, help=f"a name under {name}s in {parameters.FILE}")
    named = vars(parser.parse_args())
    spare_memory_management()
    bound_threads()
    if not fetches:
        os.environ["HF_HUB_OFFLINE"] = "1"  # the client reads this when it is imported
    stage = Path(sys.argv[0]).stem
    try:
        read = read_params(parameters)
        for name, value in named.items():
            if value not in (known := getattr(read, f"{name}s")):
                raise InputError(f"'{value}' is no {name}; {parameters.FILE} names {', '.join(known)}")
        main(**{name: getattr(read, section) if section else read for name, section in sections.items()}, **named)
        if stage not in (*SUMMING_UP, *CALIBRATING):
            outdate(stage)
        note_cost("@".join([stage, *named.values()]))
    except InputError as error:
        sys.exit(f"error: {error}")


def sections_of(main: Callable[..., None], parameters: type[Parameters]) -> dict[str, str]:
    """The sections that a stage's arguments ask for, by argument; empty for the one that asks for all of them."""
    found = {}
    for name, argument in signature(main).parameters.items():
        field = parameters.model_fields.get(name)
        if argument.annotation is parameters:
            found[name] = ""
        elif field is not None and field.annotation == argument.annotation:
            found[name] = name
    return found


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
