"""Verdicts in words, and as the table that pages and pictures read."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.report.words import fixed, percent, shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.intervals import Predicted
from subspace_illusion.verdict.judge import Caution, Verdict
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, Reason, ends
from subspace_illusion.verdict.seen import MEASURED, Seen

CAUTIONS: Mapping[Caution, str] = {
    Caution.FEW_GROUPS: "its intervals are over few groups of pairs",
    Caution.MANY_DIMENSIONS: "it has more dimensions than planted cases have",
    Caution.OPPOSED: "the component itself does not move the answer that way, so the estimate could only be zero",
    Caution.BY_DEFINITION: "the estimate is near one by definition, as this is the component's own difference",
    Caution.NO_SUCH_HOOK: "no case was planted at such a hook, only at others of its kind",
    Caution.HELD_LESS: "on a model that was left out, intervals at such a hook held fewer planted cases than promised",
    Caution.ONE_BLOCK: "without the planted cases of one block the word would be another",
}
"""What a verdict's reason says of each caution."""

COMPLETE_FROM = 0.8
"""A faithful subspace whose effect is certainly a smaller share of the whole component's is called incomplete."""

_TOO_FEW, _TOO_SMALL, _ROUNDING = "too few for an interval", "too small to ask what it goes through", "rounding alone"
NOT_ASKED = (Reason.FEW_GROUPS, Reason.SMALL_EFFECT, Reason.IN_NOISE)
"""Where a verdict is made before it comes to the mediated share, whatever that would be."""

NO_SHARE = "not asked"
"""What stands in the place of the share then."""

EVIDENCE: Mapping[str, str] = dict(
    fldd="effect (share of the clean LD)",
    whole="whole component",
    own="own-difference share",
    match="match with the whole component",
)
"""What a verdict rests on, in words, in the order in which it is shown."""


def reason_of(verdict: Verdict) -> str:
    """Why a verdict is what it is, in one sentence, its cautions behind it."""
    return "; ".join([_because(verdict), *(CAUTIONS[caution] for caution in verdict.cautions)])


def in_short(verdict: Verdict) -> str:
    """The word, and the mediated share in its prediction interval, or why it was not asked."""
    if verdict.share is None or verdict.reason in NOT_ASKED:
        return f"{verdict.verdict}: {reason_of(verdict)}"
    return f"{verdict.verdict}, with a mediated share of {percent(verdict.share)}"


def why(verdict: Verdict) -> str:
    """The same for a first screen: one sentence without figures, which the tables have, its cautions in short."""
    said = _WHY.get(verdict.reason, "")
    if verdict.reason is Reason.ILLUSORY_AXIS:
        axes = " and ".join(map(shown, verdict.illusory_axes))
        said = f"as a whole it would be faithful, but along {axes} the effect is illusory"
    if verdict.reason is Reason.BEYOND:
        said = _BEYOND[verdict.verdict]
        if verdict.verdict == FAITHFUL and _incomplete(verdict.seen):
            said += "; incomplete, for it does less than the whole component"
    return "; ".join([said, *(_IN_SHORT.get(caution, caution.value) for caution in verdict.cautions)])


_IN_SHORT = {
    Caution.OPPOSED: "the component works the other way, so that 0 was the only possible estimate",
    Caution.ONE_BLOCK: CAUTIONS[Caution.ONE_BLOCK],
}
"""Cautions in other words than their own."""
_WHY: Mapping[Reason, str] = {
    Reason.FEW_GROUPS: "the held-out pairs are of too few groups for an interval",
    Reason.SMALL_EFFECT: "the patch does too little to ask what its effect goes through",
    Reason.IN_NOISE: "the effect is no more than the model's rounding alone does",
    Reason.LITTLE_PLANTED: "too little was planted in such places, so no interval is known",
    Reason.ACROSS: "the interval leaves room for either word",
}
_BEYOND = {
    FAITHFUL: "most of the effect is what the component itself hands on",
    ILLUSORY: "most of the effect is not what the component itself hands on",
}


def _because(verdict: Verdict) -> str:
    seen = verdict.seen
    if verdict.reason is Reason.FEW_GROUPS:
        return f"the held-out pairs are of {seen.groups} groups, {_TOO_FEW}"
    if verdict.reason is Reason.SMALL_EFFECT:
        return f"the effect, {fixed(seen.fldd[0])} of the clean LD, is {_TOO_SMALL}"
    if verdict.reason is Reason.IN_NOISE:
        return f"the effect, {fixed(seen.fldd[0])} of the clean LD, is no more than {_ROUNDING} does"
    share = verdict.share
    if share is None:
        return f"too little was planted in such places as {seen.site.name}, so that no interval is known"
    said = (
        f"of the effect, {fixed(seen.fldd[0])} of the clean LD, an estimated {percent(share)} goes through what "
        f"{seen.site.name} itself hands on"
    )
    if verdict.reason is Reason.ILLUSORY_AXIS:
        axes = " and ".join(map(shown, verdict.illusory_axes))
        return f"{said}, but {axes} {'is' if len(verdict.illusory_axes) == 1 else 'are'} illusory"
    if verdict.reason is Reason.ACROSS:
        return f"{said}: not all of the interval lies on one side"
    return f"{said}{_incomplete(seen)}" if verdict.verdict == FAITHFUL else said


def _incomplete(seen: Seen) -> str:
    """What there is to say of a faithful subspace that does less than its whole component."""
    match = seen.estimate("match")
    does_less = abs(seen.fldd[0]) < abs(seen.whole[0]) and match is not None and ends(match)[1] < COMPLETE_FROM
    return f"; incomplete, the whole component's effect is {fixed(seen.whole[0])}" if does_less else ""


def cautions_said(reason: str) -> tuple[Caution, ...]:
    """The cautions that the text of ``reason_of`` says, where a table has kept no more than that."""
    return tuple(caution for caution, words in CAUTIONS.items() if f"; {words}" in reason)


def was_asked(reason: str) -> bool:
    """Whether a verdict came to the mediated share, likewise."""
    return not any(words in reason for words in (_TOO_FEW, _TOO_SMALL, _ROUNDING))


def interval_from(predicted: Predicted) -> str:
    """Where a prediction interval is from, and what it promises."""
    return f"{predicted.source}: {predicted.cases} cases, {predicted.level:.0%} promised"


def evidence(verdict: Verdict) -> str:
    """What a verdict rests on, in one line."""
    return "; ".join(_evidence(verdict))


def _evidence(verdict: Verdict) -> Iterator[str]:
    for name, words in (("fldd", "effect"), ("whole", "whole component")):
        if (figure := verdict.seen.estimate(name)) is not None:
            yield f"{words} {with_ends(figure)} of the clean LD"
    if verdict.reason in NOT_ASKED:
        yield "the mediated share is not asked"
        return
    for name in ("own", "match"):
        if (figure := verdict.seen.estimate(name)) is not None:
            yield f"{EVIDENCE[name]} {with_ends(figure)}"
    if verdict.predicted is not None and verdict.share is not None:
        yield f"mediated share {with_ends(verdict.share)} ({interval_from(verdict.predicted)})"


def verdict_table(verdicts: Mapping[SubspaceKey, Verdict]) -> pd.DataFrame:
    """One row a component and subspace: the verdict, why, what it rests on, and the estimate of the mediated share
    (``share``) with its prediction interval: its ends, the ``level`` that it promises, how many ``planted`` cases it is
    from and where these are."""
    rows = []
    for key, verdict in verdicts.items():
        about = dict(component=key.component, subspace=key.subspace, verdict=verdict.verdict, reason=reason_of(verdict))
        rows.append(about | verdict.seen.row() | _predicted(verdict.predicted))
    measured = [f"{name}{end}" for name in MEASURED for end in ("", "_lo", "_hi")]
    columns = ["component", "subspace", "verdict", "reason", *measured, "level", "planted", "interval_from"]
    return pd.DataFrame(rows, columns=columns).round(6)


def share_cells(row: Mapping[str, Any]) -> tuple[str, str]:
    """What a page shows of a row of ``verdict_table``: the mediated share in its prediction interval, and what that
    promises."""
    if not was_asked(str(row["reason"])):
        return NO_SHARE, ""
    if pd.isna(row["level"]):
        return "", ""
    return percent(Estimate(row["share"], row["share_lo"], row["share_hi"])), f"{row['level']:.0%}"


def _predicted(predicted: Predicted | None) -> dict[str, object]:
    """The columns of a prediction interval, which stands in the place of that over groups."""
    if predicted is None:
        return dict(share_lo=np.nan, share_hi=np.nan, level=np.nan, planted=0, interval_from="")
    ends_of = dict[str, object](share_lo=predicted.low, share_hi=predicted.high)
    return ends_of | dict(level=predicted.level, planted=predicted.cases, interval_from=predicted.source)
