"""Follows the effect of one component's trained subspaces through the heads downstream to the answer (E3)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.trace_paths import PATCH, group_table, groups_of, head_table, replays, trace
from subspace_illusion.files import (
    MODEL,
    RESULTS,
    atomic_folder,
    read_table,
    write_table,
)
from subspace_illusion.measures.find_readers import heads_reached
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import DIFFERENT, source_sign


def main(params: Params, component: str) -> None:
    model, site = open_model(MODEL), params.components[component].at
    pairs = cached_pairs(model, "test", DIFFERENT, most=params.trace_paths.pairs)
    subspaces = read_subspaces(component)
    bases = {seed: subspaces[SubspaceKey(TRAINED, seed=seed)] for seed in params.das.seeds}
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    found = read_table(RESULTS / "find_readers/readers.csv", text=("head",))
    groups = groups_of(found, heads)
    flops = sum(model.flops(block, len(pairs), pairs.tokens) for block in replays(model, site, groups, len(bases)))
    say(
        f"following the patches of {len(bases)} seeds at {site.name} through {len(heads)} heads, {len(pairs)} pairs, "
        + duration(flops, model.device)
    )
    bar = ticker(len(bases) * len(pairs), "pair")
    paths = trace(pairs, site, bases, groups, params.trace_paths.batch, bar.update)
    bootstrap = Bootstrap.of(pairs.groups, params.evaluate.resamples, params.evaluate.seed)
    first = params.das.seeds[0]
    sign = source_sign(pairs.table)
    of_heads = head_table(paths.heads, found, paths.groups[first][PATCH], pairs.ld_clean, sign, bootstrap)
    with atomic_folder(RESULTS / "trace_paths" / component) as folder:
        write_table(folder / "groups.csv", group_table(paths.groups, groups, pairs.ld_clean, bootstrap))
        write_table(folder / "heads.csv", of_heads.assign(seed=first))


if __name__ == "__main__":
    run(main, __doc__)
