"""E9: random directions of the residual stream, recovered from MLPs."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.recover_directions import recover_directions_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.statistics import p_in_words


def section(results: Results) -> Iterator[Section]:
    """How well regressions from every MLP's hidden activations recover random directions, on every text."""
    texts = results.ran("recover_directions")
    if not texts:
        return
    recovered = {text: results.table(f"text/recover_directions/{text}.csv") for text in texts}
    yield Section(
        "E9  MLPs recover directions of the residual stream",
        "Is there always a direction in an MLP's activations that knows what the residual stream before it knows?",
        "The mean R2 of recovering a random direction is "
        + "; ".join(f"{over_blocks(of_text, 'r2')} on the text {text}" for text, of_text in recovered.items())
        + ".",
        "Ridge regression from the hidden activations to the dot product of the residual stream with random "
        "directions, on text; whole sequences are held out, and others for the choice of the strength, after which it "
        "is fitted again on all that is not held out. The table has means over blocks and directions, in brackets the "
        "lowest and the highest mean of a block; the MSE is that of the standardised target. Beside it the same with "
        "permuted targets (rows are permuted, though those of a sequence are not independent).",
        [
            Picture(
                "recover_directions",
                "R2 and MSE of recovering random directions from every block's MLP, a point a direction, a colour a "
                "text",
                recover_directions_figure(recovered),
            )
        ],
        [
            Grid(
                ["text", "R2", "MSE", "R2, permuted", "largest p"],
                [
                    [
                        text,
                        over_blocks(of_text, "r2"),
                        over_blocks(of_text, "mse"),
                        f"{of_text['r2_permuted'].mean():.2f}",
                        p_in_words(float(of_text["p"].max()), int(of_text["permutations"].iloc[0])),
                    ]
                    for text, of_text in recovered.items()
                ],
            )
        ],
    )


def over_blocks(table: pd.DataFrame, measure: str) -> str:
    """The mean of a measure in words, with the lowest and the highest mean of a block where there are several."""
    means = table.groupby("block")[measure].mean().dropna()
    if means.empty:
        return ""
    ends = f" ({means.min():.2f} to {means.max():.2f})" if len(means) > 1 else ""
    return f"{means.mean():.2f}{ends}"
