"""E10: signs written into the residual stream, read from MLPs."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.read_signs import read_signs_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.sections.recover_directions import over_blocks


def section(results: Results) -> Iterator[Section]:
    """How well classifiers on every MLP's hidden activations read signs of several sizes, on every text."""
    texts = results.ran("read_signs")
    if not texts:
        return
    signs = {text: results.table(f"text/read_signs/{text}.csv") for text in texts}
    every = pd.concat(signs.values())
    cells = [
        [f"{z:g}", *(over_blocks(of_text[of_text["z"] == z], "accuracy") for of_text in signs.values())]
        for z in sorted(every["z"].unique())
    ]
    early = int((~every["converged"]).sum())
    yield Section(
        "E10  MLPs keep signs written into the residual stream",
        "Can a binary feature be read from an MLP's activations, wherever and however faintly it is written?",
        "The fainter the worse: accuracies are " + "; ".join(f"{row[1]} at z = {row[0]}" for row in cells) + ".",
        "A sign is written along a random direction, z times the mean norm of the residual stream long, and a "
        "logistic regression reads it from the hidden activations on sequences that it was not trained on. Chance is "
        "0.5. The table has the mean over blocks and directions, in brackets the lowest and the highest mean of a "
        "block" + (f"; the solver of {early} of {len(every)} regressions stopped early." if early else "."),
        [
            Picture(
                "read_signs",
                "Accuracy of reading a sign from every block's MLP, a colour a size of the step, a panel a text",
                read_signs_figure(signs),
            )
        ],
        [Grid(["z", *(f"accuracy, {text}" for text in texts)], cells)],
    )
