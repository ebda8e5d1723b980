"""The comparison of a run with what the post and the paper published about GPT-2 small, and of facts about GPT-2 XL."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from subspace_illusion.report.findings.facts import fact_key
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.words import fixed
from subspace_illusion.statistics import Estimate
from subspace_illusion.tasks.table import IOI

CLOSE = 0.25
"""Within a quarter of a figure that was published as "about" counts as close."""

NOTHING_LEFT = 0.1
"""A figure of the same sign but a smaller share of the published one agrees in nothing."""

NIL = 0.05
"""Two shares that are both below this are both next to nothing."""

ALGEBRA = "v_mlp.null_only"
"""Findings that cannot come out otherwise."""

OF_ANY_TASK = ("recovery.", "signs.", "facts.")
"""Findings on ordinary text, which do not depend on the task, and of facts, which no other task has."""

UNDER = "under"
"""In the column ``about``: the figure was published as a bound."""

NOT_RUN = "not run"

COMPARISON_COLUMNS = ("quantity", "source", "published", "gpt2 here", "this run", "interval", "agreement")


def all_published(published: pd.DataFrame, of_facts: pd.DataFrame) -> pd.DataFrame:
    """Every published figure in the form that ``compare`` takes.

    Args:
        published: Those of IOI and of ordinary text, in that form.
        of_facts: Those of facts by block: ``quantity, block, blocks, value``.
    """
    rows = [
        dict(
            key=fact_key(row),
            source="paper",
            quantity=f"{row['quantity']}, block {row['block']} of {row['blocks']}",
            low=row["value"],
            high=row["value"],
            measure="share",
            note="GPT-2 XL",
        )
        for row in of_facts.to_dict("records")
    ]
    return pd.concat([published, pd.DataFrame(rows)], ignore_index=True)


def comparable(published: pd.DataFrame, task: str, found: Sequence[Finding]) -> pd.DataFrame:
    """The published figures that those of a task can be held against.

    For IOI all of them, whether the run has them or not. For another task those that do not depend on IOI, as far as
    the run has them.

    Args:
        published: As for ``compare``.
        task: Name of the task.
        found: The findings of the run.
    """
    if task == IOI:
        return published
    keys = [finding.key for finding in found if finding.key.startswith(OF_ANY_TASK)]
    return published[published["key"].isin(keys)].reset_index(drop=True)


def compare(published: pd.DataFrame, found: Sequence[Finding], is_gpt2: bool) -> pd.DataFrame:
    """One row a published figure: it, what this run found, and in what sense they agree.

    Logit differences of two models have no common scale. Those of the paper's table 1 are compared as shares of the
    clean LD that are lost, each of its own pairs: the paper's rows and its clean LD are of the same pairs, and a
    finding brings its own share. The post's effects have no clean LD beside them: only their signs are compared.

    Args:
        published: Columns ``key, source, quantity, low, high, about, measure, note``. ``about`` is not empty where the
            figure was given without a claim to precision, and ``UNDER`` where it is a bound. The measure is ``clean``
            (the LD that those of ``ld`` are shares of), ``ld``, ``effect``, ``accuracy`` (of telling two classes apart,
            compared by how far above chance it is), ``share`` (of pairs) or ``plain``.
        found: The findings of the run.
        is_gpt2: Whether the run is of GPT-2 small itself, whose logits have the published ones' scale.

    Returns:
        Columns ``COMPARISON_COLUMNS``, as text.
    """
    by_key = {finding.key: finding for finding in found}
    clean = float(published.loc[published["measure"] == "clean", "low"].max())
    rows = []
    for row in published.to_dict("records"):
        here, interval, agreement = NOT_RUN, "", ""
        if (finding := by_key.get(row["key"])) is not None:
            here, interval = f"{finding.estimate.value + 0.0:.3f}", finding.spread
            agreement = _sense(row, finding, clean, is_gpt2)
        text = in_words(row)
        if row["measure"] == "ld":
            text += f"; {_lost(1 - row['low'] / clean)}"
            if finding is not None and finding.share is not None:
                interval += f"; {_lost(finding.share.value)}"
        rows.append(
            {
                "quantity": row["quantity"],
                "source": row["source"],
                "published": text,
                "gpt2 here": here if is_gpt2 else NOT_RUN,
                "this run": here,
                "interval": interval,
                "agreement": agreement,
            }
        )
    return pd.DataFrame(rows, columns=list(COMPARISON_COLUMNS))


def in_words(row: Mapping[str, Any]) -> str:
    """A published figure with its note."""
    about, note = (row[name] if isinstance(row[name], str) else "" for name in ("about", "note"))
    figure = f"{row['low']:.3g}" if row["low"] == row["high"] else f"{row['low']:.3g} to {row['high']:.3g}"
    return " ".join(part for part in (about, figure, f"({note})" if note else "") if part)


def _lost(share: float) -> str:
    return f"{100 * share + 0.0:.1f} % of clean LD lost"


def _sense(row: Mapping[str, Any], finding: Finding, clean: float, is_gpt2: bool) -> str:
    """In what sense a finding agrees with a published figure."""
    if row["key"].startswith(ALGEBRA):
        return "by algebra in both: the readout maps it to zero"
    if row["about"] == UNDER:
        return "agrees: under it too" if finding.estimate.value < row["low"] else "differs: not under it"
    measure, theirs = row["measure"], (row["low"], row["high"])
    here = finding.share if measure == "ld" else finding.estimate
    about = isinstance(row["about"], str) and bool(row["about"])
    if measure in ("clean", "effect") and not is_gpt2:
        if measure == "clean":
            return "other scale"
        if here is None or here.low is None or here.high is None or here.low <= 0 <= here.high:
            return "other scale; no sign to speak of here"
        return f"other scale; {'same' if here.value * sum(theirs) > 0 else 'opposite'} sign"
    if here is None:
        return ""
    if measure == "ld":
        theirs = (1 - theirs[1] / clean, 1 - theirs[0] / clean)
    if measure == "accuracy":
        here, theirs = above_chance(here), (theirs[0] - 0.5, theirs[1] - 0.5)
        if here.value <= 0 < theirs[0]:
            return "differs: not above chance"
    return agree(here, theirs, about=about, is_share=measure in ("ld", "share"))


def above_chance(accuracy: Estimate) -> Estimate:
    """How far the accuracy of telling two classes apart is above chance."""
    low, high = (None if end is None else end - 0.5 for end in (accuracy.low, accuracy.high))
    return Estimate(accuracy.value - 0.5, low, high)


def agree(here: Estimate, theirs: tuple[float, float], *, about: bool = False, is_share: bool = False) -> str:
    """In what sense a figure agrees with a published one.

    A published figure inside a bootstrap interval of this run is compatible with it, a wide interval more easily than a
    narrow one; one that was published as "about" can agree within a quarter. Everything else is told by the ratio.

    Args:
        here: The figure and its bootstrap interval, if it has one.
        theirs: The published figure, twice, or the ends of its range.
        about: Whether it was published as "about".
        is_share: Whether both are shares, so that small ones are next to nothing.
    """
    value, (least, most) = here.value, theirs
    middle = (least + most) / 2
    if least < most and least <= value <= most:
        return "agrees: within the published range"
    if here.low is not None and here.high is not None and here.low <= most and least <= here.high:
        return "compatible: within the interval"
    if is_share and abs(value) < NIL and abs(middle) < NIL:
        return f"agrees: both under {NIL:.0%}"
    if value == middle:
        return "agrees: equal"
    if middle == 0 or value * middle < 0:
        return "differs: opposite sign" if middle and value else "differs"
    if about and abs(value / middle - 1) <= CLOSE:
        return "agrees: within a quarter"
    if value / middle < NOTHING_LEFT:
        return "differs: under a tenth of it"
    return f"{fixed(value / middle)} times as large"
