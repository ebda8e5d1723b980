"""E15: how far patches leave the natural distribution."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.measures.off_distribution import ACTS
from subspace_illusion.report.plots.off_distribution import off_distribution_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import with_keys


def _answer(distances: pd.DataFrame) -> str:
    """The farthest that a patch takes what acts."""
    acts = distances[distances["part"] == ACTS]
    farthest = (distances if acts.empty else acts).sort_values("distance").iloc[-1]
    figure, floor = (Estimate.of(farthest.to_dict(), name) for name in ("distance", "floor"))
    if figure is None or floor is None:
        return "No distance could be told."
    return (
        f"What acts is moved farthest at {farthest['component']} by the subspace {shown(farthest['subspace'])}: a "
        f"distance of {with_ends(figure)}, where two halves of the natural cloud lie {with_ends(floor)} apart."
    )


def section(results: Results) -> Iterator[Section]:
    """Distances between patched and natural clouds, component by component."""
    distances = with_keys(results.table("off_distribution.csv"))
    columns = dict(component="component", subspace="subspace", place="where", part="part")
    yield Section(
        "E15  Off the natural distribution",
        "Does the patch take activations where no prompt puts them, and is that a place where anything is read?",
        _answer(distances),
        "The energy distance between the patched bases and the natural cloud of bases and sources, as a share of twice "
        "the mean distance between a point of the one and one of the other: 0 where the clouds are the same. Every "
        "coordinate is standardised by the natural cloud. The grey bar is the floor: the same distance between two "
        "halves of the natural cloud. What acts is what the output matrix sees, and what nothing reads is what it maps "
        "to zero; a patch may leave the natural cloud there without any consequence. Along what is written, the output "
        "is looked at in the directions alone that the patch writes. No verdict rests on these distances. One "
        "direction among hundreds hardly moves the distance of whole clouds, however far it goes by itself.",
        [
            Picture(
                f"off_distribution__{name}",
                f"Distance of patched from natural activations at {name}, by place and part, with the floor",
                off_distribution_figure(rows),
            )
            for name, rows in distances.groupby("component", sort=False)
        ],
        [Grid.of(distances, columns | dict(distance="distance", floor="floor"), ("distance", "floor"))],
    )
