"""Draws the pictures and writes the report, results/report.html and results/report.md."""

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.core.pointer import hashes
from subspace_illusion.files import (
    FIGURES,
    MODEL,
    PUBLISHED,
    RESULTS,
    SCORES,
    TIMINGS,
    atomic_folder,
    atomic_write,
    read_table,
    write_table,
)
from subspace_illusion.pipeline.params import Params, shown_params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.report.comparison import comparable, compare
from subspace_illusion.report.contents import whole_report
from subspace_illusion.report.findings import findings
from subspace_illusion.report.page import render
from subspace_illusion.report.results import Results
from subspace_illusion.verdict.judge import judge
from subspace_illusion.verdict.score import read_scores
from subspace_illusion.verdict.shipped import read_calibration


def main(params: Params) -> None:
    say("drawing the pictures and writing the report, about 20 s")
    tokenizer = open_tokenizer(MODEL)
    results = Results.of_run(
        params.model.name,
        params.task.name,
        params.components,
        params.roles.v_true,
        params.roles.v_mlp,
        dict(params.experiments),
        lambda ids: tokenizer.hf.decode(ids, skip_special_tokens=True),
    )
    found, calibration = findings(results), read_calibration(params.verdict.calibration)
    published = comparable(read_table(PUBLISHED), params.task.name, found)
    comparison = compare(published, found, params.model.name == "gpt2")
    write_table(RESULTS / "comparison.csv", comparison)
    with atomic_folder(FIGURES) as figures:
        report = whole_report(
            results,
            found,
            judge(read_scores(read_table(SCORES)), calibration, params.verdict.smallest_effect),
            calibration,
            comparison,
            smallest_effect=params.verdict.smallest_effect,
            parameters=shown_params(),
            hashes=hashes(MODEL),
            timings=TIMINGS.name,
            figures=figures,
            dpi=params.plots.dpi,
        )
    for path, page in zip(("report.html", "report.md"), render(report, FIGURES, FIGURES.name), strict=True):
        with atomic_write(RESULTS / path) as partial:
            partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main, __doc__)
