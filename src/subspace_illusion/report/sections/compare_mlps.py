"""Why E9 and E10 may differ from the post: the kind of MLP, and near duplicates among the rows."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.compare_mlps import (
    ALL_ROWS,
    DUPLICATE,
    GATED,
    GELU,
    OWN_MLP,
    READ,
    RECOVERED,
    SINGLE,
)
from subspace_illusion.report.plots.compare_mlps import ranks_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.sections.recover_directions import over_blocks

POST_R2 = 0.71
POST_ACCURACY = "0.69, 0.83, 0.87 and 0.996 for z = 0.0001, 0.001, 0.01 and 0.1"
"""The post's figures for GPT-2 small, appendix "MLPs can recover arbitrary directions in the residual stream"."""


def section(results: Results) -> Iterator[Section]:
    """MLPs of several kinds on the same residual stream, padded text with near duplicates, and the weights' ranks."""
    if not results.ran("compare_mlps"):
        return
    (text,) = results.ran("compare_mlps")
    compared, padded, ranks = (
        results.table(f"text/compare_mlps{ending}.csv") for ending in ("", "_duplicates", "_ranks")
    )
    blocks = ", ".join(map(str, sorted(compared["block"].unique())))
    yield Section(
        "E9, E10  What the MLP's kind and the choice of rows do",
        "Where E9 and E10 differ from the post, is it the architecture, or which rows are compared?",
        _answer(compared),
        f"At the blocks {blocks}, on the text {text}; in brackets the lowest and the highest of them. First, MLPs on "
        "the same residual stream, behind the block's own norm. Random ones have standard normal weights, scaled so "
        "that the sums going into the non-linearity have the spread that they have in the block's own MLP; biases make "
        f"half of their variance. {_kinds(compared)} Second, E10 as it comes out if padded sequences of different "
        "lengths are flattened together, first positions and padding included, and rows are held out at random: for "
        "held-out rows that differ from some row of the training part by less than a tenth of their norm (a threshold "
        "chosen after a look at the distances), and for the others. Here z is a share of a mean norm that first "
        "positions raise. "
        f"{_duplicates(padded)} The ranks say how much of the residual stream the weights could let through: "
        "counted, and by the entropy of the singular values.",
        [
            Picture(
                "compare_mlps_ranks",
                "Effective and counted ranks of every MLP's weights as shares of the full rank, by block",
                ranks_figure(ranks),
            )
        ],
        [_by_kind(compared), _by_rows(padded)],
    )


def _by_kind(compared: pd.DataFrame) -> Grid:
    sizes = sorted(compared.loc[compared["measure"] == READ, "z"].unique())
    rows = []
    for (mlp, width), of_mlp in compared.groupby(["mlp", "width"], sort=False):
        read = [over_blocks(of_mlp[of_mlp["z"] == z], "value") for z in sizes]
        rows.append([str(mlp), str(width), over_blocks(of_mlp[of_mlp["measure"] == RECOVERED], "value"), *read])
    return Grid(["MLP", "neurons", "E9: R2", *(f"E10: accuracy, z = {z:g}" for z in sizes)], rows)


def _by_rows(padded: pd.DataFrame) -> Grid:
    sizes = sorted(padded["z"].unique())
    rows = []
    for kind in (ALL_ROWS, DUPLICATE, SINGLE):
        of_kind = padded[padded["rows"] == kind]
        read = [over_blocks(of_kind[of_kind["z"] == z], "accuracy") for z in sizes]
        rows.append([kind, f"{_share(padded, kind):.2f}", *read])
    return Grid(["held-out rows", "share", *(f"accuracy, z = {z:g}" for z in sizes)], rows)


def _share(padded: pd.DataFrame, kind: str) -> float:
    counts = padded.groupby("rows")["held_out"].sum()
    return float(counts[kind] / counts[ALL_ROWS])


def _answer(compared: pd.DataFrame) -> str:
    """What the kind of MLP does to E9's R2."""
    of_width = compared[(compared["measure"] == RECOVERED)]
    own = of_width[of_width["mlp"] == OWN_MLP]
    alike = of_width[of_width["width"] == own["width"].iloc[0]]
    gelu, gated = (over_blocks(alike[alike["mlp"] == kind], "value") for kind in (GELU, GATED))
    return (
        f"E9's R2 is {over_blocks(own, 'value')} for the model's own MLPs, {gelu} for random GELU MLPs and {gated} for "
        "random gated ones of their width."
    )


def _kinds(compared: pd.DataFrame) -> str:
    """What the first table says of the kind of MLP and of its width."""
    r2 = compared[compared["measure"] == RECOVERED].groupby(["mlp", "width"])["value"].mean()
    ((width, own),) = r2[OWN_MLP].items()
    gelu, gated = r2[GELU], r2[GATED]
    kind = float(gelu[width] - gated[width])
    words = (
        f"E9's R2 is {own:.2f} for the model's own MLPs; with the same number of neurons it is {gelu[width]:.2f} for "
        f"random GELU MLPs with biases and {gated[width]:.2f} for random gated ones without, a difference of {kind:.2f}"
    )
    for other in gelu.index.difference([width]):
        change = gelu[other] - gelu[width]
        words += f", while {other} neurons instead of {width} change that of the GELU MLPs by {change:.2f}"
    gap = POST_R2 - float(own)
    if abs(gap) < 0.05:
        return f"{words}. The model's own is within 0.05 of the post's {POST_R2}."
    explains = kind * gap > 0 and abs(kind) >= abs(gap) / 2
    return (
        f"{words}. The post's {POST_R2} is {abs(gap):.2f} {'more' if gap > 0 else 'less'} than the model's own: the "
        f"kind of random MLP {'makes' if explains else 'does not make'} half of that or more in the same direction; "
        "non-linearity, gate and biases differ together, and the biases' share is a choice."
    )


def _duplicates(padded: pd.DataFrame) -> str:
    """What the second table says of near duplicates."""
    share = _share(padded, DUPLICATE)
    read = padded.groupby(["rows", "z"])["accuracy"].mean()
    near, single = read[DUPLICATE].dropna(), read[SINGLE].dropna()
    apart = (near - single).dropna()
    words = f"The share of rows with a near duplicate is {share:.2f}"
    if apart.empty:
        return f"{words}, so there is nothing to compare. The post's accuracies are {POST_ACCURACY}."
    z = apart.abs().idxmax()
    return (
        f"{words}. The two kinds of rows are farthest apart at z = {z:g}, with an accuracy of {near[z]:.2f} for those "
        f"with a near duplicate and {single[z]:.2f} for the others. "
        f"The post's accuracies are {POST_ACCURACY}; all rows together have "
        + ", ".join(f"{value:.2f}" for value in read[ALL_ROWS])
        + " here."
    )
