"""E3 b: the heads that read the variable."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from subspace_illusion.measures.find_readers import MINOR, MOVER, NEGATIVE, OTHER, READER
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Section

_COLUMNS = dict(
    head="head", reader="class", role="role", attribution="attribution, clean", patched="attribution, patched",
    response="response", share="share of the patch's effect",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """The heads that respond when v_true's whole component is patched."""
    if not results.ran("find_readers"):
        return
    found = results.table("find_readers/readers.csv", text=("head",))
    summary = results.json("find_readers/readers.json")
    matter = found[(found["reader"] != OTHER) | (found["role"] != OTHER)]
    heard = [f"{summary['ld_clean']:.2f}", f"{summary['effect']:.2f}", str(len(found))]
    grids = [Grid(["mean LD", "taken off by the patch", "heads that it can reach"], [heard])]
    grids.append(Grid.of(matter, _COLUMNS, ["share"]))
    if summary["published"]:
        grids.append(_beside(found, summary["published"]))
    yield Section(
        "E3  Which heads respond to the variable",
        f"Which heads' part of the answer changes when the whole of {results.v_true} is patched?",
        f"These read it: {_names(found[found['reader'] == READER])}.",
        f"{summary['rule']} So no trained direction and no held-out pair has a part in this. A negative share: the "
        "patch raises what the head gives to LD. A head may respond to the patch itself, "
        "or to what earlier heads made of it. " + _said(found),
        grids=grids,
    )


def _said(found: pd.DataFrame) -> str:
    """Which heads there are of each class, and how many readers have a role."""
    readers = found[found["reader"] == READER]
    sentences = [f"Readers: {_names(readers)}.", f"Minor readers: {_names(found[found['reader'] == MINOR])}."]
    if len(readers):
        movers, negative = ((readers["role"] == role).sum() for role in (MOVER, NEGATIVE))
        sentences.append(
            f"Of {len(readers)} readers {movers} count as movers (in IOI: name movers) by what they write without a "
            f"patch, and {negative} as negative ones."
        )
    idle = found[(found["reader"] == OTHER) & (found["role"] != OTHER)]
    if len(idle):
        sentences.append(f"Movers, negative ones among them, that are no readers: {_names(idle)}.")
    return " ".join(sentences)


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(rows["head"]) or "none"


def _beside(found: pd.DataFrame, published: Mapping[str, Sequence[str]]) -> Grid:
    """The published heads by role, and what they are here."""
    rows = []
    for role, heads in published.items():
        here = found[found["head"].isin(heads)]
        missing = [head for head in heads if head not in set(found["head"])]
        kinds = [
            here[here["reader"] == READER],
            here[here["reader"] == MINOR],
            here[here["role"] == MOVER],
            here[here["role"] == NEGATIVE],
            here[(here["reader"] == OTHER) & (here["role"] == OTHER)],
        ]
        rows.append([role, ", ".join(heads), *map(_names, kinds), ", ".join(missing) or "none"])
    header = ["published as", "heads", "readers here", "minor readers here", "movers here"]
    return Grid([*header, "negative movers here", "none of these", "not reached by the patch"], rows)
