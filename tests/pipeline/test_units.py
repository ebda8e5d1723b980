"""Units of work: named by what they depend on, kept in a store, and the same bytes whoever does them."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

import units_made
from subspace_illusion.errors import InputError
from subspace_illusion.pipeline import units as module
from subspace_illusion.pipeline.params import Compute
from subspace_illusion.pipeline.units import Unit, compute, run_units, unit
from warm import LARGE

TESTS = Path(__file__).parents[1]
DONE_HERE = Compute(scheduler="none", workers=2, threads=1, store=Path("units"))


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{TESTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    Path("words.txt").write_text("some words")


def products(count: int, **hints: bool) -> list[Unit]:
    log = str(Path("log").absolute())
    return [unit(units_made.product, [Path("words.txt")], hints, seed=seed, log=log) for seed in range(count)]


def calls() -> list[int]:
    return sorted(map(int, Path("log").read_text().split()))


def stored(folder: str = "units") -> dict[str, bytes]:
    """The files of a store, the hidden ones too."""
    return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def test_a_unit_is_named_by_what_its_table_depends_on():
    (one,) = products(1)
    assert one.name(1) == products(1, hurry=True)[0].name(1)
    assert one.name(1) != one.name(2)  # threads
    for other in (dict(arguments={**one.arguments, "seed": 1}), dict(function="units_made:fails"), dict(code="other")):
        assert one.name(1) != replace(one, **other).name(1)
    assert one.name(1) != replace(one, device="tpu").name(1)
    Path("words.txt").write_text("other words")
    assert products(1)[0].name(1) != one.name(1)


ENTRIES = tuple(f"subspace_illusion.{entry}" for entry in ("measures.effect_units", "planting.units", "cli.fan_out"))
EACH_BY_ITSELF = """
import importlib, os, sys
for large in sys.argv[1].split():  # what takes seconds is imported once, and nothing of this project with it
    importlib.import_module(large)
for entry in sys.argv[2:]:
    if not os.fork():
        importlib.import_module(entry)
        print(*sys.modules, flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    """All modules that each of the entries imports."""
    ask = [sys.executable, "-c", EACH_BY_ITSELF, " ".join(LARGE), *ENTRIES]
    said = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()
    return {entry: set(line.split()) for entry, line in zip(ENTRIES, said, strict=True)}


@pytest.mark.parametrize("name", ENTRIES)
def test_all_that_a_unit_imports_is_in_its_name(loaded, name):
    packages = {file.parent.relative_to(module.LIBRARY.parent) for file in module.LIBRARY.rglob("__init__.py")}
    rooms = {".".join(path.parts) for path in packages}  # whose own file is a docstring
    runs = {one for one in loaded[name] if one.partition(".")[0] == "subspace_illusion"} - rooms
    assert name in runs
    assert runs <= module.modules_of(name)
    code = module.code_of(name)
    assert len({code, *(module.code_of(f"subspace_illusion.{other}") for other in ("files", "statistics"))}) == 3


def test_other_code_gives_another_name(monkeypatch):
    name, before = "subspace_illusion.statistics", module.code_of("subspace_illusion.statistics")
    module.code_of.cache_clear()
    monkeypatch.setitem(module.SOURCES, "subspace_illusion.errors", "changed = True")
    assert module.code_of(name) != before
    module.code_of.cache_clear()


def test_what_is_in_the_store_is_not_done_again(capsys):
    first = run_units(products(2), DONE_HERE, "product")
    second = run_units(products(3), DONE_HERE, "product")
    assert "2 of 3 are in units already" in capsys.readouterr().out
    assert calls() == [0, 1, 2]
    for one, again in zip(first, second, strict=False):
        pd.testing.assert_frame_equal(one, again)


def test_an_input_that_is_missing_or_another_is_named():
    (one,) = products(1)
    Path("words.txt").write_text("other words")
    with pytest.raises(InputError, match="words.txt on .* is another than where the run began"):
        compute(one, Path("units"), 1)
    Path("words.txt").unlink()
    with pytest.raises(InputError, match="has no .*words.txt, which the unit reads"):
        compute(one, Path("units"), 1)


def test_another_library_or_device_is_named():
    (one,) = products(1)
    with pytest.raises(InputError, match="runs another version of the library or of a package: start it anew"):
        compute(replace(one, code="other"), Path("units"), 1)
    with pytest.raises(InputError, match=f"has {one.device} for a device and the run began on tpu"):
        compute(replace(one, device="tpu"), Path("units"), 1)


def test_a_store_that_workers_do_not_share_is_named(monkeypatch):
    monkeypatch.setattr(module, "compute", lambda of, store, threads: None)
    with pytest.raises(InputError, match=r"units lacks product\(.*the workers must see the same folder"):
        run_units(products(1), DONE_HERE, "product")


def test_a_failure_names_the_units_arguments():
    of = unit(units_made.fails, [], why="no pairs")
    with pytest.raises(InputError, match=r'^fails\(\{"why": "no pairs"\}\): no pairs$'):
        run_units([of], DONE_HERE, "unit")
    assert not Path("units").exists()


def test_two_runs_at_once_share_a_store():
    errors = []

    def one_run() -> None:
        try:
            for of in products(4):
                compute(of, Path("units"), 1)
        except Exception as error:
            errors.append(error)

    runs = [threading.Thread(target=one_run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    assert not errors
    assert sorted(stored()) == sorted(f"{of.name(1)}.parquet" for of in products(4))


# On a cluster


@pytest.mark.slow
def test_results_are_the_same_bytes_on_workers_and_in_any_order(capsys):
    here = run_units(products(4), DONE_HERE, "product")
    setting = Compute(scheduler="local", workers=2, threads=1, store=Path("other"))
    there = run_units(products(4)[::-1], setting, "product")[::-1]
    assert "4 units on 2 workers; their progress: http" in capsys.readouterr().out
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert stored("other") == stored()


@pytest.mark.slow
def test_a_unit_whose_worker_is_killed_goes_to_another_and_not_for_ever(monkeypatch):
    setting = Compute(scheduler="local", workers=2, threads=1, store=Path("units"))
    once = unit(units_made.ends_its_worker, [], times=1, log=str(Path("once").absolute()))
    (table,) = run_units([once], setting, "unit")
    assert table["tried"].tolist() == [2]
    monkeypatch.setattr(module, "TRIES", 2)  # every one takes a worker to start
    setting = setting.model_copy(update=dict(workers=1))
    always = unit(units_made.ends_its_worker, [], times=99, log=str(Path("always").absolute()))
    with pytest.raises(InputError, match=r"^ends_its_worker\(.*2 workers ended while they did it"):
        run_units([always], setting, "unit")


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler and two workers that were started apart from the run: its address, and the three processes."""
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    processes = [
        subprocess.Popen([*dask, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", file], **quiet)
    ]
    for _ in range(600):
        if file.exists():
            break
        time.sleep(0.1)
    worker = [*dask, "worker", "--scheduler-file", file, "--nthreads", "1", "--no-dashboard"]
    processes += [subprocess.Popen(worker, cwd=tmp_path, **quiet) for _ in range(2)]
    address = json.loads(file.read_text())["address"]
    from distributed import Client

    with Client(address) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, processes
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
def test_workers_of_another_machine(cluster, capsys):
    address, processes = cluster
    setting = Compute(scheduler=address, workers=1, threads=1, store=Path("units"))
    here = run_units(products(4), DONE_HERE.model_copy(update=dict(store=Path("here"))), "product")
    there = run_units(products(4), setting, "product")
    assert "on 2 workers" in capsys.readouterr().out
    for one, other in zip(here, there, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert stored("here") == stored()

    with pytest.raises(InputError, match=r'^breaks\(\{"why": "a bug"\}\): ZeroDivisionError: a bug$'):
        run_units([unit(units_made.breaks, [], why="a bug")], setting, "unit")

    # The file is here, and the workers, whose folder is another, have none of that name.
    Path("elsewhere").mkdir()
    os.chdir("elsewhere")
    Path("own.txt").write_text("only here")
    missing = unit(units_made.product, [Path("own.txt")], seed=9, log="log")
    with pytest.raises(InputError, match=r"^product\(.*has no .*own.txt, which the unit reads$"):
        run_units([missing], setting, "product")
    os.chdir("..")

    # The scheduler is killed half way: what was done stays, and a run without it does the rest.
    slow = [unit(units_made.takes, [], seconds=0.05 if i < 4 else 5, number=i) for i in range(8)]
    killer = threading.Timer(3, lambda: os.killpg(processes[0].pid, signal.SIGKILL))
    killer.start()
    with pytest.raises(InputError, match=f"the scheduler {address} was lost; [0-9] of 8 units were done"):
        run_units(slow, setting, "unit")
    assert 4 <= sum(of.file(Path("units"), 1).exists() for of in slow) < 8
    quick = [replace(of, hints={}) for of in slow[:4]]
    assert [int(table["number"].iloc[0]) for table in run_units(quick, DONE_HERE, "unit")] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="no scheduler answers at tcp://.*start one with dask scheduler"):
        run_units(slow, setting, "unit")


def test_without_dask_the_method_to_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    setting = Compute(scheduler="local", workers=1, threads=1, store=Path("units"))
    with pytest.raises(InputError, match=r"workers need dask: pip install 'subspace-illusion\[cluster\]'"):
        run_units(products(1), setting, "product")
