"""Tasks side by side: what carries the variable of each, and what only seems to.

From one folder a task, each with the results of a run, one page as Markdown and as HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_folder, read_json, read_table, write_text
from subspace_illusion.measures.localise import TOKEN_ITSELF, Window
from subspace_illusion.report.page import draw, draw_picture, fill_in
from subspace_illusion.report.plots.localise import localise_map_figure
from subspace_illusion.report.plots.tasks_page import tasks_figure
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.verdict import cautions_said, share_cells
from subspace_illusion.report.words import MANY_VALUES, in_order, shown, variable_of, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, POOLED, ROW, WHOLE, SubspaceKey, with_keys
from subspace_illusion.tasks.table import FACTS
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, SMALLEST_EFFECT

TITLE = "What carries the variable, and what only seems to"
CANNOT_TELL = {FACTS: f" But {MANY_VALUES}: these rows tell what one direction does, not where facts are."}
DPI = 150


@dataclass(frozen=True)
class TaskResults:
    """What the page shows of one task.

    Attributes:
        name: The task.
        metrics: The headline figures.
        effects: What patching did; the rows that pool the seeds.
        verdicts: Every subspace of a component that was judged: as the table of verdicts has it.
        window: The blocks that write and read, where that was asked.
        tokens: The map of tokens and blocks, likewise.
    """

    name: str
    metrics: dict[str, Any]
    effects: pd.DataFrame
    verdicts: dict[SubspaceKey, dict[Any, Any]]
    window: dict[str, Any] | None
    tokens: pd.DataFrame | None

    @classmethod
    def read(cls, folder: Path) -> "TaskResults":
        """The results of one task.

        Args:
            folder: ``metrics.json``, ``effects.csv`` and ``verdicts.csv``; where there are any,
                ``localise/window.json`` and ``localise/map.csv``.

        Raises:
            InputError: If they cannot be read, or sum up no whole run.
        """
        metrics = read_json(folder / "metrics.json")
        if "pairs" not in metrics:
            raise InputError(f"{folder / 'metrics.json'} sums up no whole run; run dvc repro for this task again")
        effects = with_keys(read_table(folder / "effects.csv", text=("seed",)))
        judged = read_table(folder / "verdicts.csv").to_dict("records")
        window, tokens = (folder / "localise" / name for name in ("window.json", "map.csv"))
        return cls(
            folder.name,
            metrics,
            effects[effects["seed"] == POOLED],
            {SubspaceKey.read(row["subspace"], component=row["component"]): row for row in judged},
            read_json(window) if window.exists() else None,
            read_table(tokens) if tokens.exists() else None,
        )

    @property
    def measured_on(self) -> str:
        """How many held-out pairs and groups effects are measured on."""
        row = self.effects.iloc[0]
        return f"{int(row['pairs'])} ({int(row['groups'])})"

    def effect(self, key: SubspaceKey) -> Estimate | None:
        """The effect of patching a subspace as a share of the clean LD."""
        rows = self.effects[(self.effects["component"] == key.component) & (self.effects["subspace"] == key.at(""))]
        return None if rows.empty else Estimate.of(rows.iloc[0], "fldd")


def read_tasks(folder: Path) -> list[TaskResults]:
    """The results of every task in a folder, in alphabetical order.

    Args:
        folder: One folder a task, named after it; folders without ``metrics.json`` are none.

    Raises:
        InputError: If there is none.
    """
    found = sorted(path.parent for path in folder.glob("*/metrics.json"))
    if not found:
        raise InputError(f"{folder} has no folder with a metrics.json: copy the results of a run there, one a task")
    return [TaskResults.read(path) for path in found]


def overview(tasks: Sequence[TaskResults]) -> Grid:
    """One row a task: what was asked, where, on how many pairs, and how the verdicts came out."""
    rows = []
    for task in tasks:
        counts = [_counted(task, verdict) for verdict in (FAITHFUL, ILLUSORY, INCONCLUSIVE)]
        rows.append([task.name, variable_of(task.metrics["run"]["task"]), task.measured_on, _window(task), *counts])
    header = ["task", "variable", "held-out pairs (groups)", "written / read"]
    return Grid([*header, *(f"{verdict} subspaces" for verdict in (FAITHFUL, ILLUSORY, INCONCLUSIVE))], rows)


def _window(task: TaskResults) -> str:
    """Where the variable comes from and the block that reads it."""
    if task.window is None:
        return ""
    window = Window.told(task.window)
    return f"{'the token itself' if window.writes == TOKEN_ITSELF else f'block {window.writes}'} / block {window.reads}"


def _counted(task: TaskResults, verdict: str) -> str:
    """How many subspaces have a verdict, and how many of them with a caution."""
    reasons = [row["reason"] for row in task.verdicts.values() if row["verdict"] == verdict]
    careful = sum(bool(cautions_said(reason)) for reason in reasons)
    return f"{len(reasons)} ({careful} with a caution)" if careful else str(len(reasons))


def section(task: TaskResults) -> Section:
    """What was found for one task: every judged subspace beside its whole component, and where the variable lives."""
    run, pairs = task.metrics["run"], task.metrics["pairs"]
    pictures = []
    if task.tokens is not None:
        alt = (
            f"Effect of patching the residual stream at one kind of token at a time, by block, in the task {task.name}"
        )
        pictures.append(Picture(f"map__{task.name}", alt, localise_map_figure(task.tokens)))
    found = ""
    if task.window is not None:
        found = f" By {task.window['pairs']} training pairs {Window.told(task.window)}."
    return Section(
        task.name,
        f"Which subspaces carry {variable_of(run['task'])}?",
        f"{_told(task)} of the subspaces that were judged.",
        f"Model {run['model']}, position {run['position']}; {pairs['kept']} pairs kept, {pairs['left_out']} left out; "
        f"effects on {task.measured_on} held-out pairs (groups).{found} Effects are shares of the clean logit "
        "difference that are lost, with 95 % bootstrap intervals over groups; one whose interval is not beyond "
        f"{SMALLEST_EFFECT:g} is too small to ask.{CANNOT_TELL.get(run['task'], '')}",
        pictures,
        [_subspaces(task)],
    )


def _told(task: TaskResults) -> str:
    """How many subspaces were called what, before "of the subspaces"."""
    counts = ((verdict, _counted(task, verdict)) for verdict in (FAITHFUL, ILLUSORY, INCONCLUSIVE))
    return "; ".join(f"{verdict}: {number}" for verdict, number in counts).capitalize()


def _subspaces(task: TaskResults) -> Grid:
    """Every subspace that was judged, by component."""
    rows = []
    for component in dict.fromkeys(key.component for key in task.verdicts):
        for key in in_order(key for key in task.verdicts if key.component == component):
            figures = [task.effect(patched) for patched in (WHOLE.at(component), key, key.of_part(ROW))]
            verdict = task.verdicts[key]
            cells = [with_ends(figure) for figure in figures]
            rows.append([component, shown(key), *cells, *share_cells(verdict), verdict["verdict"], verdict["reason"]])
    header = ["component", "subspace", "effect, whole component", "subspace", "its row part"]
    header += ["mediated share", "promised", "verdict", "because"]
    return Grid(header, rows)


def effects_shown(task: TaskResults) -> pd.DataFrame:
    """The effects that the picture shows: whole components, trained and own subspaces and their row parts."""
    judged = [key for key in dict.fromkeys(key.at("") for key in task.verdicts) if key.method != MEAN_DIFFERENCE]
    keys = [WHOLE, *(patched for key in judged for patched in (key, key.of_part(ROW)))]
    return task.effects[task.effects["subspace"].isin(keys)]


def tasks_page(tasks: Sequence[TaskResults], figures: Path, name: str) -> tuple[str, str]:
    """The page as HTML and as Markdown; its pictures are drawn on the way.

    Args:
        tasks: The tasks.
        figures: The folder to draw into.
        name: Where the Markdown finds that folder, relative to itself.
    """
    by_task = {task.name: effects_shown(task) for task in tasks}
    picture = Picture("effects", "Effect of patching each component, by task", tasks_figure(by_task))
    draw_picture(picture, figures, DPI)
    sections = draw((section(task) for task in tasks), figures, DPI)
    return fill_in("tasks", figures, name, title=TITLE, overview=overview(tasks), picture=picture, sections=sections)


def write_page(folder: Path, out: Path) -> None:
    """Reads the tasks of a folder and writes ``<out>.html``, ``<out>.md`` and the pictures in ``<out>_figures``.

    Args:
        folder: As for ``read_tasks``.
        out: The page's path without an ending.

    Raises:
        InputError: If there is nothing to show.
    """
    tasks, figures = read_tasks(folder), out.with_name(f"{out.name}_figures")
    with atomic_folder(figures) as partial:
        pages = tasks_page(tasks, partial, figures.name)
    for ending, page in zip((".html", ".md"), pages, strict=True):
        write_text(out.with_name(out.name + ending), page)
