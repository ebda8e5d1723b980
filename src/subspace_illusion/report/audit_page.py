"""What an audit found, for people: lines for a terminal, a page, and a view for notebooks."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.files import write_text
from subspace_illusion.report.first_screen import QUESTION, TITLE, names_meant, tokens_of, verdict_lines
from subspace_illusion.report.page import draw_picture, fill_in, fragment
from subspace_illusion.report.plots.by_block import by_block_figure
from subspace_illusion.report.section import Grid, Picture
from subspace_illusion.report.sections.calibration import held_out_grid
from subspace_illusion.report.sections.controls import control_shown
from subspace_illusion.report.sections.sure import cannot_see
from subspace_illusion.report.sections.verdict import (
    evidence_grid,
    levels_grid,
    limits_grid,
    planted_picture,
    rules,
    verdict_grid,
    verdict_picture,
)
from subspace_illusion.report.verdict import NOT_ASKED, evidence, reason_of
from subspace_illusion.report.words import fixed, in_order, shown
from subspace_illusion.subspace.keys import POOLED, SubspaceKey, with_keys
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import SMALLEST_EFFECT

_NAMED = 5
"""Tokens that are named with how often each was read; of the others it is said how many there are."""


@dataclass(frozen=True)
class AuditPage:
    """What is said of an audit.

    Attributes:
        pairs: The table of pairs.
        tables: What was found, by name; ``repair`` and ``planted`` where there are such.
        verdicts: By subspace of a component.
        calibration: What planted cases say.
        by_block: The map, or ``None``.
        proof: How far off was what has to be equal, and what is allowed, in logits.
        remarks: By component what was left out there, or holds only in part, and why.
        about: What was audited and how, as values of JSON.
        reading: How the pairs were read; ``None`` where that is not known.
    """

    pairs: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    verdicts: Mapping[SubspaceKey, Verdict]
    calibration: Calibration
    by_block: pd.DataFrame | None
    proof: Mapping[str, float | None]
    remarks: Mapping[str, str]
    about: Mapping[str, Any]
    reading: AsRead | None = None


def lines(page: AuditPage) -> Iterator[str]:
    """Each verdict, and its evidence in a line behind it; what holds only in part; and what the words mean."""
    for key, verdict in page.verdicts.items():
        yield f"{key.component}, {shown(key)}: {verdict.verdict} ({reason_of(verdict)})"
        yield f"    {evidence(verdict)}"
    for hook, remark in page.remarks.items():
        yield f"{hook}: {remark}"
    if said := rounding(page):
        yield said
    if said := names_meant(page.verdicts):
        yield said
    if any(verdict.predicted and verdict.reason not in NOT_ASKED for verdict in page.verdicts.values()):
        yield _PROMISED


def rounding(page: AuditPage) -> str:
    """What the model's rounding does to an effect, in a sentence; nothing of a model in float32."""
    noise = page.proof["noise"]
    if not noise:
        return ""
    return (
        f"The model runs in {page.about['model']['dtype']}, whose rounding alone moves an effect by {noise:.1g} of the "
        "clean LD (a standard error); the intervals of verdicts hold that."
    )


_PROMISED = (
    "Promised is the part of further planted cases, whose true share is known, that such an interval should hold."
)

_PROVEN = (
    "Before anything was said, the run held itself to what has to be equal. A replayed patch gives the logits of a "
    "full forward pass in which the component is set; a component that is set to its own activation changes nothing; "
    "nor does patching all that the readout maps to zero."
)


def _checks(page: AuditPage) -> Grid:
    """How far off each was, and how far it might have been."""
    proof = page.proof
    words = dict(
        replay="replayed patches against full passes",
        self_patch="a component set to its own activation",
        null_part="all patched that the readout maps to zero",
    )
    off = [[said, f"{proof[name]:.1g}"] for name, said in words.items() if proof[name] is not None]
    noise = [["rounding, a standard error, share of the clean LD", f"{proof['noise']:.1g}"]] if proof["noise"] else []
    return Grid(["what was compared", "off at most, in logits"], [*off, ["allowed", f"{proof['allowed']:.1g}"], *noise])


def write_page(page: AuditPage, target: Path) -> None:
    """Writes the page: HTML with its pictures inside, or Markdown with them beside it.

    Args:
        page: What is said.
        target: A path that ends in ``.html`` or ``.md``.
    """
    pictures, row = _pictures(page), None if page.reading is None else page.reading.first_row
    figures = target.with_name(f"{target.stem}_figures")
    with TemporaryDirectory() as folder:
        for picture in pictures:
            draw_picture(picture, Path(folder), dpi=150)
        html, markdown = fill_in(
            "audit",
            Path(folder),
            figures.name,
            title=TITLE,
            question=QUESTION,
            components=" ".join(dict.fromkeys(key.component for key in page.verdicts)),
            lines=verdict_lines(page.verdicts),
            meant=names_meant(page.verdicts),
            row=row,
            tokens=[] if row is None else tokens_of(row),
            pairs=_counts(page.pairs),
            as_read=[
                *page.about["pairs"].get("read", []),
                *map(_capital, page.reading.left_open() if page.reading else ()),
            ],
            notes=page.about.get("notes", {}),
            remarks=page.remarks,
            rules=rules(page.calibration, SMALLEST_EFFECT),
            planting=_capital(page.about.get("planting", "")),
            limits=[limits_grid(SMALLEST_EFFECT), levels_grid(page.calibration)],
            held_out=held_out_grid(page.calibration),
            cannot_see=cannot_see(page.calibration),
            proof=f"{_PROVEN} {rounding(page)}".strip(),
            checks=_checks(page),
            drawn=pictures,
            evidence=evidence_grid(page.verdicts),
            tables=_grids(page),
            about=json.dumps(page.about, indent=2, ensure_ascii=False),
        )
        if target.suffix == ".md":
            figures.mkdir(parents=True, exist_ok=True)
            for picture in pictures:
                name = f"{picture.name}.png"
                (figures / name).write_bytes((Path(folder) / name).read_bytes())
    write_text(target, html if target.suffix == ".html" else markdown)


def notebook_view(page: AuditPage) -> str:
    """The verdicts and their evidence as a piece of HTML."""
    return fragment("grids.html", grids=[verdict_grid(page.verdicts), evidence_grid(page.verdicts)])


def _counts(pairs: pd.DataFrame) -> Grid:
    """How many pairs there are of each kind, and which tokens were read."""
    kept = pairs[pairs["kept"]]
    test = kept[(kept["split"] == "test") & (kept["base_value"] != kept["source_value"])]
    counts = {
        "pairs": len(kept),
        "left out, which the model gets wrong": len(pairs) - len(kept),
        "held out: effects are measured on these": len(test),
        "groups of these": test["group"].nunique(),
    }
    tokens = {"bases are read and patched at": "base", "sources are read at": "source"}
    read = [_most(kept[f"{side}_token"]) for side in tokens.values()]
    return Grid([*counts, *tokens], [[*map(str, counts.values()), *read]])


def _most(tokens: pd.Series) -> str:
    """The commonest of some tokens, each with how often it is there, and how many others there are."""
    read = tokens.value_counts()
    more = f" and {len(read) - _NAMED} others" if len(read) > _NAMED else ""
    return ", ".join(f"{token!r} ({count})" for token, count in read.head(_NAMED).items()) + more


def _pictures(page: AuditPage) -> list[Picture]:
    pictures = [verdict_picture(page.verdicts)]
    if page.by_block is not None:
        figure = by_block_figure(with_keys(page.by_block))
        pictures.append(Picture("by_block", "Effect by block, a line a subspace, verdicts as markers", figure))
    return [*pictures, planted_picture(page.calibration)]


def _capital(line: str) -> str:
    """A line as a sentence of the page begins."""
    return line[:1].upper() + line[1:]


def _map_grid(by_block: pd.DataFrame) -> Grid:
    """One row a component: the effect of each subspace, and what it is."""
    keys = list(dict.fromkeys(by_block["subspace"]))
    rows = []
    for hook, at_hook in by_block.groupby("hook", sort=False):
        said = {
            row.subspace: f"{fixed(row.effect)}, {row.verdict}" if row.verdict else fixed(row.effect)
            for row in at_hook.itertuples()
        }
        rows.append([str(hook), *(said.get(key, "") for key in keys)])
    return Grid(["component", *map(shown, keys)], rows)


MEASURES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "repair": (
        "Repair: trained again within what acts, where a subspace is illusory",
        dict(fldd="the repair's share of the clean LD", share="its mediated share", verdict="its verdict"),
    ),
    "planted": (
        "Planted in this component",
        dict(place="place", kind="kind of place", dose="dose", found="found by", effect="share of the clean LD",
             estimate="mediated share, estimated", truth="true", large="effect large enough", known="truth known",
             counts="counts"),
    ),
    "effects": (
        "What patching did",
        dict(effect="effect (LD lost)", fldd="share of the clean LD", whole_share="whole component's over it",
             row_share="its row part's over it", flip_rate="share of pairs with LD below 0"),
    ),
    "decomposition": (
        "Row part and null part",
        dict(row_norm="norm of the row part", null_norm="of the null part", lent_share="lent share",
             cos_mean_difference="cosine with the mean difference"),
    ),
    "cosines": ("Cosines", dict(other="with", cosine="cosine")),
    "off_distribution": (
        "Off the natural distribution",
        dict(place="where", part="what of it", distance="distance of the patched from the natural", floor="its floor"),
    ),
    "readers": (
        "Readers of the residual stream",
        dict(head="head", reader="class", response="response, a share of the patch's effect"),
    ),
    "controls": (
        "Controls",
        dict(control="control", effect="effect (LD lost)", fldd="share of the clean LD",
             cosine="cosine with the trained"),
    ),
}  # fmt: skip
"""The tables of the page by their name: the heading, and the columns that are shown, in words."""


def _grids(page: AuditPage) -> dict[str, Grid]:
    """The tables of the page by their heading."""
    grids = {} if page.by_block is None else {"By block": _map_grid(with_keys(page.by_block))}
    for name, (heading, words) in MEASURES.items():
        table = page.tables.get(name)
        if table is None or not len(table):
            continue
        if "seed" in table:
            table = table[(table["seed"].astype(str) == POOLED) | ~(table["seed"].astype(str) == POOLED).any()]
        table = with_keys(table)
        table = _SHOWN_AS[name](table) if name in _SHOWN_AS else table
        about = {column: column for column in ("component", "subspace") if column in table}
        columns = {column: said for column, said in words.items() if column in table and table[column].notna().any()}
        grids[heading] = Grid.of(table, about | columns, [column for column in columns if f"{column}_lo" in table])
    return grids


def _effects_in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Component by component, without axes."""
    order = in_order(table["subspace"])
    table = table[table["subspace"].isin(order)]
    table = table.sort_values("subspace", key=lambda column: column.map(order.index), kind="stable")
    return table.sort_values("component", kind="stable")


def _controls_in_words(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(control=table["control"].map(control_shown))


def _planted_in_words(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(**{name: np.where(table[name], "yes", "no") for name in ("large", "known", "counts")})


_SHOWN_AS: Mapping[str, Callable[[pd.DataFrame], pd.DataFrame]] = dict(
    effects=_effects_in_order, controls=_controls_in_words, planted=_planted_in_words
)
"""What is done to a table before it is shown."""
