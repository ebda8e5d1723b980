"""The verdicts of a run, as a table of a page outside the report."""

import pandas as pd

from subspace_illusion.report.section import Grid
from subspace_illusion.report.verdict import CAUTIONS, cautions_said, share_cells
from subspace_illusion.report.words import fixed, shown
from subspace_illusion.subspace.keys import SubspaceKey


def verdicts_block(table: pd.DataFrame) -> str:
    """The verdicts of a run as a table of a page, in Markdown, from ``verdict_table``."""
    rows = []
    for row in table.to_dict("records"):
        key = SubspaceKey.read(str(row["subspace"]), component=str(row["component"]))
        cautions = "; ".join(CAUTIONS[caution] for caution in cautions_said(str(row["reason"])))
        cells = (str(row["component"]), shown(key), fixed(row["fldd"]), fixed(row["whole"]), *share_cells(row))
        rows.append([*cells, str(row["verdict"]), cautions])
    header = ["component", "subspace", "effect", "whole component", "mediated share", "promised", "verdict", "but"]
    return Grid(header, rows).markdown
