"""Splits directions of one residual-stream component by what the readers see, and patches the parts (E3)."""

import torch

from subspace_illusion.core.heads import score_gradient
from subspace_illusion.core.model import open_model
from subspace_illusion.files import (
    MODEL,
    PROMPTS,
    RESULTS,
    read_table,
    write_table,
)
from subspace_illusion.measures.find_readers import READER, heads_reached, listed, name_of
from subspace_illusion.measures.split_directions import split_directions
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, SubspaceKey
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.ioi import name_positions
from subspace_illusion.tasks.table import DIFFERENT


def main(params: Params, component: str) -> None:
    model, site = open_model(MODEL), params.components[component].at
    pairs = cached_pairs(model, "test", DIFFERENT, most=params.split_directions.pairs)
    found = listed(read_table(RESULTS / "find_readers/readers.csv", text=("head",)), "reader", READER)
    readers = [head for head in heads_reached(model.n_blocks, model.n_heads, site) if name_of(head) in found]
    difference = SubspaceKey(MEAN_DIFFERENCE)
    bases = {key: basis for key, basis in read_subspaces(component).items() if key.is_asked or key == difference}
    draws = params.split_directions.random_subspaces
    # In IOI there is a gradient too. Random subspaces divide the first seed alone of the trained directions.
    patches = (3 * (len(bases) + 1) + 3 * 2 * draws if readers else len(bases)) * len(pairs)
    by_what = f"by what {len(readers)} readers see" if readers else "whole, because no reader lies downstream"
    time = duration(model.flops(site.start, patches, pairs.tokens), model.device)
    say(f"patching directions at {site.name} {by_what}, {len(pairs)} pairs, {time}")
    if readers and params.task.name == "ioi":  # whose attention tells which of two names it moves
        train = cached_pairs(model, "train", DIFFERENT, most=params.split_directions.pairs)
        positions = name_positions(read_table(PROMPTS).set_index("prompt").loc[train.base_prompts])
        tail = train.tail(site.start)(torch.arange(len(train)))
        bases[SubspaceKey(GRADIENT)] = score_gradient(model, site, tail, readers, *positions)
    bar = ticker(patches, "patch")
    split, by_pair = split_directions(
        pairs,
        site,
        bases,
        readers,
        pairs.tokens > 1,
        Bootstrap.of(pairs.groups, params.evaluate.resamples, params.evaluate.seed),
        tolerance=params.decompose.rank_tolerance,
        draws=draws,
        seed=params.split_directions.seed,
        batch=params.evaluate.batch,
        on_patch=bar.update,
    )
    write_table(RESULTS / "split_directions" / f"{component}.csv", split)
    write_table(RESULTS / "split_directions" / f"{component}_by_pair.csv", by_pair)


if __name__ == "__main__":
    run(main, __doc__)
