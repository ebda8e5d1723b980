"""E11: fewer neurons."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.neuron_sweep import neuron_sweep_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, in_words

NO_NULL_PART = 0.01
"""A null part that lends less than this share of the patch is none."""

COLUMNS = dict(
    neurons="neurons", share_of_residual="effect, mean", each="single draws",
    set_share_of_residual="all of these neurons patched", null_lent="lent by a null part",
    own_written="written by the neurons themselves",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """One section a component whose neurons were left out."""
    for name in results.ran("neuron_sweep"):
        swept, fit = results.table(f"neuron_sweep/{name}.csv"), results.json(f"neuron_sweep/{name}.json")
        draws = swept["draw"].nunique()
        measures = [column for column in COLUMNS if column not in ("neurons", "each")]
        by_size = swept.groupby("neurons")[measures].mean().reset_index()
        singles = swept.groupby("neurons")["share_of_residual"].agg(lambda each: ", ".join(f"{x:.2f}" for x in each))
        shown = by_size.assign(each=singles.to_numpy(), neurons=by_size["neurons"].astype(str))
        yield Section(
            f"E11  Fewer neurons of {name}",
            "Does the effect need the component's many dimensions, and a null part?",
            _answer(by_size),
            f"DAS restricted to random sets of neurons, {draws} of each size, nested within a draw; effects as shares "
            "of the whole residual patch's. The post found a straight line; the second table has the "
            "least-squares line through the single values. Beside the effect, what all the neurons of a set do "
            "when they are patched, and whence the direction has what it writes: the share that a part which the "
            "set's own readout maps to zero lends, and the share that the neurons write there themselves when all of "
            f"them are patched. {_why(by_size)}",
            [
                Picture(
                    f"neuron_sweep__{name}",
                    "Effect of subspaces of some of the neurons against their number, and what of it is their own",
                    neuron_sweep_figure(swept, fit, name),
                )
            ],
            [
                Grid.of(shown[list(COLUMNS)], COLUMNS),
                Grid(
                    ["single values", "R2 of the line", "its slope for a hundred neurons"],
                    [[f"{fit['points']:.0f}", f"{fit['r2']:.2f}", f"{100 * fit['slope_per_neuron']:.4f}"]],
                ),
            ],
        )


def _answer(by_size: pd.DataFrame) -> str:
    """What few and many neurons do."""
    ordered = by_size.sort_values("neurons")
    few, many = ordered.iloc[0], ordered.iloc[-1]
    return (
        f"With {few['neurons']:.0f} neurons the effect is {in_words(few['share_of_residual'])} of the whole residual "
        f"patch's, with {many['neurons']:.0f} it is {in_words(many['share_of_residual'])}, of which a null part lends "
        f"{in_words(many['null_lent'])}."
    )


def _why(by_size: pd.DataFrame) -> str:
    """What the table says of sets that have no null part, and of the others.

    Args:
        by_size: Means over the draws, a row a number of neurons.
    """
    without = by_size["null_lent"].abs() < NO_NULL_PART
    if without.isna().any() or not without.any() or without.all():
        return ""
    few, many = by_size[without], by_size[~without]
    effect, whole, own = (few[name] for name in ("share_of_residual", "set_share_of_residual", "own_written"))
    largest = few["neurons"].max()
    words = (
        f"Sets of up to {largest} neurons have no null part, and their directions still have an effect, up to "
        f"{effect.max():.2f} where all of these neurons have {whole[effect.idxmax()]:.2f}. "
    )
    undone = bool((whole < own * effect).all())  # the rest of what the neurons write acts against that
    if undone and own.min() > 0.5 > many["own_written"].max():
        return words + (
            f"So a null part is not what it takes: there the neurons themselves write {own.min():.2f} to "
            f"{own.max():.2f} of what the patch writes, and the direction leaves out what the same neurons write in "
            "other directions, which undoes it. It is the null part that makes the large effects: with "
            f"{many['neurons'].min()} neurons and more it lends {many['null_lent'].min():.2f} to "
            f"{many['null_lent'].max():.2f}, and the neurons write {many['own_written'].max():.2f} to "
            f"{many['own_written'].min():.2f} themselves. The larger effects rest on what is lent, the smaller ones on "
            "taking a part of what is written away from the rest."
        )
    return words + (
        f"There the neurons themselves write {own.min():.2f} to {own.max():.2f} of what the patch writes; with "
        f"{many['neurons'].min()} and more, {many['own_written'].min():.2f} to {many['own_written'].max():.2f}, and a "
        f"null part lends {many['null_lent'].min():.2f} to {many['null_lent'].max():.2f}."
    )
