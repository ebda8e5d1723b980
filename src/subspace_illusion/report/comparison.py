"""The comparison of a run with what the post and the paper published about GPT-2 small."""

from collections.abc import Sequence

import pandas as pd

from subspace_illusion.report.findings import Finding

CLOSE = 0.25
"""Within a quarter of the published figure counts as close."""

NOTHING_LEFT = 0.1
"""A figure of the same sign but a smaller share of the published one agrees in nothing."""

NIL = 0.05
"""An effect below this share of the clean LD counts as nil."""


def compare(published: pd.DataFrame, found: Sequence[Finding], is_gpt2: bool) -> pd.DataFrame:
    """One row a published figure: it, what this run found, and in what sense they agree.

    Logit differences of two models have no common scale, so effects are compared as shares of the clean LD; accuracies
    of telling two classes apart are compared by how far above chance they are.

    Args:
        published: Columns ``key, source, quantity, low, high, measure, note``; measure is ``ld``, ``effect``, ``clean``
            (the LD that the former two are shares of), ``accuracy`` (of two classes) or ``plain``.
        found: The findings of the run.
        is_gpt2: Whether the run is of GPT-2 small itself.

    Returns:
        Columns ``quantity, source, published, gpt2 here, this run, interval, agreement``, as text.
    """
    by_key = {finding.key: finding.estimate for finding in found}
    clean_published = float(published.loc[published["measure"] == "clean", "low"].iloc[0])
    clean_here = by_key["clean.logit_diff"].value
    rows = []
    for row in published.to_dict("records"):
        low, high, measure = row["low"], row["high"], row["measure"]
        note = f" ({row['note']})" if isinstance(row["note"], str) and row["note"] else ""
        text = (f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}") + note
        here, interval, agreement = "not run", "", ""
        if (estimate := by_key.get(row["key"])) is not None:
            here, interval = f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}"
            ends = [_as_share(x, measure, clean_here) for x in (estimate.value, estimate.low, estimate.high)]
            theirs = [_as_share(x, measure, clean_published) for x in (low, high)]
            agreement = (
                "other model, other scale" if measure == "clean" else agree(ends, theirs, measure in ("ld", "effect"))
            )
            if measure in ("ld", "effect"):
                text += f"; {theirs[0]:.0%} of clean LD lost"
                interval += f"; {ends[0]:.0%} of clean LD lost"
        gpt2 = here if is_gpt2 else "not run"
        rows.append(
            {
                "quantity": row["quantity"],
                "source": row["source"],
                "published": text,
                "gpt2 here": gpt2,
                "this run": here,
                "interval": interval,
                "agreement": agreement,
            }
        )
    return pd.DataFrame(rows)


def _as_share(x: float, measure: str, clean: float) -> float:
    """What is compared: a logit difference or an effect as a share of the clean LD lost, an accuracy above chance."""
    return {"ld": 1 - x / clean, "effect": x / clean, "accuracy": x - 0.5}.get(measure, x)


def agree(here: Sequence[float], theirs: Sequence[float], is_effect: bool) -> str:
    """In what sense a figure agrees with a published one.

    Args:
        here: The figure and the ends of its interval.
        theirs: The published figure, or the ends of its range.
        is_effect: Whether both are shares of the clean LD, so that small ones are nil.
    """
    value, low, high = here[0], min(here), max(here)
    least, most = min(theirs), max(theirs)
    middle = (least + most) / 2
    if low <= most and least <= high:
        return "agrees: within the interval"
    if is_effect and abs(value) < NIL and abs(middle) < NIL:
        return "agrees: both nil"
    if value * middle < 0:
        return "differs: opposite sign"
    if middle and abs(value / middle - 1) <= CLOSE:
        return "agrees: within a quarter"
    if middle and value / middle < NOTHING_LEFT:
        return "differs: under a tenth of it"
    return f"same sign, {value / middle if middle else float('inf'):.2g} times as large"
