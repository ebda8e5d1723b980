"""E9: random directions of the residual stream, recovered from MLPs."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.recover_directions import ranks_figure, recover_directions_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Picture, Section
from subspace_illusion.statistics import p_in_words


def section(results: Results) -> Iterator[Section]:
    """How well regressions from every MLP's hidden activations recover random directions, and its weights' ranks."""
    if not results.ran("recover_directions"):
        return
    recovered, ranks = (results.table(f"text/recover_directions{ending}.csv") for ending in ("", "_ranks"))
    p = p_in_words(float(recovered["p"].max()), int(recovered["permutations"].iloc[0]))
    yield Section(
        "E9  MLPs recover directions of the residual stream",
        "Is there always a direction in an MLP's activations that knows what the residual stream before it knows?",
        "Ridge regression from the hidden activations to the dot product of the residual stream with random "
        "directions, on text; whole sequences are held out, and others for the choice of the strength, after which it "
        f"is fitted again on all that is not held out. R2 {over_blocks(recovered, 'r2')}, MSE of the standardised "
        f"target {over_blocks(recovered, 'mse')}: means over blocks and directions, in brackets the lowest and the "
        "highest mean of a block. The same with permuted targets has a mean R2 of "
        f"{recovered['r2_permuted'].mean():.2f}; the largest permutation p is {p} (rows are permuted, though "
        "those of a sequence are not independent). The ranks say how much of the residual stream the weights could let "
        "through: counted, and by the entropy of the singular values.",
        [
            Picture(
                "recover_directions",
                "R2 and MSE of recovering random directions from every block's MLP, a point a direction",
                recover_directions_figure(recovered),
            ),
            Picture(
                "recover_directions_ranks",
                "Effective and counted ranks of every MLP's weights as shares of the full rank, by block",
                ranks_figure(ranks),
            ),
        ],
    )


def over_blocks(table: pd.DataFrame, measure: str) -> str:
    """The mean of a measure in words, with the lowest and the highest mean of a block where there are several."""
    means = table.groupby("block")[measure].mean().dropna()
    if means.empty:
        return ""
    ends = f" ({means.min():.2f} to {means.max():.2f})" if len(means) > 1 else ""
    return f"{means.mean():.2f}{ends}"
