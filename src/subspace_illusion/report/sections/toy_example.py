"""E0: the abstract example."""

from collections.abc import Iterator

from pandas import DataFrame

from subspace_illusion.report.plots.toy_example import toy_example_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section


def section(results: Results) -> Iterator[Section]:
    """The abstract example, computed."""
    if not results.ran("toy_example"):
        return
    tables = results.json("toy_example/tables.json")
    patches = DataFrame(tables["patches"])
    heads = tables["cancelling_heads"]
    yield Section(
        "E0  The abstract example",
        "Can a direction pass for the right one in a model where everything is known?",
        "It can: patched along e2 + e3 the model gives the very outputs that it gives patched along e1, which alone it "
        "uses.",
        "W_in = (1, 1, 0), W_out = (1, 0, 2), x in {-1, 1}. e1 is the unit that the model uses. Patching e2 + e3 "
        "gives the same outputs, but moves the activation to "
        "where no input puts it: e2, which nothing reads, lends its variation to e3, which never varies. In the "
        "rotated basis the roles look the other way round; which units are meaningful is not in the algebra. The "
        "same holds in more dimensions, and two heads that cancel are the example in another basis.",
        [
            Picture(
                "toy_example",
                "The plane of e2 and e3 with the direction, the data and the patched points",
                toy_example_figure(patches),
            )
        ],
        [
            Grid.of(patches, {"direction": "direction"} | _PATCH),
            Grid.of(
                DataFrame(tables["bases"]),
                {"basis": "basis", "direction": "direction", "class": "class", "post_says": "the post says"},
            ),
            Grid.of(
                DataFrame(tables["generalisation"]),
                dict(
                    k="dimensions",
                    irrelevant_per_dormant="irrelevant a dormant one",
                    patched="patched",
                    correct_units_moved="correct units moved by",
                    from_source="output off the source's by",
                    from_base="off the base's by",
                ),
            ),
            Grid.of(DataFrame(heads["patches"]), {"direction": "two heads that cancel"} | _PATCH),
            Grid.of(
                DataFrame(heads["change_of_basis"]),
                {"direction": "the same in another basis", "class": "class", "w_in": "W_in", "w_out": "W_out"},
            ),
        ],
    )


_PATCH = dict(
    patch="patch",
    hidden_before="activation before",
    hidden_after="after",
    output_before="output before",
    output_after="after",
)
