"""E16: facts, block by block, and rank-1 edits."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.fact_directions import GEOMETRY, ONE, WHOLE_MLP
from subspace_illusion.experiments.fact_edits import EDIT, SUBSPACE, SUBSPACE_ROW
from subspace_illusion.report.plots.facts import facts_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import MANY_VALUES, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import ROW, TRAINED, WHOLE, SubspaceKey, with_keys

PATCHES = {SubspaceKey(TRAINED): "DAS direction", WHOLE: "whole MLP", SubspaceKey(TRAINED, ROW): "row part"}
EDITS = {EDIT: "ROME edit", SUBSPACE: "its subspace", SUBSPACE_ROW: "row part of that subspace"}
"""What is drawn, by the names of the published figures."""

MOST_WITHOUT = 0.5
"""The share of pairs without a direction that repeats their edit above which a block's are not drawn."""

_PATCHED = dict(
    interchange_accuracy="gives the source's answer", flip_rate="LD < 0", effect="LD lost", fldd="of the clean LD",
)  # fmt: skip
_GEOMETRY = dict(
    row_norm="norm of the row part", null_norm="of the null part", cos_row="|cos(Δ, row part)|",
    cos_null="|cos(Δ, null part)|", lent_share="lent share",
)  # fmt: skip
_EDITED = dict(
    rewrite="median rewrite score", interchange_accuracy="gives the source's answer", effect="LD lost",
    ld_apart="LD apart from what it repeats", no_subspace="pairs without such a subspace",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """One section a component in whose place the facts were patched, block by block."""
    for name in results.ran("facts"):
        patched, edited = (results.table(f"facts/{name}/{table}.csv") for table in ("by_block", "edits"))
        patched = with_keys(patched)
        own = patched[patched["what"].isin([ONE, WHOLE_MLP])]
        without = edited.set_index("block")["no_subspace"].dropna()
        few = sorted(without[without > MOST_WITHOUT].index)
        drawn = edited[~(edited["what"].isin([SUBSPACE, SUBSPACE_ROW]) & edited["block"].isin(few))]
        figure = facts_figure(
            {words: _by_block(own, "subspace", key, "interchange_accuracy") for key, words in PATCHES.items()},
            {words: _by_block(drawn, "what", what, "rewrite") for what, words in EDITS.items()},
            results.large("published_facts.csv"),
            results.n_blocks,
        )
        about = dict(block="block", what="fitted to", subspace="patched")
        directions = patched[patched["subspace"] == SubspaceKey(TRAINED)]
        yield Section(
            "E16  Facts",
            "Patched at the subject, which MLPs hand over the source's fact, along which directions, and what do "
            "rank-1 edits of their output matrix have to do with it?",
            _answer(own),
            f"{patched['pairs'].iloc[0]} held-out pairs. A direction fitted to a single pair and measured on it proves "
            "little by itself (Wu et al., arXiv 2401.12631), so one shared direction, fitted to other subjects and "
            f"sentences, stands beside; but {MANY_VALUES}, so its failure says nothing of where facts are. An edit "
            "W_out += b aᵀ that repeats a patch adds the same at the subject and a little at the other tokens, so the "
            "two are compared in logit differences. An edit that is found for its own sake is repeated by the patch "
            "along one direction where such a direction exists; the row part of that direction, patched alone, says "
            f"how much of it the null part lends. {_without(few)}Published figures are GPT-2 XL's, by relative depth.",
            [Picture("facts", "Patches and edits of facts by relative depth", figure)],
            [
                Grid.of(patched, about | _PATCHED, list(_PATCHED)),
                Grid.of(directions, dict(block="block", what="fitted to") | _GEOMETRY, GEOMETRY),
                Grid.of(edited, dict(block="block", what="what") | _EDITED, list(_EDITED)),
            ],
        )


def _answer(own: pd.DataFrame) -> str:
    """The largest share of pairs that a direction of one pair, and the whole MLP, give the source's answer in."""
    said = []
    for key, words in ((SubspaceKey(TRAINED), "a direction fitted to the pair"), (WHOLE, "the whole MLP")):
        of_key = own[own["subspace"] == key].sort_values("interchange_accuracy")
        if len(of_key):
            best = of_key.iloc[-1].to_dict()
            share = Estimate.of(best, "interchange_accuracy")
            said.append(f"{words} in {'none' if share is None else with_ends(share)} (block {best['block']})")
    return f"At best, {' and '.join(said)} of the pairs gives the source's answer."


def _without(blocks: list[int]) -> str:
    """At which blocks there is hardly such a direction, as a sentence; nothing where there are none."""
    if not blocks:
        return ""
    return (
        f"At the blocks {', '.join(map(str, blocks))} most pairs have none: the rows there are of the direction that "
        "comes nearest, which does not repeat the edit, and are not drawn. "
    )


def _by_block(rows: pd.DataFrame, column: str, value: object, measure: str) -> pd.Series:
    """A measure of the rows of one kind, by block."""
    return rows[rows[column] == value].set_index("block")[measure]
