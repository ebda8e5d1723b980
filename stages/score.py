"""Scores every subspace (E13), and tells how far its patch leaves the natural distribution (E15)."""

from typing import Any

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.basis import spaces
from subspace_illusion.core.sites import residual_after
from subspace_illusion.files import (
    ACTIVATIONS,
    OUTCOMES,
    RESULTS,
    SCORES,
    column,
    read_table,
    write_table,
)
from subspace_illusion.measures.off_distribution import distances, looked_at
from subspace_illusion.measures.stored_splits import Splits
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import progress, run, say
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.keys import WHOLE, SubspaceKey
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import DIFFERENT, chosen, codes, values_of
from subspace_illusion.verdict.score import Score, draws_table, score_component, score_table


def main(params: Params) -> None:
    cached, kept = Activations(ACTIVATIONS), kept_pairs()
    pairs, listed = chosen(kept, "test", DIFFERENT).reset_index(drop=True), values_of(kept)
    base, source = (column(pairs, end).tolist() for end in ("base", "source"))
    values = codes(pairs["base_value"], listed), codes(pairs["source_value"], listed)
    groups, tolerance = pairs["group"].to_numpy(), params.decompose.rank_tolerance
    draws: Any = dict(resamples=params.evaluate.resamples, seed=params.evaluate.seed)
    bootstrap, settings = Bootstrap.of(groups, **draws), draws | dict(tolerance=tolerance)
    done, asked = RESULTS / "split_directions", params.experiments.split_directions
    most, batch = params.split_directions.pairs, params.evaluate.batch
    split = Splits(done, asked, cached.n_blocks, most=most, batch=batch, **settings)
    say(f"scoring the subspaces of {len(params.components)} components, a few seconds each")
    scores: dict[SubspaceKey, Score] = {}
    left = []
    for name, component in progress(list(params.components.items()), "component"):
        at, after, readout = component.at, residual_after(component.at.block), cached.readout(name)
        bases = read_subspaces(name)
        did = read_table(OUTCOMES / f"{name}.parquet")
        ends, entering = ((cached.at(site, base), cached.at(site, source)) for site in (at, after))
        found = score_component(did, bases, *ends, values, readout, split.of(name, at, bases), **settings)
        scores |= {key.at(name): score for key, score in found.items()}
        halves = None if readout is None else spaces(readout, tolerance)
        first = {key.pooled: basis for key, basis in reversed(bases.items()) if key.pooled in found}
        for key, basis in {WHOLE: None, **first}.items():
            clouds = looked_at(*ends, basis, readout, halves, entering)
            rows = distances(clouds, groups, bootstrap, params.score.halvings, params.evaluate.seed)
            left += [dict(component=name, subspace=key.subspace) | row for row in rows]
    write_table(RESULTS / "score.csv", score_table(scores))
    write_table(SCORES, draws_table(scores))
    write_table(RESULTS / "off_distribution.csv", table(left))


if __name__ == "__main__":
    run(main, __doc__)
