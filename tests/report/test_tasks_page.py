"""Tasks side by side on one page."""

import re

import pandas as pd
import pytest

import made
from drawing import drawn, points, shown, words
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_json, write_table
from subspace_illusion.report.findings.tables import decomposition
from subspace_illusion.report.plots.style import GREY, plt
from subspace_illusion.report.plots.tasks_page import tasks_figure
from subspace_illusion.report.tasks_page import effects_shown, overview, read_tasks, section, write_page
from subspace_illusion.report.verdict import verdict_table

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture
def folder(tmp_path):
    """IOI as a run leaves it, and a task with a probe, of which some files are missing."""
    ioi = made.results(tmp_path / "tasks/ioi")
    other = made.results(tmp_path / "tasks/mine", made.with_own(), own={made.V_MLP: [made.PROBE]})
    seen = made.all_seen()
    own = seen | {made.PROBE_KEY.at(made.V_MLP): made.seen(fldd=0.15, groups=6)}
    for results, run, of_run in (
        (ioi, dict(task="ioi", position="END"), seen),
        (other, dict(task="pairs", position="token of its own"), own),
    ):
        metrics = dict(run=dict(model="tiny", **run), pairs=dict(kept=7, left_out=1))
        write_json(results.folder / "metrics.json", metrics)
        write_table(results.folder / "verdicts.csv", verdict_table(made.judged(of_run)))
    write_table(ioi.folder / "decompose.csv", decomposition(ioi))
    (other.folder / "localise/map.csv").unlink()
    (other.folder / "localise/window.json").unlink()
    (tmp_path / "tasks/no_task").mkdir()
    return tmp_path / "tasks"


def test_the_overview_has_a_row_a_task(folder):
    rows = overview(read_tasks(folder)).rows
    assert [row[:4] for row in rows] == [
        ["ioi", "the place of the repeated name", "4 (2)", "block 1 / block 2"],
        ["mine", "the variable", "4 (2)", ""],
    ]
    assert [row[4:] for row in rows] == [
        ["3 (1 with a caution)", "1", "0"],
        ["3 (1 with a caution)", "1", "1 (1 with a caution)"],
    ]


def test_every_judged_subspace_stands_beside_its_whole_component(folder):
    ioi, mine = map(section, read_tasks(folder))
    assert ioi.asks == "Which subspaces carry the place of the repeated name?"
    assert (
        "By 64 training pairs block 1 writes it, and block 2 reads it; the MLP of block 1 lies between." in ioi.reading
    )
    assert [picture.name for picture in ioi.pictures] == ["map__ioi"]
    of_mlp = [row for row in ioi.grids[0].rows if row[0] == made.V_MLP]
    assert of_mlp[0] == [
        "mlp8", "trained", "-0.25 [-0.35, -0.15]", "0.75 [0.70, 0.80]", "0.25 [0.15, 0.35]", "4 % [0, 9]", "89%",
        "illusory", "of the effect, 0.75 of the clean LD, an estimated 4 % [0, 9] goes through what "
        "blocks.8.mlp.hook_post itself hands on",
    ]  # fmt: skip
    assert mine.pictures == []
    assert "writes" not in mine.reading
    of_mine = {row[1]: row for row in mine.grids[0].rows if row[0] == made.V_MLP}
    assert list(of_mine) == ["trained", made.PROBE, "mean difference"]
    assert of_mine[made.PROBE][3:6] == ["0.15 [0.10, 0.20]", "0.07 [-0.03, 0.17]", "50 % [45, 55]"]


def test_the_picture_has_components_under_their_tasks(folder):
    by_task = {task.name: effects_shown(task) for task in read_tasks(folder)}
    figure = drawn(tasks_figure(by_task))
    (axis,) = figure.axes
    assert shown(axis) == ["ioi", "resid8", "mlp8", "mine", "resid8", "mlp8"]
    assert sorted(x for x, _ in points(axis, GREY)) == [-0.25, -0.25, 1.2, 1.2]
    assert {"whole component", "trained", "row part", made.PROBE} <= set(words(figure).splitlines())
    assert "mean difference" not in words(figure)


def test_the_page_is_one_file_with_its_pictures_inside(folder):
    write_page(folder, folder / "index")
    html, text = ((folder / f"index{ending}").read_text() for ending in (".html", ".md"))
    assert html.count("<img") == html.count('src="data:image/png;base64,') == 2
    assert not re.search(r'(?:src|href)="(?!data:|#)', html)
    for name in re.findall(r"\]\((.+?)\)", text):
        assert (folder / name).is_file()
    assert text.startswith("# What carries the variable, and what only seems to\n")
    assert html.count('class="illusory"') == text.count("| illusory |") == 2
    write_page(folder, folder / "index")  # what it wrote is no task
    assert (folder / "index.html").read_text() == html


def test_a_folder_without_tasks_or_with_half_a_run_is_one_clear_line(folder, tmp_path):
    with pytest.raises(InputError, match="no folder with a metrics.json"):
        read_tasks(tmp_path / "nowhere")
    write_json(folder / "ioi/metrics.json", {"run": {"state": "out of date"}})
    with pytest.raises(InputError, match="sums up no whole run"):
        write_page(folder, folder / "index")
    assert pd.read_csv(folder / "ioi/verdicts.csv").shape[0] == 4
