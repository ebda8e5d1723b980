"""What carries the variable of each built-in task, and what only seems to? Runs tasks as experiments, side by side.

Each runs in a folder of its own (dvc exp run --temp), so that the run in this folder stays; its small results are
copied to results/tasks/<task>, and one page sets the tasks side by side: results/tasks/index.html.

  subspace-illusion tasks agreement --size quick
"""

import argparse
from pathlib import Path

from subspace_illusion.cli.experiment import check_project, model_overrides, run_experiment
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_folder
from subspace_illusion.pipeline.layout import RESULTS
from subspace_illusion.report.tasks_page import write_page

TASKS_FOLDER = RESULTS / "tasks"
KEPT = (
    "metrics.json",
    "effects.csv",
    "verdicts.csv",
    "repairs.csv",
    "decompose.csv",
    "findings.csv",
    "claims.csv",
    "localise",
    "facts",
    "report.md",
)
"""The results of a run that are kept of every task, files and folders; the report with its pictures."""
PICTURES = "figures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("tasks", nargs="*", default=["agreement", "facts"], help="(default: agreement facts)")
    parser.add_argument("--model", default="smollm2", help="a name in conf/model, or a folder with a model")
    parser.add_argument("--size", default="tasks", help="a name in conf/size (default: tasks)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any other parameter")


def run(options: argparse.Namespace) -> None:
    """Runs the tasks one after the other, and writes the page.

    Raises:
        InputError: If there is no such task, or a stage of an experiment failed.
    """
    check_project()
    known = sorted(path.stem for path in Path("conf/task").glob("*.yaml") if path.stem != "pairs")
    if unknown := [task for task in options.tasks if task not in known]:
        raise InputError(f"there is no task {unknown[0]}: take some of {', '.join(known)}")
    for task in options.tasks:
        name = f"task-{task}"
        print(f"running the task {task} as the experiment {name}: some 10 minutes for a small model", flush=True)
        overrides = [*model_overrides(options.model), f"task={task}", f"size={options.size}", *options.set]
        try:
            run_experiment(name, overrides)
        except KeyboardInterrupt as stopped:
            raise KeyboardInterrupt("what was finished is kept, and the same command goes on from there") from stopped
        copy_results(name, TASKS_FOLDER / task)
    write_page(TASKS_FOLDER, TASKS_FOLDER / "index")
    print(f"{TASKS_FOLDER}/index.html sets the tasks side by side")


def copy_results(experiment: str, folder: Path) -> None:
    """Copies the small results of an experiment, which its commit holds, into a folder."""
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(".", rev=experiment)
    with atomic_folder(folder) as partial:
        for name in (*KEPT, PICTURES):
            for path in files.find((RESULTS / name).as_posix()):
                target = partial / Path(path).relative_to(RESULTS)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(files.read_bytes(path))
