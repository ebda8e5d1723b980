"""The verdicts of a run, as a table of a page outside the report."""

import pandas as pd

from subspace_illusion.report.section import Grid
from subspace_illusion.report.verdict import CAUTIONS, NO_SHARE, cautions_said, was_asked
from subspace_illusion.report.words import fixed, percent, shown
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey


def verdicts_block(table: pd.DataFrame) -> str:
    """The verdicts of a run as a table of a page, in Markdown, from ``verdict_table``."""
    rows = []
    for row in table.to_dict("records"):
        key = SubspaceKey.read(str(row["subspace"]), component=str(row["component"]))
        cautions = "; ".join(CAUTIONS[caution] for caution in cautions_said(str(row["reason"])))
        asked = was_asked(str(row["reason"]))
        told = asked and not pd.isna(row["level"])
        share = percent(Estimate(row["share"], row["share_lo"], row["share_hi"])) if told else "" if asked else NO_SHARE
        promised = f"{row['level']:.0%}" if told else ""
        cells = (str(row["component"]), shown(key), fixed(row["fldd"]), fixed(row["whole"]), share, promised)
        rows.append([*cells, str(row["verdict"]), cautions])
    header = ["component", "subspace", "effect", "whole component", "mediated share", "promised", "verdict", "but"]
    return Grid(header, rows).markdown
