"""What patches and rank-1 edits of facts do (E16)."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from subspace_illusion.experiments.fact_directions import ONE, WHOLE_MLP
from subspace_illusion.experiments.fact_edits import EDIT, SUBSPACE, SUBSPACE_ROW
from subspace_illusion.report.findings.finding import Finding, measured, over
from subspace_illusion.report.results import Results
from subspace_illusion.subspace.keys import ROW, TRAINED, WHOLE, SubspaceKey, with_keys


def of_facts(results: Results) -> Iterator[Finding]:
    """What patches and rank-1 edits of facts do, at the first block and at the later ones of the first half (E16)."""
    for component in results.ran("facts"):
        patched, edited = (with_keys(results.table(f"facts/{component}/{name}.csv")) for name in ("by_block", "edits"))
        middle = results.n_blocks / 2
        per_pair = patched["what"] == ONE
        for name, words, rows, measure in (
            (
                "direction",
                "a direction per pair",
                patched[per_pair & (patched["subspace"] == SubspaceKey(TRAINED))],
                ANSWERS,
            ),
            ("whole", "the whole MLP", patched[patched["what"] == WHOLE_MLP], ANSWERS),
            (
                "row",
                "its row part",
                patched[per_pair & (patched["subspace"] == SubspaceKey(TRAINED).of_part(ROW))],
                ANSWERS,
            ),
            ("edit", "a rank-1 edit", edited[edited["what"] == EDIT], "rewrite"),
            ("edit_subspace", "the subspace of the edit", edited[edited["what"] == SUBSPACE], "rewrite"),
            ("edit_row", "that subspace's row part", edited[edited["what"] == SUBSPACE_ROW], "rewrite"),
        ):
            what = "patches that give the source's answer" if measure == ANSWERS else "the rewrite score"
            label = "share of " + what if measure == ANSWERS else what
            first, later = rows[rows["block"] == 0], rows[(rows["block"] > 0) & (rows["block"] < middle)]
            for row in first.to_dict("records"):
                yield from measured(f"facts.first.{name}", f"{label}: {words}, block 0", row, measure)
            where = "later blocks of the first half"
            yield from over(f"facts.later.{name}", f"{label}: {words}, {where}", later[measure].tolist(), "blocks")


ANSWERS = "interchange_accuracy"
"""The share of patches that give the source's answer, as a column."""


def of_facts_by_depth(results: Results) -> Iterator[Finding]:
    """Facts block by block (E16), at the published depths: what was measured at the block that is nearest to each."""
    for component in results.ran("facts")[:1]:
        tables = {name: results.table(f"facts/{component}/{name}.csv") for name in ("by_block", "edits")}
        blocks = results.n_blocks
        for row in results.large("published_facts.csv").to_dict("records"):
            name, about, measure = FACT_FINDINGS[row["quantity"]]
            rows = tables[name]
            rows = rows[(rows[list(about)] == pd.Series(about)).all(axis=1)]
            if rows.empty:
                continue
            nearest = rows.loc[(rows["block"] / blocks - row["block"] / row["blocks"]).abs().idxmin()]
            words = f"{row['quantity']} (block {nearest['block']} of {blocks})"
            yield from measured(fact_key(row), words, nearest.to_dict(), measure)


def fact_key(published: Mapping[str, Any]) -> str:
    """The key of the finding that a published figure of facts is held against, from its ``quantity`` and ``block``."""
    _, about, measure = FACT_FINDINGS[published["quantity"]]
    return f"facts.{measure}.{'.'.join(about.values()).replace(' ', '_')}.{published['block']}"


_ANSWERS, _REWRITES = "share of patches that give the source's answer", "median rewrite score"


FACT_FINDINGS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    **{
        f"{_ANSWERS}: {words}": ("by_block", dict(what=what, subspace=key.subspace), "interchange_accuracy")
        for words, what, key in (
            ("DAS direction", ONE, SubspaceKey(TRAINED)),
            ("whole MLP", WHOLE_MLP, WHOLE),
            ("row part", ONE, SubspaceKey(TRAINED, ROW)),
        )
    },
    **{
        f"{_REWRITES}: {words}": ("edits", dict(what=what), "rewrite")
        for words, what in (
            ("ROME edit", EDIT),
            ("its subspace", SUBSPACE),
            ("row part of that subspace", SUBSPACE_ROW),
        )
    },
}
"""The published figures of facts: the table where this run has them, in which rows and which column."""
