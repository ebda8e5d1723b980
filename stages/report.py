"""Draws the pictures and writes the report, results/report.html and results/report.md."""

from functools import partial

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.core.pointer import hashes
from subspace_illusion.files import atomic_folder, read_table, write_table, write_text
from subspace_illusion.pipeline.layout import (
    CLAIMED,
    DATA,
    FIGURES,
    MODEL,
    PUBLISHED,
    PUBLISHED_FACTS,
    RESULTS,
    SEEN,
    TIMINGS,
)
from subspace_illusion.pipeline.params import Params, shown_params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.report.claims import claims_table
from subspace_illusion.report.comparison import all_published, comparable, compare
from subspace_illusion.report.contents import whole_report
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.page import render
from subspace_illusion.report.results import Results
from subspace_illusion.verdict.judge import judge
from subspace_illusion.verdict.rule import Limits
from subspace_illusion.verdict.seen import read_seen
from subspace_illusion.verdict.shipped import read_calibration


def main(params: Params) -> None:  # all of them, because the report shows them
    say("drawing the pictures and writing the report, about 20 s")
    tokenizer, names, rules = open_tokenizer(MODEL), params.names, params.verdict
    roles = params.components, params.v_true, params.v_mlp, dict(params.experiments)
    words = partial(tokenizer.hf.decode, skip_special_tokens=True)
    results = Results.of_run(names.model, names.task, *roles, RESULTS, DATA, words)
    found, calibration = findings(results), read_calibration(rules.calibration)
    seen, limits = read_seen(read_table(SEEN)), Limits(rules.illusory_up_to, rules.faithful_from)
    published = all_published(read_table(PUBLISHED), read_table(PUBLISHED_FACTS))
    comparison = compare(comparable(published, names.task, found), found, names.model == "gpt2")
    write_table(RESULTS / "comparison.csv", comparison)
    with atomic_folder(FIGURES) as figures:
        report = whole_report(
            results,
            found,
            judge(seen, calibration.planted, names.model, rules.smallest_effect, limits),
            calibration,
            comparison,
            claims_table(read_table(CLAIMED), names.task, found),
            smallest_effect=rules.smallest_effect,
            parameters=shown_params(),
            hashes=hashes(MODEL),
            timings=TIMINGS.name,
            figures=figures,
            dpi=params.plots.dpi,
            limits=limits,
        )
    for path, page in zip(("report.html", "report.md"), render(report, FIGURES, FIGURES.name), strict=True):
        write_text(RESULTS / path, page)


if __name__ == "__main__":
    run(main, __doc__)
