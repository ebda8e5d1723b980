"""How the positions lie along a subspace and its parts (E5)."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import BLUE, ORANGE, panels
from subspace_illusion.subspace.ways import NULL, ROW


def decompose_figure(projections: pd.DataFrame, name: str) -> Figure:
    """Held-out ABB and BAB prompts projected on the whole direction, its row part and its null part.

    Args:
        projections: Columns ``part, pattern, projection``, of one training seed.
        name: The component.
    """
    parts = [part for part in ("whole", ROW, NULL) if part in set(projections["part"])]
    values = projections["projection"]
    bins = np.linspace(values.min(), values.max(), 60)
    with panels(len(parts), 2.15, 2.2, sharex=True, sharey=True) as (figure, axes):
        for axis, part in zip(axes, parts, strict=True):
            rows = projections[projections["part"] == part]
            for pattern, colour, hatch in (("ABB", BLUE, ""), ("BAB", ORANGE, "//")):
                shown = rows.loc[rows["pattern"] == pattern, "projection"]
                style = dict(color=colour, alpha=0.7, hatch=hatch, edgecolor="white", lw=0.3)
                axis.hist(shown, bins=bins, label=pattern, **style)
            by_pattern = rows.groupby("pattern")["projection"]
            gap, spread = abs(by_pattern.mean().diff().iloc[-1]), np.sqrt(by_pattern.var().mean())
            axis.set_title(f"{part}: {gap:.2f} apart" + (f"\nd' {gap / spread:.1f}" if spread > 0 else ""))
            axis.set_xlabel("projection (activation units)")
        axes[0].set_ylabel(f"held-out prompts, {name}")
        axes[-1].legend(loc="upper right")
    return figure
