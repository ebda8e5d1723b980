"""Judges every subspace by the result tables (E13), and writes the findings that metrics and report show."""

from subspace_illusion.files import read_table, write_json, write_table, write_text
from subspace_illusion.pipeline.layout import (
    CLAIMED,
    CLAIMS,
    DATA,
    HEADLINE,
    METRICS,
    PUBLISHED,
    README_TABLE,
    REPAIRED,
    REPAIRS,
    RESULTS,
    SEEN,
    VERDICTS,
)
from subspace_illusion.pipeline.sections import Components, Experiments, Labels, Verdict
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.report.claims import claims_table
from subspace_illusion.report.comparison import comparable
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.findings.tables import bars, decomposition, findings_table
from subspace_illusion.report.readme import headline, metrics, readme_table
from subspace_illusion.report.results import Results
from subspace_illusion.report.verdict import verdict_table
from subspace_illusion.verdict.judge import judge
from subspace_illusion.verdict.rule import Limits
from subspace_illusion.verdict.seen import read_seen
from subspace_illusion.verdict.shipped import read_calibration


def main(
    names: Labels,
    size: str,
    components: Components,
    v_true: str,
    v_mlp: str | None,
    experiments: Experiments,
    verdict: Verdict,
) -> None:
    say(f"judging the subspaces of {len(components)} components, a second")
    results = Results.of_run(names.model, names.task, components, v_true, v_mlp, dict(experiments), RESULTS, DATA)
    found, calibration = findings(results), read_calibration(verdict.calibration)
    limits = Limits(verdict.illusory_up_to, verdict.faithful_from)
    by = calibration.planted, names.model, verdict.smallest_effect, limits
    verdicts = judge(read_seen(read_table(SEEN)), *by)
    write_table(VERDICTS, verdict_table(verdicts))
    repairs = (read_seen(read_table(REPAIRS / f"{name}.parquet")) for name in experiments.repair)
    repaired = {key: one for each in repairs for key, one in each.items()}
    write_table(REPAIRED, verdict_table(judge(repaired, *by)))
    write_table(RESULTS / "findings.csv", findings_table(found))
    write_table(CLAIMS, called := claims_table(read_table(CLAIMED), names.task, found))
    write_table(RESULTS / "decompose.csv", decomposition(results))
    write_table(RESULTS / "bars.csv", bars(results))
    about = dict(model=names.model, task=names.task, size=size)
    write_json(METRICS, metrics(about, results, found, verdicts, calibration))
    published = comparable(read_table(PUBLISHED), names.task, found)
    text = headline(results, found, verdicts)
    write_text(HEADLINE, f"{text}\n\nThe whole story is in {RESULTS}/report.html.\n")
    write_text(README_TABLE, readme_table(found, published, called, results.roles, verdicts))


if __name__ == "__main__":
    run(main, __doc__)
