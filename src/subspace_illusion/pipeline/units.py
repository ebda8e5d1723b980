"""Units of work inside a stage, done here or by the workers of a dask cluster, each kept whole in a store.

A unit is a function of the library with plain arguments and the files that it reads. Its name is the hash of these, of
the files' content and of the library's code: the same unit of another run, or of another experiment, is the same file
in the store, and a run that was cut off goes on where it stopped. Inputs travel as paths and hashes. DVC knows nothing
of units; a stage's outputs are made of their tables, and are the same bytes whoever did the work.
"""

import ast
import hashlib
import importlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import torch

from subspace_illusion.core.device import pick_device
from subspace_illusion.errors import InputError
from subspace_illusion.files import hash_of, one_line, read_table
from subspace_illusion.pipeline.cores import cores
from subspace_illusion.pipeline.sections import Compute
from subspace_illusion.pipeline.stage import say, ticker

LIBRARY = Path(__file__).parents[1]
PACKAGES = ("numpy", "pandas", "scikit-learn", "torch", "transformer-lens", "transformers")
"""The packages that a unit's table can depend on."""
TRIES = 3
"""How often a unit may take a worker down with it."""
ALONE = threading.Lock()
"""Units change the model that they share while they run: a worker with several threads does them one by one."""


def _sources() -> dict[str, str]:
    """The text of the library's modules, by name."""
    files = {file.relative_to(LIBRARY.parent).with_suffix(""): file for file in sorted(LIBRARY.rglob("*.py"))}
    return {".".join(path.parts).removesuffix(".__init__"): file.read_text("utf-8") for path, file in files.items()}


SOURCES = _sources()
"""The library of this process, as it was when it began."""


@cache
def modules_of(module: str) -> frozenset[str]:
    """The library's modules that a function of a module can run: it, and what these import, wherever they do."""
    found: set[str] = set()
    left = {module}
    while left:
        found.add(name := left.pop())
        for node in ast.walk(ast.parse(SOURCES[name])):
            if isinstance(node, ast.ImportFrom) and node.module:
                named = {node.module, *(f"{node.module}.{imported.name}" for imported in node.names)}
                left |= (named & SOURCES.keys()) - found
    return frozenset(found)


@cache
def code_of(module: str) -> str:
    """The hash of the code that a function of a module can run, and of the packages' versions.

    Args:
        module: A module of the library; the whole library's code is behind any other.
    """
    runs = modules_of(module) if module in SOURCES else SOURCES.keys()
    said = [SOURCES[name] for name in sorted(runs)] + [version(name) for name in PACKAGES]
    return hashlib.sha256("".join(said).encode()).hexdigest()


@dataclass(frozen=True)
class Unit:
    """Something to compute.

    Attributes:
        function: ``module:function`` of the library; it gives a table.
        arguments: Its arguments, values of JSON.
        inputs: The files and folders that it reads, with the hashes of their content.
        code: The code that is to do it, as ``code_of`` names it.
        hints: Further arguments, which spare work and change no result.
        device: The kind of device that is to do it.
        label: What messages call it, where that is not its function and arguments.
    """

    function: str
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str]
    code: str
    hints: Mapping[str, Any] = field(default_factory=dict)
    device: str = field(default_factory=lambda: pick_device().type)
    label: str = ""

    def name(self, threads: int) -> str:
        """The hash of what the table depends on, to its last digit."""
        told = [self.function, self.arguments, self.inputs, self.code, self.device, threads]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]

    def file(self, store: Path, threads: int) -> Path:
        """Where a store keeps its table."""
        return store / f"{self.name(threads)}.parquet"

    @property
    def words(self) -> str:
        """What messages call it."""
        return self.label or f"{self.function.partition(':')[2]}({json.dumps(self.arguments)})"


def unit(
    function: Callable[..., pd.DataFrame],
    inputs: Sequence[Path],
    hints: Mapping[str, Any] | None = None,
    label: str = "",
    **arguments: Any,
) -> Unit:
    """A unit, its inputs hashed as they are now."""
    name = f"{function.__module__}:{function.__name__}"
    hashed = {str(path): hash_of(path) for path in inputs}
    return Unit(name, arguments, hashed, code_of(function.__module__), hints or {}, label=label)


def compute(work: Unit, store: Path, threads: int) -> None:
    """Puts a unit's table into the store, unless it is there.

    Args:
        work: The unit.
        store: The folder of the store; a worker has to see it under the same path.
        threads: How many threads torch may use, on which the last digits can depend.

    Raises:
        InputError: If an input, the library or the device is another than where the run began, or the function raises
            it.
    """
    path, here = work.file(store, threads), socket.gethostname()
    if path.exists():
        return
    module, _, function = work.function.partition(":")
    if work.code != code_of(module):
        raise InputError(f"the worker on {here} runs another version of the library or of a package: start it anew")
    if work.device != pick_device().type:
        raise InputError(
            f"the worker on {here} has {pick_device().type} for a device and the run began on {work.device}"
        )
    for name, digest in work.inputs.items():
        if not Path(name).exists():
            raise InputError(f"{here} has no {Path(name).absolute()}, which the unit reads")
        if hash_of(Path(name)) != digest:
            raise InputError(f"{Path(name).absolute()} on {here} is another than where the run began")
    with ALONE:
        torch.set_num_threads(threads)
        table = getattr(importlib.import_module(module), function)(**work.arguments, **work.hints)
    store.mkdir(parents=True, exist_ok=True)
    # Two runs may do the same unit at once: each writes a file of its own, and the last to finish stays.
    partial = store / f".{path.stem}.{uuid4().hex}.partial"
    table.to_parquet(partial, index=False)
    partial.replace(path)


def run_units(units: Sequence[Unit], setting: Compute, word: str) -> list[pd.DataFrame]:
    """The tables of units in their order, with progress over all of them.

    Args:
        units: The units.
        setting: Where the work is done.
        word: What a unit is called on the screen.

    Raises:
        InputError: If a unit fails, with its arguments, or the cluster is lost.
    """
    side_by_side = setting.workers if setting.scheduler == "local" else 1
    store, threads = Path(setting.store).absolute(), setting.threads or cores(side_by_side)
    left = [work for work in units if not work.file(store, threads).exists()]
    kept = len(units) - len(left)
    if kept:
        say(f"{kept} of {len(units)} are in {setting.store} already")
    bar = ticker(len(units), word)
    bar.update(kept)
    if setting.scheduler == "none":
        for work in left:
            with _named(work):
                compute(work, store, threads)
            bar.update()
    elif left:
        _on_cluster(left, store, threads, setting, bar)
    bar.close()
    if missing := [work.words for work in units if not work.file(store, threads).exists()]:
        raise InputError(f"{store} lacks {missing[0]}, which was done: the workers must see the same folder")
    return [read_table(work.file(store, threads)) for work in units]


def _on_cluster(units: Sequence[Unit], store: Path, threads: int, setting: Compute, bar: Any) -> None:
    """Computes units on the workers of a cluster; on a lost one the unit goes to another."""
    try:
        from distributed import KilledWorker, as_completed
    except ImportError as error:
        raise InputError("workers need dask: pip install 'subspace-illusion[cluster]'") from error
    with _client(setting) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        say(f"{len(units)} units on {len(workers)} workers; their progress: {client.dashboard_link}")
        futures = {
            client.submit(compute, work, store, threads, key=work.name(threads), pure=False): work for work in units
        }
        for done, future in enumerate(as_completed(futures)):
            if future.status in ("cancelled", "lost"):
                raise InputError(
                    f"the scheduler {setting.scheduler} was lost; {done} of {len(units)} units were done and are in "
                    f"{setting.store}: run again to go on"
                )
            with _named(futures[future]):
                failure = future.exception()
                if isinstance(failure, KilledWorker):
                    tried = failure.allowed_failures + 1
                    raise InputError(f"{tried} workers ended while they did it, for want of memory?") from failure
                if isinstance(failure, InputError):
                    raise failure
                if failure is not None:
                    raise InputError(f"{type(failure).__name__}: {one_line(failure)}") from failure
            bar.update()


@contextmanager
def _client(setting: Compute) -> Iterator[Any]:
    """A client of the cluster that runs at an address, or of one that is started here."""
    import dask
    from distributed import Client, LocalCluster

    with dask.config.set({"distributed.scheduler.allowed-failures": TRIES - 1}):
        if setting.scheduler == "local":
            with LocalCluster(n_workers=setting.workers, threads_per_worker=1) as cluster, Client(cluster) as client:
                yield client
            return
        try:
            client = Client(setting.scheduler, timeout="10s")
        except (OSError, ValueError) as error:
            raise InputError(
                f"no scheduler answers at {setting.scheduler} ({one_line(error)}); start one with "
                "dask scheduler, or take local or none"
            ) from error
        with client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise InputError(f"the scheduler at {setting.scheduler} has no workers: start some with dask worker")
            yield client


@contextmanager
def _named(work: Unit) -> Iterator[None]:
    """Says of which unit an error is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{work.words}: {error}") from error
    except Exception as error:
        error.add_note(work.words)
        raise
