"""Verdicts in words, and as the table that pages and pictures read."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from subspace_illusion.report.words import fixed, shown
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.judge import Caution, Verdict
from subspace_illusion.verdict.rule import FAITHFUL, Reason
from subspace_illusion.verdict.sub_scores import NAMED, NEEDED, SUB_SCORES

CAUTIONS: Mapping[Caution, str] = {
    Caution.FEW_GROUPS: "its intervals are over few groups of pairs",
    Caution.STRENGTHENS: "it strengthens the answer, which no planted case that counts does",
    Caution.WEAKER: "weaker than the planted cases that count",
    Caution.RESIDUAL_STREAM: "in the residual stream, where no case was planted",
}
"""What a verdict's reason says of each caution."""


def reason_of(verdict: Verdict) -> str:
    """Why a verdict is what it is, in one sentence, its cautions behind it."""
    if verdict.reason is Reason.SMALL_EFFECT:
        return "the effect is too small to ask what it is made of"
    if verdict.reason is Reason.FEW_GROUPS:
        return f"the held-out pairs are of {verdict.score.groups} groups, too few for an interval"
    limits = verdict.thresholds
    if verdict.reason is Reason.FEW_SUB_SCORES or limits is None:
        return f"fewer than {NEEDED} figures of the score apply"
    if verdict.reason is Reason.ILLUSORY_AXIS:
        return "; ".join(f"{shown(axis)} is illusory" for axis in verdict.illusory_axes)
    score, applying = verdict.score, list(verdict.score.sub_scores)
    said = " ".join(
        ["score", fixed(score.draws[0]), *([f"of {' and '.join(applying)}"] if len(applying) < len(SUB_SCORES) else [])]
    )
    faithful, illusory = f"faithful up to {fixed(limits.faithful)}", f"illusory from {fixed(limits.illusory)}"
    if verdict.reason is Reason.BETWEEN:
        where = f"between the thresholds or too near one: {faithful}, {illusory}"
    else:
        where = faithful if verdict.verdict == FAITHFUL else illusory
    return "; ".join([f"{said}, {where}", *(CAUTIONS[caution] for caution in verdict.cautions)])


def cautions_said(reason: str) -> tuple[Caution, ...]:
    """The cautions that the text of ``reason_of`` says, where a table has kept no more than that."""
    return tuple(caution for caution, words in CAUTIONS.items() if f"; {words}" in reason)


def verdict_table(verdicts: Mapping[SubspaceKey, Verdict]) -> pd.DataFrame:
    """One row a component and subspace: the verdict, why, the score with its sub-scores, thresholds and p values."""
    rows = []
    for key, verdict in verdicts.items():
        limits = verdict.thresholds
        about = dict(component=key.component, subspace=key.subspace, verdict=verdict.verdict, reason=reason_of(verdict))
        zones = dict(
            faithful_up_to=np.nan if limits is None else limits.faithful,
            illusory_from=np.nan if limits is None else limits.illusory,
        )
        rows.append(about | verdict.score.row() | zones | dict(p_effect=verdict.p_effect, p_score=verdict.p_score))
    columns = ["component", "subspace", "verdict", "reason", NAMED]
    measured = [f"{name}{end}" for name in ("fldd", "score", *SUB_SCORES) for end in ("", "_lo", "_hi")]
    columns += [*measured, "moved", "faithful_up_to", "illusory_from", "p_effect", "p_score"]
    return pd.DataFrame(rows, columns=columns).round(6)
