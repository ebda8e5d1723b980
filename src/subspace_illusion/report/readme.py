"""The findings in short: the table of results in the README, the lines for the terminal, and DVC's metrics."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.files import README_TABLE
from subspace_illusion.report.comparison import in_words
from subspace_illusion.report.findings import BOOTSTRAP, Finding, fixed, roles
from subspace_illusion.report.results import Results
from subspace_illusion.report.verdict import Verdict
from subspace_illusion.subspace.ways import TRAINED

ROWS: Mapping[str, str] = {
    "clean.logit_diff": "",
    "v_true.flip_rate": "",
    "v_true.interchange_accuracy": "",
    "residual.full_patch.flip_rate": "",
    "residual.full_patch.interchange_accuracy": "",
    "v_true.cos_mean_difference": "",
    "v_true.paths.readers": "name movers, largely (post)",
    "v_mlp.full_patch.effect": "",
    "v_mlp.effect": "",
    "v_mlp.share_of_residual": "",
    "v_mlp.cos_v_true": "",
    "v_mlp.effect_over_row_part": "",
    "v_mlp.lent_share": "",
    "v_mlp.lent_effect": "",
    "v_mlp.null_only.effect": "0 (paper)",
    "dormant.gap_ratio": "clean gap near zero (post)",
    "dormant.outside": "",
    "random_mlp.share_of_real": "more than 1 (post)",
    "recovery.r2": "",
    "signs.z0_01": "",
    "signs.z0_1": "",
    "neurons.r2": "linear (post)",
}
"""The findings that the README's table shows, in order, with what was published without a figure."""

START, END = "<!-- results -->", "<!-- /results -->"
"""Between these comments of the README stands the table, and nothing else."""


def readme_table(found: Sequence[Finding], published: pd.DataFrame) -> str:
    """The README's table of results, in Markdown; findings that the run has not made are left out.

    Args:
        found: The findings.
        published: As for ``compare``.
    """
    by_key = {finding.key: finding for finding in found}
    of_others = published.drop_duplicates("key").set_index("key", drop=False)
    lines = ["| | here | interval or single values | post or paper, GPT-2 small |", "| --- | ---: | ---: | ---: |"]
    for key, words in ROWS.items():
        if (finding := by_key.get(key)) is not None:
            theirs = words
            if key in of_others.index:
                row = of_others.loc[key].to_dict()
                theirs = f"{in_words(row | dict(note=''))} ({row['source']})"
            cells = (finding.words, fixed(finding.estimate.value), finding.spread, theirs)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def with_table(readme: str, table: str) -> str:
    """A README with this table between ``START`` and ``END``, and nothing else there."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n{table}{END}{after}"


def headline(found: Sequence[Finding], verdicts: Mapping[tuple[str, str], Verdict]) -> str:
    """The findings of the README's table and the verdicts, as lines for the terminal."""
    by_key = {finding.key: finding for finding in found}
    shown = [by_key[key] for key in ROWS if key in by_key]
    width = max(len(finding.words) for finding in shown)
    lines = [f"{finding.words:{width}} {fixed(finding.estimate.value):>7}   {finding.spread}" for finding in shown]
    lines += ["", f"Intervals: {BOOTSTRAP}.", ""]
    lines += [f"{name}, {way}: {verdict.verdict} ({verdict.reason})" for (name, way), verdict in verdicts.items()]
    return "\n".join(line.rstrip() for line in lines)


METRICS: Mapping[str, str] = {
    "clean.logit_diff": "clean.logit_diff",
    "residual.fldd": "residual.full_patch.fldd",
    "v_true.fldd": "v_true.fldd",
    "v_true.flip_rate": "v_true.flip_rate",
    "v_true.interchange_accuracy": "v_true.interchange_accuracy",
    "mlp.fldd": "v_mlp.full_patch.fldd",
    "v_mlp.fldd": "v_mlp.fldd",
    "v_mlp.row_fldd": "v_mlp.row_only.fldd",
    "v_mlp.lent_share": "v_mlp.lent_share",
    "v_mlp.share_of_residual": "v_mlp.share_of_residual",
}
"""DVC's metrics in the order in which one reads them, with the findings that they are."""


def metrics(
    run: Mapping[str, str], results: Results, found: Sequence[Finding], verdicts: Mapping[tuple[str, str], Verdict]
) -> dict[str, Any]:
    """The headline figures as nested numbers, the run and the verdicts among them as text.

    Args:
        run: What the run was: model, task and size.
        results: Its results.
        found: Its findings.
        verdicts: By component and subspace.
    """
    by_key = {finding.key: finding.estimate for finding in found}
    nested: dict[str, Any] = {"run": dict(run)}
    for key, of in METRICS.items():
        if of in by_key:
            level, name = key.split(".")
            nested.setdefault(level, {})[name] = round(by_key[of].value, 6) + 0.0  # no minus zero
    for role, component in roles(results).items():
        nested.setdefault(role, {})["verdict"] = verdicts[component, TRAINED].verdict
    return nested


if __name__ == "__main__":
    path = Path("README.md")
    written = with_table(path.read_text(encoding="utf-8"), README_TABLE.read_text(encoding="utf-8"))
    path.write_text(written, encoding="utf-8")
