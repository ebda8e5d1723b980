"""Units of work inside a stage, done here or by the workers of a dask cluster, each kept whole in a store.

A unit is a function of the library with plain arguments and the files that it reads. Its name is the hash of these, of
the files' content and of the library's code: the same unit of another run, or of another experiment, is the same file
in the store, and a run that was cut off goes on where it stopped. Inputs travel as paths and hashes. DVC knows nothing
of units; a stage's outputs are made of their tables, and are the same bytes whoever did the work.
"""

import hashlib
import importlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd
import psutil
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.files import hash_of, one_line, read_table
from subspace_illusion.pipeline.params import Compute
from subspace_illusion.pipeline.stage import say, ticker

LIBRARY = Path(__file__).parents[1]
CODE = ("core", "experiments", "subspace", "tasks", "statistics.py")
"""The rooms of the library that a unit's table can depend on."""
TRIES = 3
"""How often a unit may take a worker down with it."""


@dataclass(frozen=True)
class Unit:
    """Something to compute.

    Attributes:
        function: ``module:function`` of the library; it gives a table.
        arguments: Its arguments, values of JSON.
        inputs: The files and folders that it reads, with the hashes of their content.
        hints: Further arguments, which spare work and change no result.
    """

    function: str
    arguments: Mapping[str, Any]
    inputs: Mapping[str, str]
    hints: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The hash of what the table depends on."""
        of = [self.function, self.arguments, self.inputs, code_hash()]
        return hashlib.sha256(json.dumps(of, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def words(self) -> str:
        """Function and arguments, for messages."""
        return f"{self.function.partition(':')[2]}({json.dumps(self.arguments)})"


def unit(
    function: Callable[..., pd.DataFrame],
    inputs: Sequence[Path],
    hints: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Unit:
    """A unit, its inputs hashed as they are now."""
    name = f"{function.__module__}:{function.__name__}"
    return Unit(name, arguments, {str(path): _hash(path) for path in inputs}, hints or {})


def compute(of: Unit, store: Path, threads: int) -> Path:
    """The file with a unit's table, which is computed if the store lacks it.

    Args:
        of: The unit.
        store: The folder of the store; a worker has to see it under the same path.
        threads: How many threads torch may use, on which the last digits can depend; 0 for one each core.

    Raises:
        InputError: If an input is not there or is another, or the function raises it.
    """
    path = store / f"{of.name}.parquet"
    if path.exists():
        return path
    for name, digest in of.inputs.items():
        if not Path(name).exists():
            raise InputError(f"{socket.gethostname()} has no {Path(name).absolute()}, which the unit reads")
        if _hash(Path(name)) != digest:
            raise InputError(f"{Path(name).absolute()} on {socket.gethostname()} is another than where the run began")
    torch.set_num_threads(threads or psutil.cpu_count(logical=False) or 1)
    module, _, function = of.function.partition(":")
    table = getattr(importlib.import_module(module), function)(**of.arguments, **of.hints)
    store.mkdir(parents=True, exist_ok=True)
    # Two runs may do the same unit at once: each writes a file of its own, and the last to finish stays.
    partial = store / f".{of.name}.{uuid4().hex}.partial"
    table.to_parquet(partial, index=False)
    partial.replace(path)
    return path


def run_units(units: Sequence[Unit], setting: Compute, word: str) -> list[pd.DataFrame]:
    """The tables of units in their order, with progress over all of them.

    Args:
        units: The units.
        setting: Where the work is done.
        word: What a unit is called on the screen.

    Raises:
        InputError: If a unit fails, with its arguments, or the cluster is lost.
    """
    store = Path(setting.store).absolute()
    left = [of for of in units if not (store / f"{of.name}.parquet").exists()]
    kept = len(units) - len(left)
    if kept:
        say(f"{kept} of {len(units)} are in {setting.store} already")
    bar = ticker(len(units), word)
    bar.update(kept)
    if setting.scheduler == "none":
        for of in left:
            with _named(of):
                compute(of, store, setting.threads)
            bar.update()
    elif left:
        _on_cluster(left, store, setting, bar)
    bar.close()
    return [read_table(compute(of, store, setting.threads)) for of in units]


def _on_cluster(units: Sequence[Unit], store: Path, setting: Compute, bar: Any) -> None:
    """Computes units on the workers of a cluster; on a lost one the unit goes to another."""
    try:
        from distributed import KilledWorker, as_completed
    except ImportError as error:
        raise InputError("compute.scheduler needs dask: pip install 'subspace-illusion[cluster]'") from error
    with _client(setting) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        say(f"{len(units)} units on {len(workers)} workers; their progress: {client.dashboard_link}")
        futures = {client.submit(compute, of, store, setting.threads, key=of.name, pure=False): of for of in units}
        for done, future in enumerate(as_completed(futures)):
            if future.status in ("cancelled", "lost"):
                raise InputError(
                    f"the scheduler {setting.scheduler} was lost; {done} of {len(units)} units were done and are in "
                    f"{setting.store}: run again to go on"
                )
            with _named(futures[future]):
                failure = future.exception()
                if isinstance(failure, KilledWorker):
                    raise InputError(f"{TRIES} workers ended while they did it, for want of memory?")
                if failure is not None:
                    raise failure if isinstance(failure, InputError) else InputError(one_line(failure))
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
                f"compute.scheduler: no scheduler answers at {setting.scheduler} ({one_line(error)}); start one with "
                "dask scheduler, or take local or none"
            ) from error
        with client:
            if not client.scheduler_info(n_workers=-1)["workers"]:
                raise InputError(f"the scheduler at {setting.scheduler} has no workers: start some with dask worker")
            yield client


@contextmanager
def _named(of: Unit) -> Iterator[None]:
    """Says of which unit an error is."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{of.words}: {error}") from error


@lru_cache(maxsize=1)
def code_hash() -> str:
    """The hash of the code that a unit's table can depend on."""
    files = [file for room in CODE for file in sorted([LIBRARY / room, *(LIBRARY / room).rglob("*.py")])]
    return hashlib.sha256("".join(hash_of(file) for file in files if file.is_file()).encode()).hexdigest()


def _hash(path: Path) -> str:
    """The hash of a file or folder, read anew only where one of its files was written since."""
    files = sorted(file for file in [path, *path.rglob("*")] if file.is_file())
    return _hash_as_of(path, tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files))


@lru_cache(maxsize=32)
def _hash_as_of(path: Path, state: tuple[tuple[str, int, int], ...]) -> str:
    return hash_of(path)
