"""The claims of the post, and the figures that are taken from the paper, one by one: does this run find the same?"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.report.comparison import OF_ANY_TASK, above_chance, agree
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.words import fixed
from subspace_illusion.statistics import Estimate, table
from subspace_illusion.tasks.table import IOI

REPRODUCES, IN_PART, DOES_NOT, NOT_ASKED = "reproduces", "in part", "does not", "cannot be asked here"
CALLS = (REPRODUCES, IN_PART, DOES_NOT, NOT_ASKED)

RULES = {
    "about": "reproduces within a quarter of the figure, where the interval holds it, or where both are below 0.05; "
    "does not with the other sign, or below a tenth of it; else in part",
    "accuracy": "the same of how far an accuracy is above chance",
    "lost": "the same of the share of the clean LD that is lost",
    "above": "reproduces where the whole interval (without one: every single value) lies above the bound; does not "
    "where all of it lies below; else in part",
    "below": "the other way round",
    "within": "reproduces where all of it lies between two bounds, does not where all of it lies outside; else in part",
}
"""The rules by which a claim is called, in words."""

COLUMNS = ("source", "section", "claim", "published", "here", "interval", "call", "rule", "key")


ASKED_OF_ANY_TASK = (*OF_ANY_TASK, "example.", "weights.", "facts.")
"""Findings that claims of another task than IOI may rest on."""


def claims_table(claims: pd.DataFrame, task: str, found: Sequence[Finding]) -> pd.DataFrame:
    """One row a claim: what was published, what this run found, and the call.

    Args:
        claims: Columns ``source, section, claim, published, key, rule, low, high``: the finding that a claim is about,
            and the rule of ``RULES`` with its figure, range or bounds.
        task: Name of the run's task: what the post says of IOI is asked of IOI alone.
        found: The findings of the run.

    Returns:
        Columns ``COLUMNS``, as text.
    """
    by_key = {one.key: one for one in found if task == IOI or one.key.startswith(ASKED_OF_ANY_TASK)}
    rows = []
    for row in claims.to_dict("records"):
        finding = by_key.get(row["key"])
        here = None if finding is None else finding.share if row["rule"] == "lost" else finding.estimate
        about = dict.fromkeys(("here", "interval"), "")
        if finding is not None and here is not None:
            about = dict(here=fixed(here.value), interval=Finding("", "", here, singles=finding.singles).spread)
        rows.append({name: row[name] for name in COLUMNS if name in row} | about | dict(call=call(row, here)))
    return table(rows)[list(COLUMNS)]


def call(claim: dict[Any, Any], here: Estimate | None) -> str:
    """The call on one claim by its rule, of ``CALLS``.

    Args:
        claim: A row as in ``claims_table``.
        here: What this run found; ``None`` if it did not ask.

    Raises:
        InputError: If there is no such rule.
    """
    if claim["rule"] not in RULES:
        raise InputError(f"'{claim['rule']}' is no rule for a claim; there are {', '.join(RULES)}")
    if here is None:
        return NOT_ASKED
    low, high = float(claim["low"]), float(claim["high"])
    if claim["rule"] in ("about", "accuracy", "lost"):
        if claim["rule"] == "accuracy":
            here, low, high = above_chance(here), low - 0.5, high - 0.5
            if here.value <= 0:
                return DOES_NOT
        sense = agree(here, (low, high), about=True, is_share=True)
        return {"agrees": REPRODUCES, "compatible": REPRODUCES, "differs": DOES_NOT}.get(sense.split(":")[0], IN_PART)
    least, most = extent(here)
    low, high = (-float("inf") if pd.isna(low) else low), (float("inf") if pd.isna(high) else high)
    if low <= least and most <= high:
        return REPRODUCES
    return DOES_NOT if most < low or high < least else IN_PART


def extent(here: Estimate) -> tuple[float, float]:
    """The ends of the interval; without one the least and the greatest single value, or the figure itself."""
    if here.low is not None and here.high is not None:
        return here.low, here.high
    return min(here.each, default=here.value), max(here.each, default=here.value)


def counts(called: pd.DataFrame) -> str:
    """How many claims got each call, and which do not reproduce, in words.

    Args:
        called: As ``claims_table`` gives it.
    """
    asked = called[called["call"] != NOT_ASKED]
    numbers = asked["call"].value_counts()
    parts = (f"{numbers.get(REPRODUCES, 0)} reproduce", f"{numbers.get(IN_PART, 0)} in part")
    failed = [claim.partition(" (")[0] for claim in asked.loc[asked["call"] == DOES_NOT, "claim"]]
    which = f": {'; '.join(failed)}" if len(failed) else ""
    return f"Of {len(asked)} claims {', '.join(parts)}, {len(failed)} fail{which}"


def of_runs(called: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The claims of several runs as one table, each from the first run that could ask it, in the first one's order.

    Args:
        called: As ``claims_table`` gives them.
    """
    every = pd.concat(called).fillna("")
    asked = every[every["call"] != NOT_ASKED]
    unasked = every[every["call"] == NOT_ASKED]
    return pd.concat([asked, unasked]).groupby(["section", "claim"], sort=False).head(1).sort_index(kind="stable")


def claims_block(called: pd.DataFrame) -> str:
    """Every claim with its call, as a block of a page in Markdown, a section named once, with the rules below.

    Args:
        called: As ``claims_table`` gives it, of one run or several.
    """
    header = ["", "section", "claim", "published", "here", "interval or single values", "call"]
    lines = ["| " + " | ".join(header) + " |", "| --- | --- | --- | --- | ---: | --- | --- |"]
    before: list[str] = ["", ""]
    for row in called.to_dict("records"):
        where = [str(row[name]) for name in ("source", "section")]
        named = where if where != before else ["", ""]
        before = where
        cells = [*named, *(row[name] for name in ("claim", "published", "here", "interval", "call"))]
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    rules = [f"- *{name}*: {words}" for name, words in RULES.items()]
    return "\n".join([f"{counts(called)}.", "", *lines, "", *rules]) + "\n"
