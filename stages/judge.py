"""Judges every subspace by the result tables (E13), and writes the findings that metrics and report show."""

import pandas as pd

from subspace_illusion.files import RESULTS, whole, write_json, write_table
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.report.findings import as_metrics, as_text, findings
from subspace_illusion.report.results import read_tables, verdicts_by
from subspace_illusion.report.verdict import evidence_table
from subspace_illusion.statistics import POOLED


def main(params) -> None:
    names, roles = list(params.components), params.roles
    say(f"judging the subspaces of {len(names)} components, a second")
    tables = read_tables(names, params.experiments.model_dump())
    found = findings(tables, roles.v_true, roles.v_mlp)
    verdicts = verdicts_by(**params.verdict.model_dump(), tables=tables)
    write_table(RESULTS / "verdicts.csv", evidence_table(verdicts))
    write_json(RESULTS / "metrics.json", as_metrics(found))

    decomposition = pd.concat([table.assign(component=name) for name, table in tables.decompositions.items()])
    write_table(RESULTS / "decomposition.csv", decomposition.set_index("component").round(6).reset_index())
    # For dvc plots: one bar a subspace.
    bars = tables.effects[tables.effects["seed"] == POOLED]
    subspace = bars["component"] + ": " + bars["subspace"]
    write_table(RESULTS / "bars.csv", pd.DataFrame(dict(subspace=subspace, effect=bars["effect"])))

    lines = [as_text(found), ""]
    lines += [f"{name}, {way}: {verdict.verdict} ({verdict.reason})" for (name, way), verdict in verdicts.items()]
    lines += ["", f"v_true is {roles.v_true}, v_mlp is {roles.v_mlp}. The whole story is in {RESULTS}/report.html."]
    with whole(RESULTS / "headline.txt") as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "roles", "experiments", "verdict"))
