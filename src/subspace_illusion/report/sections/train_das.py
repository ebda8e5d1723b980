"""E3, E4: how the subspaces were trained."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.train_das import train_das_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, in_words
from subspace_illusion.subspace.das import late_accuracy


def section(results: Results) -> Iterator[Section]:
    """The training runs."""
    curves = {name: results.large(f"subspaces/{name}/curve.parquet") for name in results.trained}
    rows = []
    for name, curve in curves.items():
        late = {kind: late_accuracy(curve, kind) for kind in ("change", "keep")}
        seeds = ", ".join(str(seed) for seed in curve["seed"].unique())
        rows.append(dict(component=name, seeds=seeds, first=_at(curve, 0), last=_at(curve, curve["step"].max())) | late)
    late = pd.DataFrame(rows)
    columns = dict(component="component", seeds="seeds", first="loss in the first step", last="in the last")
    columns |= dict(change="gave the answer asked for, where it should change")
    if late["keep"].notna().any():
        kinds = (
            "Trained on pairs of two kinds: sources of another value, where the answer should change, and sources of "
            "the same value in other words, where it should stay. The second kind gives its answer without any patch, "
            "so the two accuracies are apart."
        )
        columns |= dict(keep="where it should stay")
        kinds += " What training without the second kind finds, the controls say." if results.ran("controls") else ""
    else:
        kinds = "Trained on pairs of different values alone: every answer should change."
    yield Section(
        "E3, E4  Training",
        "How did gradient descent find the subspaces, and how often do training pairs give what they should?",
        f"Where the answer should change, from {in_words(late['change'].min())} to {in_words(late['change'].max())} of "
        "the training pairs gave the one asked for, component by component.",
        f"{kinds} Accuracies are shares of the training pairs of the last ten steps whose most likely token, of the "
        "whole vocabulary, is the one asked for; mean over seeds.",
        [Picture("train_das", "Loss of every training run, by component", train_das_figure(curves))],
        [Grid.of(late, columns)],
    )


def _at(curve: pd.DataFrame, step: int) -> float:
    return float(curve.loc[curve["step"] == step, "loss"].mean())
