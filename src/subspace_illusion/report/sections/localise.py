"""E2: where the variable is."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.measures.localise import EMBEDDED, RESIDUAL, TOKEN_ITSELF, Window
from subspace_illusion.report.plots.localise import localise_figure, localise_map_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import place, variable_of


def section(results: Results) -> Iterator[Section]:
    """Every component patched whole, and the residual stream at every kind of token."""
    if not results.ran("localise"):
        return
    found, localised = results.json("localise/window.json"), results.table("localise/components.csv")
    tokens = results.table("localise/map.csv")
    window = Window.told(found)
    writes, reads = window.writes, window.reads
    after = (localised["kind"] == RESIDUAL) & localised["block"].between(writes - 1, reads + 1)
    before = (localised["kind"] == EMBEDDED) & (writes <= 0)
    around = localised[after | before]
    around = around.assign(after=around["block"].where(around["kind"] == RESIDUAL, TOKEN_ITSELF))
    token = place(results.at_end)
    yield Section(
        "E2  Where the variable is",
        f"Which block writes {variable_of(results.task)} to {token}, and which reads it?",
        f"By this rule {window}.",
        f"{found['rule']} Measured on {localised['pairs'].iloc[0]} training pairs: where to look for a subspace is "
        "chosen by this, and held-out pairs must have no say in it. "
        "The first table has the residual stream around them. The map patches the residual stream at one kind of "
        f"token at a time, on {tokens['pairs'].max()} training pairs or as many of them as have such tokens; the "
        "second table has each kind's largest effect.",
        [
            Picture(
                "localise",
                "Effect of patching every component whole, by block",
                localise_figure(localised, writes, reads, token),
            ),
            Picture(
                "localise_map",
                "Effect of patching the residual stream at one kind of token at a time, by block",
                localise_map_figure(tokens),
            ),
        ],
        [
            Grid.of(
                around,
                dict(
                    after="residual stream after block (-1: before block 0)",
                    effect="effect (LD lost)",
                    fldd="share of the clean LD",
                ),
                ("effect", "fldd"),
            ),
            _mapped(tokens),
        ],
    )


def _mapped(tokens: pd.DataFrame) -> Grid:
    """Where each kind of token has its largest effect."""
    largest = tokens.loc[tokens.groupby("tokens", sort=False)["fldd"].idxmax()]
    largest = largest.assign(block=largest["block"].astype(str))
    columns = dict(tokens="tokens", block="after block", fldd="largest effect, share of the clean LD", pairs="pairs")
    return Grid.of(largest, columns, ("fldd",))
