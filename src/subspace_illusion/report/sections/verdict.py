"""E13: the answer in one paragraph, the verdicts, their rule and the figures behind them."""

from collections.abc import Mapping, Sequence

from subspace_illusion.report.findings import Finding, fixed
from subspace_illusion.report.plots.verdict import verdict_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, with_ends
from subspace_illusion.report.verdict import (
    CRITERIA,
    FAITHFUL,
    ILLUSORY,
    INCONCLUSIVE,
    NEEDED,
    Verdict,
    evidence_table,
)
from subspace_illusion.subspace.ways import TRAINED

Verdicts = Mapping[tuple[str, str], Verdict]


def answer(results: Results, found: Sequence[Finding], verdicts: Verdicts) -> str:
    """The answer in one paragraph, written from the figures.

    Args:
        results: The results of the run.
        found: Its findings.
        verdicts: By component and subspace.
    """
    by_key = {finding.key: finding.estimate for finding in found}

    def of(key: str) -> str:
        return fixed(by_key[key].value)

    whole = by_key["v_mlp.full_patch.effect"]
    if whole.low is None or whole.high is None or whole.low <= 0 <= whole.high:
        does = "does nothing that can be told from zero"
    else:
        does = "does damage too" if whole.low > 0 else "does no damage"
    sentences = [
        f"On {results.model}, patching one direction of the residual stream ({results.v_true}, v_true) flips (LD < 0) "
        f"{of('v_true.flip_rate')} of the held-out predictions and makes S the top token in "
        f"{of('v_true.interchange_accuracy')}. Patching one direction of the hidden activations of an MLP "
        f"({results.v_mlp}, v_mlp) takes {of('v_mlp.effect')} off a logit difference of {of('clean.logit_diff')}, and "
        f"makes S the top token in {of('v_mlp.interchange_accuracy')}.",
        f"Patching that whole MLP {does} (effect {of('v_mlp.full_patch.effect')}), and without the part of v_mlp that "
        f"its output matrix maps to zero the effect is {of('v_mlp.row_only.effect')}.",
    ]
    if "v_mlp.lent_share" in by_key:
        sentences.append(
            f"Of the variation that the patch writes through the row part, {of('v_mlp.lent_share')} is lent by the "
            "null part."
        )
    if "dormant.outside" in by_key:
        sentences.append(
            f"Patched from the opposite position, {of('dormant.outside')} of the MLP's outputs along v_true lie "
            "outside the range that they have without a patch."
        )
    if "random_mlp.share_of_real" in by_key:
        sentences.append(
            f"MLPs with random weights in its place reach {of('random_mlp.share_of_real')} of v_mlp's effect."
        )
    sentences.append(
        f"By the thresholds in the parameters, v_true is {verdicts[results.v_true, TRAINED].verdict} and v_mlp is "
        f"{verdicts[results.v_mlp, TRAINED].verdict}."
    )
    return " ".join(sentences)


def verdict_grid(verdicts: Verdicts) -> Grid:
    """One row a component and subspace: the verdict, and why."""
    rows = [[*which, verdict.verdict, verdict.reason] for which, verdict in verdicts.items()]
    return Grid(["component", "subspace", "verdict", "why"], rows)


def evidence_grid(verdicts: Verdicts) -> Grid:
    """The evidence, one line a criterion that applies."""
    rows = [
        [*which, found.criterion.words, with_ends(found.figure), found.says]
        for which, verdict in verdicts.items()
        for found in verdict.evidence
        if found.figure is not None
    ]
    return Grid(["component", "subspace", "criterion", "figure", "it says"], rows)


def verdict_picture(verdicts: Verdicts) -> Picture:
    """The evidence as a picture."""
    return Picture("verdict", "The evidence for each verdict", verdict_figure(evidence_table(verdicts)))


def rules(verdicts: Verdicts, smallest_effect: float) -> str:
    """The rule of the verdict with its thresholds, and how many were made, in words."""
    lines = []
    for found in next(iter(verdicts.values())).evidence:
        large = found.criterion.large_is_faithful
        sides = []
        if found.thresholds.faithful is not None:
            sides.append(f"{FAITHFUL} {'from' if large else 'up to'} {found.thresholds.faithful:g}")
        if found.thresholds.illusory is not None:
            sides.append(f"{ILLUSORY} {'up to' if large else 'from'} {found.thresholds.illusory:g}")
        lines.append(f"{found.criterion.words} ({', '.join(sides) or 'it never decides'})")
    components = len({component for component, _ in verdicts})
    return (
        f"{len(CRITERIA)} criteria, each decided only where its whole interval lies beyond a threshold: "
        + "; ".join(lines)
        + f". At least {NEEDED} must agree and none may object; else, or where the effect is below {smallest_effect:g} "
        f"of the clean logit difference, the verdict is {INCONCLUSIVE}. A random MLP that reaches the effect speaks "
        "for an illusion; one that does not says nothing. For a direction of the residual stream, the part that "
        "nothing downstream reads is what the readers' queries do not see: it was measured for the components of the "
        "experiment split_directions, and counts only where random subspaces of the readers' rank lose another share. "
        "What a patch of the residual stream writes along v_true is true by algebra, so that criterion has no figure. "
        f"{len(verdicts)} verdicts were made, on {components} "
        f"component{'s' if components > 1 else ''}, each by itself: nothing is corrected for their number."
    )
