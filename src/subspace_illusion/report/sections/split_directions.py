"""E3 d: directions of the residual stream split by what the readers see."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.measures.split_directions import READ_PARTS, SEEN, UNDIVIDED
from subspace_illusion.report.plots.split_directions import directions, split_directions_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, in_words
from subspace_illusion.report.words import shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import GRADIENT, POOLED, TRAINED, SubspaceKey, with_keys

_MEASURES = dict(effect="effect (LD lost)", flip_rate="flip rate (LD < 0)", interchange_accuracy="interchange accuracy")
_SHARES = dict(row_share="along the readers", random_row_share="along random subspaces")


def section(results: Results) -> Iterator[Section]:
    """Every component: its directions patched whole and by their parts."""
    for name in results.ran("split_directions"):
        table = with_keys(results.table(f"split_directions/{name}.csv", text=("seed", "draw")))
        divided = (table["part"] != UNDIVIDED).any()
        grids = [_parts(table), _shares(table)] if divided else [_parts(table)]
        yield Section(
            f"E3  What the readers see of directions at {name}",
            "Does the part of a direction that the readers can see do what the whole direction does?",
            _answer(table) if divided else _NOTHING,
            f"{table['pairs'].iloc[0]} held-out pairs; after table 1 of arXiv 2311.17030, with the readers found here. "
            + (_said(table, results.at_end) if divided else ""),
            [
                Picture(
                    f"split_directions__{name}",
                    f"Effect of patching the directions at {name} whole and by their parts, and the norms of the parts",
                    split_directions_figure(table),
                )
            ],
            grids,
        )


_NOTHING = "No reader was found, so there is nothing to split by: the directions are patched whole, and no more."


def _said(table: pd.DataFrame, at_end: bool) -> str:
    """How far the rank alone explains what the part along the readers does."""
    rank = table.loc[table["part"] == SEEN, "chance_norm"]
    sentences = [
        "A part is normalised before it is patched; its norm is what it had in the direction of norm one. The readers "
        f"see the position through their {'queries' if at_end else 'keys and values, looking back at it from END'}."
    ]
    if (table["subspace"] == SubspaceKey(GRADIENT)).any():
        sentences.append(
            "The gradient is the mean gradient, on training pairs, of the readers' attention to the first name over "
            "the second."
        )
    if len(rank):
        share = rank.iloc[0] ** 2
        sentences.append(
            f"Rank matters: the readers together see {share:.0%} of the dimensions, so a random "
            f"direction too has a norm of {rank.iloc[0]:.2f} along them. Random subspaces of that rank therefore stand "
            "beside; their intervals are over subspaces as well as groups."
        )
    return " ".join(sentences)


def _answer(table: pd.DataFrame) -> str:
    """What of the trained direction's effect its part along the readers has."""
    trained = table[
        (table["subspace"] == SubspaceKey(TRAINED)) & (table["part"] == UNDIVIDED) & (table["seed"] == POOLED)
    ]
    shares = [Estimate.of(row, measure) for row in trained.to_dict("records") for measure in _SHARES]
    if len(shares) != len(_SHARES) or shares[0] is None or shares[1] is None:
        return "No trained direction was split here; the table has the others."
    return (
        f"Of the trained direction's effect the part along the readers has {with_ends(shares[0])}, that along random "
        f"subspaces {with_ends(shares[1])}."
    )


def _parts(table: pd.DataFrame) -> Grid:
    """Every part of every direction: the seeds and draws pooled."""
    pooled = table[table["seed"] == POOLED]
    rows = []
    for key in directions(table):
        for part in READ_PARTS:
            here = pooled[(pooled["subspace"] == key) & (pooled["part"] == part)]
            of_draws = here.loc[here["draw"].notna() & (here["draw"] != POOLED), "effect"]
            for row in here[here["draw"].isna() | (here["draw"] == POOLED)].to_dict("records"):
                measures = [Estimate.of(row, measure) for measure in _MEASURES]
                effect, *more = [with_ends(estimate) for estimate in measures]
                spread = f"{of_draws.min():.2f} to {of_draws.max():.2f}" if len(of_draws) else ""
                norms = [in_words(row["norm"]), in_words(row["chance_norm"])]
                rows.append([shown(key), part, *norms, effect, spread, *more])
    effect, *more = _MEASURES.values()
    header = ["direction", "part", "norm", "norm expected of a random direction", effect, "effect, range over draws"]
    return Grid([*header, *more], rows)


def _shares(table: pd.DataFrame) -> Grid:
    """What share of a direction's effect its part along the readers has, and along random subspaces."""
    whole = table[table["part"] == UNDIVIDED]
    rows = []
    for key in directions(table):
        here = whole[whole["subspace"] == key]
        for row in here[here["seed"] == POOLED].to_dict("records"):
            cells = []
            for measure in _SHARES:
                estimate = Estimate.of(row, measure)
                single = here.loc[here["seed"] != POOLED, measure].dropna() if measure in here else []
                each = ", ".join(with_ends(Estimate(x)) for x in single)
                cells += [with_ends(estimate), each]
            rows.append([shown(key), *cells])
    header = [cell for words in _SHARES.values() for cell in (f"effect {words}, over the whole's", "single seeds")]
    return Grid(["direction", *header], rows)
