"""Follows the effect of one component's trained subspaces through the heads downstream to the answer (E3)."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.trace_paths import PATCH, group_table, groups_of, head_table, trace
from subspace_illusion.files import atomic_folder, read_table, write_table
from subspace_illusion.measures.find_readers import heads_reached
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, MODEL, RESULTS
from subspace_illusion.pipeline.sections import Components, TracePaths
from subspace_illusion.pipeline.stage import run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces, trained_among
from subspace_illusion.tasks.table import DIFFERENT, source_sign


def main(component: str, components: Components, trace_paths: TracePaths, resamples: int, seed: int) -> None:
    model, site = open_model(MODEL), components[component].at
    pairs = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT, most=trace_paths.pairs)
    bases = trained_among(read_subspaces(DECOMPOSITIONS / component))
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    say(f"following patches of {len(bases)} seeds at {site.name} through {len(heads)} heads, {len(pairs)} pairs")
    found = read_table(RESULTS / "find_readers/readers.csv", text=("head",))
    groups = groups_of(found, heads)
    paths = trace(pairs, site, bases, groups, trace_paths.batch, ticker(len(bases) * len(pairs), "pair").update)
    bootstrap = Bootstrap.of(pairs.groups, resamples, seed)
    first, sign = min(bases), source_sign(pairs.table)
    by_head = head_table(paths.heads, found, paths.groups[first][PATCH], pairs.ld_clean, sign, bootstrap)
    with atomic_folder(RESULTS / "trace_paths" / component) as folder:
        write_table(folder / "groups.csv", group_table(paths.groups, groups, pairs.ld_clean, bootstrap))
        write_table(folder / "heads.csv", by_head.assign(seed=first))


if __name__ == "__main__":
    run(main, __doc__)
