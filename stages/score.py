"""Scores every subspace (E13), and tells how far its patch leaves the natural distribution (E15)."""

from typing import Any

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.sites import residual_after
from subspace_illusion.files import column, read_table, write_table
from subspace_illusion.measures.find_readers import Rule
from subspace_illusion.measures.off_distribution import distances_of_component
from subspace_illusion.measures.own_readers import both_splits, can_be_read, split_by_own_readers
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, MODEL, OUTCOMES, RESULTS, SCORES
from subspace_illusion.pipeline.sections import Components, Experiments, Readers, Score, SplitDirections
from subspace_illusion.pipeline.stage import progress, run, say
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import DIFFERENT, chosen, codes, go_both_ways, values_of
from subspace_illusion.verdict.score import draws_table, score_component, score_table


def main(
    components: Components,
    experiments: Experiments,
    readers: Readers,
    split_directions: SplitDirections,
    score: Score,
    rank_tolerance: float,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    cached, kept = Activations(ACTIVATIONS), kept_pairs(ACTIVATIONS)
    pairs = chosen(kept, "test", DIFFERENT).reset_index(drop=True)
    base, source = (column(pairs, end).tolist() for end in ("base", "source"))
    listed = values_of(kept)
    values = codes(pairs["base_value"], listed), codes(pairs["source_value"], listed)
    swaps = go_both_ways(pairs)
    settings: dict[str, Any] = dict(tolerance=rank_tolerance, resamples=resamples, seed=seed)
    bootstrap, halves = Bootstrap.of(pairs["group"].to_numpy(), resamples, seed), None
    own = settings | dict(rule=Rule(**readers.model_dump()), draws=split_directions.random_subspaces, batch=patch_batch)
    say(f"scoring the subspaces of {len(components)} components, a few seconds each")
    scores: dict[SubspaceKey, Any] = {}
    left: list[dict[str, object]] = []
    for name, component in progress(list(components.items()), "component"):
        site, readout, splits = component.at, cached.readout(name), None
        did, bases = read_table(OUTCOMES / f"{name}.parquet"), read_subspaces(DECOMPOSITIONS / name)
        if name in experiments.split_directions:
            splits = read_table(RESULTS / "split_directions" / f"{name}_by_pair.csv")
        elif can_be_read(site, cached.n_blocks):
            halves = halves or both_splits(MODEL, ACTIVATIONS, split_directions.pairs)  # opens the model
            splits, _ = split_by_own_readers(*halves, site, bases, **own) or (None, None)
        ends, next_input = ((cached.at(at, base), cached.at(at, source)) for at in (site, residual_after(site.block)))
        after = next_input if cached.hands_on_alone(name) else None
        found = score_component(did, bases, *ends, values, readout, splits, swaps=swaps, **settings)
        scores |= {key.at(name): scored for key, scored in found.items()}
        looks: Any = dict(tolerance=rank_tolerance, halvings=score.halvings, seed=seed)
        left += distances_of_component(name, ends, after, bases, found, readout, bootstrap, **looks)
    write_table(RESULTS / "score.csv", score_table(scores))
    write_table(SCORES, draws_table(scores))
    write_table(RESULTS / "off_distribution.csv", table(left))


if __name__ == "__main__":
    run(main, __doc__)
