"""Draws the pictures and writes the report, results/report.html and results/report.md."""

import platform
from importlib.metadata import version

from subspace_illusion.files import (
    FIGURES,
    MODEL,
    PROMPTS,
    PUBLISHED,
    RESULTS,
    TIMINGS,
    read_json,
    read_table,
    sha256,
    whole,
    whole_folder,
    write_table,
)
from subspace_illusion.pipeline.params import PARAMS
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.report.comparison import compare
from subspace_illusion.report.findings import findings
from subspace_illusion.report.page import Report, render
from subspace_illusion.report.pictures import draw
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.results import read_tables, verdicts_by
from subspace_illusion.report.sections import Grid, answer, evidence_grid, experiments, rules, verdict_grid

TITLE = "Is this the subspace you are looking for?"
QUESTION = (
    "Patching a direction of a model's activations can change its answer although the model never uses that direction: "
    "the direction may add a part that knows the information but does nothing to a part that would act but is dormant. "
    "Which of the directions found here are the model's own variables?"
)
LIBRARIES = ("torch", "transformers", "transformer-lens", "numpy", "pandas", "scikit-learn", "dvc")


def main(params) -> None:
    names, roles = list(params.components), params.roles
    say("drawing the pictures and writing the report, about 20 s")
    tables = read_tables(names, params.experiments.model_dump())
    found = findings(tables, roles.v_true, roles.v_mlp)
    verdicts = verdicts_by(**params.verdict.model_dump(), tables=tables)
    comparison = compare(read_table(PUBLISHED), found, params.model.name == "gpt2")
    write_table(RESULTS / "comparison.csv", comparison)
    with whole_folder(FIGURES) as folder:
        for name, picture in draw(tables, roles.v_true, roles.v_mlp):
            picture.savefig(folder / f"{name}.png", dpi=params.plots.dpi, metadata={"Software": None})
            plt.close(picture)
    pictures = {path.name: path.read_bytes() for path in sorted(FIGURES.glob("*.png"))}

    timings = read_json(TIMINGS) if TIMINGS.exists() else {}
    hashes = [[file.name, sha256(file)] for file in sorted(MODEL.iterdir()) if file.is_file()]
    report = Report(
        title=TITLE,
        question=QUESTION,
        answer=answer(found, verdicts, params.model.name, roles.v_true, roles.v_mlp),
        rules=rules(verdicts, params.verdict.smallest_effect),
        verdicts=verdict_grid(verdicts),
        evidence=evidence_grid(verdicts),
        comparison=Grid.of(comparison, {name: name for name in comparison.columns}),
        sections=experiments(
            tables,
            read_json(RESULTS / "toy_example.json"),
            read_table(PROMPTS),
            read_json(RESULTS / "window.json"),
            read_json(RESULTS / "name_movers.json"),
            roles.v_true,
            roles.v_mlp,
            [name.removesuffix(".png") for name in pictures],
        ),
        parameters=PARAMS.read_text(encoding="utf-8"),
        about={
            "Versions": Grid(["library", "version"], [[name, version(name)] for name in LIBRARIES]),
            "Model files": Grid(["file", "sha256"], hashes),
            "Time and memory, each stage when it last ran": Grid(
                ["stage", "seconds", "peak MB"],
                [[stage, str(cost["seconds"]), str(cost["peak_megabytes"])] for stage, cost in timings.items()],
            ),
            "Machine": Grid(
                ["system", "processor", "Python"], [[platform.system(), platform.machine(), platform.python_version()]]
            ),
        },
    )
    for path, page in zip(("report.html", "report.md"), render(report, pictures, FIGURES.name), strict=True):
        with whole(RESULTS / path) as partial:
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, __doc__, reads=("model", "components", "roles", "experiments", "verdict", "plots"))
