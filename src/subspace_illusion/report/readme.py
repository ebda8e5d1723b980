"""The findings in short: the blocks of README and docs, the lines for the terminal, and DVC's metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.report.calibration import metrics_of
from subspace_illusion.report.claims import NOT_ASKED, counts
from subspace_illusion.report.comparison import in_words
from subspace_illusion.report.findings.finding import BOOTSTRAP, Finding
from subspace_illusion.report.findings.subspaces import own_finding
from subspace_illusion.report.results import Results
from subspace_illusion.report.verdict import evidence, in_short, reason_of
from subspace_illusion.report.words import fixed, place, shown, variable_of
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.judge import Verdict

HEADLINE_ROWS: Sequence[str] = (
    "clean.logit_diff",
    "v_true.flip_rate",
    "v_true.interchange_accuracy",
    "residual.full_patch.flip_rate",
    "residual.full_patch.interchange_accuracy",
    "v_true.cos_mean_difference",
    "v_true.paths.readers",
    "v_mlp.full_patch.effect",
    "v_mlp.effect",
    "v_mlp.share_of_residual",
    "v_mlp.cos_v_true",
    "v_mlp.effect_over_row_part",
    "v_mlp.lent_share",
    "v_mlp.lent_effect",
    "v_mlp.null_only.effect",
    "dormant.gap_ratio",
    "dormant.outside",
    "random_mlp.share_of_real",
    "recovery.r2",
    "signs.z0_01",
    "signs.z0_1",
    "neurons.r2",
)
"""The findings that the terminal shows, in order."""

README_ROWS: Sequence[str] = (
    "clean.logit_diff",
    "v_true.flip_rate",
    "v_mlp.full_patch.effect",
    "v_mlp.effect",
    "v_mlp.effect_over_row_part",
    "v_mlp.lent_share",
)
"""The findings of the README's table, in order: the illusion in six rows."""


def readme_table(
    found: Sequence[Finding],
    published: pd.DataFrame,
    called: pd.DataFrame,
    roles: Mapping[str, str],
    verdicts: Mapping[SubspaceKey, Verdict],
) -> str:
    """The README's table of results, in Markdown, with the counts of claims and what was judged below; findings that
    the run has not made are left out.

    Args:
        found: The findings.
        published: As for ``compare``, those that are comparable.
        called: What ``claims_table`` gives.
        roles: The components by what stands for them, such as v_mlp.
        verdicts: By component and subspace.
    """
    calls = called[called["call"] != NOT_ASKED].drop_duplicates("key").set_index("key")["call"]
    by_key = {finding.key: finding for finding in found}
    of_others = published.drop_duplicates("key").set_index("key", drop=False)
    header = ["", "here", "interval or single values", "post or paper, GPT-2 small", "claim"]
    lines = ["| " + " | ".join(header) + " |", "| --- | ---: | ---: | ---: | --- |"]
    for key in README_ROWS:
        if (finding := by_key.get(key)) is not None:
            theirs = ""
            if key in of_others.index:
                row = of_others.loc[key].to_dict()
                theirs = f"{in_words(row | dict(note=''))} ({row['source']})"
            cells = (finding.words, fixed(finding.estimate.value), finding.spread, theirs, calls.get(key, ""))
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    judged = [f"- {role} is {in_short(verdicts[SubspaceKey(TRAINED, component=at)])}." for role, at in roles.items()]
    return "\n".join([*lines, "", f"{counts(called)}.", "", *judged]) + "\n"


def with_block(page: str, name: str, content: str) -> str:
    """A page with this content between ``<!-- name -->`` and ``<!-- /name -->``, and nothing else there.

    Raises:
        InputError: If the page has not both comments.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, opened, rest = page.partition(start)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise InputError(f"the page has no {start.strip()} with {end} behind it")
    return f"{before}{start}{content}{end}{after}"


def headline(results: Results, found: Sequence[Finding], verdicts: Mapping[SubspaceKey, Verdict]) -> str:
    """What was asked, the findings in short, and each verdict with its evidence: the terminal's lines.

    Args:
        results: The results of the run.
        found: Its findings.
        verdicts: By component and subspace.
    """
    by_key = {finding.key: finding for finding in found}
    listed = [by_key[key] for key in HEADLINE_ROWS if key in by_key]
    width = max(len(finding.words) for finding in listed)
    lines = [asked(results), ""]
    lines += [f"{finding.words:{width}} {fixed(finding.estimate.value):>7}   {finding.spread}" for finding in listed]
    lines += ["", f"Intervals: {BOOTSTRAP}.", ""]
    for key, verdict in verdicts.items():
        lines.append(f"{key.component}, {shown(key)}: {verdict.verdict} ({reason_of(verdict)})")
        lines.append(f"    {evidence(verdict)}")
    return "\n".join(line.rstrip() for line in lines)


def asked(results: Results) -> str:
    """What was asked of which model, on how many pairs."""
    kept, of_effects = int(results.pairs["kept"].sum()), next(iter(results.effects.values()))
    left_out = f", {len(results.pairs) - kept} left out" if kept < len(results.pairs) else ""
    measured = f"effects on {of_effects['pairs']} held-out ones in {of_effects['groups']} groups"
    return (
        f"{results.model}, {results.task}: which subspaces carry {variable_of(results.task)}? "
        f"Patched at {place(results.at_end)}; {kept} pairs{left_out}, {measured}."
    )


METRICS: Mapping[str, str] = {
    "clean.logit_diff": "clean.logit_diff",
    "residual.fldd": "residual.full_patch.fldd",
    "v_true.fldd": "v_true.fldd",
    "mlp.fldd": "v_mlp.full_patch.fldd",
    "v_mlp.fldd": "v_mlp.fldd",
    "v_mlp.row_fldd": "v_mlp.row_only.fldd",
    "v_mlp.lent_share": "v_mlp.lent_share",
}
"""DVC's metrics in the order in which one reads them, with the findings that they are."""

OWN_METRICS = ("fldd", "whole_share", "row_share", "lent_share")
"""The findings of each of the user's own subspaces that are metrics."""


def metrics(
    run: Mapping[str, str],
    results: Results,
    found: Sequence[Finding],
    verdicts: Mapping[SubspaceKey, Verdict],
    calibration: Calibration,
) -> dict[str, Any]:
    """The headline figures as nested numbers, the run and the verdicts among them as text.

    Args:
        run: What the run was: model, task and size.
        results: Its results.
        found: Its findings.
        verdicts: By component and subspace.
        calibration: What the planted cases say.
    """
    by_key = {one.key: round(one.estimate.value, 6) + 0.0 for one in found}  # no minus zero
    kept = int(results.pairs["kept"].sum())
    nested: dict[str, Any] = {
        "run": dict(run) | dict(position="END" if results.at_end else "token of its own"),
        "pairs": dict(kept=kept, left_out=len(results.pairs) - kept),
    }
    for metric, finding in METRICS.items():
        if finding in by_key:
            level, name = metric.split(".")
            nested.setdefault(level, {})[name] = by_key[finding]
    for role, component in results.roles.items():
        verdict = verdicts[SubspaceKey(TRAINED, component=component)]
        nested.setdefault(role, {})["verdict"] = verdict.verdict
        if (share := verdict.seen.estimate("share")) is not None:
            nested[role]["share"] = round(share.value, 6) + 0.0
    nested["calibration"] = metrics_of(calibration)
    for key in results.own_subspaces:
        figures = {name: by_key.get(f"{own_finding(key)}.{name}") for name in OWN_METRICS}
        of_own: dict[str, Any] = {name: figure for name, figure in figures.items() if figure is not None}
        of_own["verdict"] = verdicts[key].verdict
        nested.setdefault("own", {}).setdefault(key.component, {})[shown(key)] = of_own
    return nested


def findings_block(lines: str) -> str:
    """The findings among the terminal's lines, as a block of a page.

    Args:
        lines: As ``headline`` gives them.
    """
    _, shown, *_ = lines.split("\n\n")
    return f"```\n{shown}\n```\n"
