"""E2: where the position signal is."""

from collections.abc import Iterator

from subspace_illusion.report.plots.localise import localise_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section

KIND = "residual stream"


def section(results: Results) -> Iterator[Section]:
    """Every component patched whole."""
    found, localised = results.json("localise.json"), results.table("localise.csv")
    writes, reads, mlps = found["writes"], found["reads"], found["mlps"]
    many = f"the MLPs of blocks {', '.join(map(str, mlps))} lie"
    between = {0: "no MLP lies", 1: f"the MLP of block {mlps[0] if mlps else ''} lies"}.get(len(mlps), many)
    around = localised[(localised["kind"] == KIND) & localised["block"].between(writes - 1, reads + 1)]
    yield Section(
        "E2  Where the position signal is",
        "Which block writes the position to END, and which reads it? Every component patched whole.",
        f"{found['rule']} Measured on {localised['pairs'].iloc[0]} training pairs: where to look for a subspace is "
        "chosen by this, and held-out pairs must have no say in it. "
        f"By this rule block {writes} writes and block {reads} reads; {between} between. "
        "The table has the residual stream around them.",
        [
            Picture(
                "localise",
                "Effect of patching every component whole, by block",
                localise_figure(localised, writes, reads),
            )
        ],
        [
            Grid.of(
                around,
                dict(block="residual stream after block", effect="effect (LD lost)", fldd="share of the clean LD"),
                ("effect", "fldd"),
            )
        ],
    )
