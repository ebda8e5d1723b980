"""Splits directions of one residual-stream component by what the readers see, and patches the parts (E3)."""

import torch

from subspace_illusion.core.heads import score_gradient, with_matrices
from subspace_illusion.core.opening import open_model
from subspace_illusion.files import read_table, write_table
from subspace_illusion.measures.find_readers import READER, heads_reached, listed, name_of
from subspace_illusion.measures.split_directions import count
from subspace_illusion.measures.split_directions import split_directions as patch_parts
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, MODEL, PROMPTS, RESULTS
from subspace_illusion.pipeline.sections import Components, SplitDirections
from subspace_illusion.pipeline.stage import run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, SubspaceKey
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.ioi import has_names, name_positions
from subspace_illusion.tasks.table import DIFFERENT


def main(
    component: str,
    components: Components,
    split_directions: SplitDirections,
    rank_tolerance: float,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    model, site, most = open_model(MODEL), components[component].at, split_directions.pairs
    pairs, prompts = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT, most=most), read_table(PROMPTS)
    found = listed(read_table(RESULTS / "find_readers/readers.csv", text=("head",)), "reader", READER)
    readers = [head for head in heads_reached(model.n_blocks, model.n_heads, site) if name_of(head) in found]
    readers = with_matrices(model, readers, pairs.tokens > 1)
    asked = read_subspaces(DECOMPOSITIONS / component).items()
    bases = {key: basis for key, basis in asked if key.is_asked or key == SubspaceKey(MEAN_DIFFERENCE)}
    seen = f"by what {len(readers)} readers see" if readers else "whole, because no reader with matrices is downstream"
    say(f"patching directions at {site.name} {seen}, {len(pairs)} pairs")
    if readers and has_names(prompts):  # attention tells which of two names it moves
        train = cached_pairs(model, ACTIVATIONS, "train", DIFFERENT, most=most)
        positions = name_positions(prompts.set_index("prompt").loc[train.base_prompts])
        tail = train.tail(site.start)(torch.arange(len(train)))
        bases[SubspaceKey(GRADIENT)] = score_gradient(model, site, tail, readers, *positions)
    draws = split_directions.random_subspaces
    split, by_pair = patch_parts(
        pairs,
        site,
        bases,
        readers,
        pairs.tokens > 1,
        Bootstrap.of(pairs.groups, resamples, seed),
        tolerance=rank_tolerance,
        draws=draws,
        seed=seed,
        batch=patch_batch,
        on_patch=ticker((count(bases, draws) if readers else len(bases)) * len(pairs), "patch").update,
    )
    write_table(RESULTS / "split_directions" / f"{component}.csv", split)
    write_table(RESULTS / "split_directions" / f"{component}_by_pair.csv", by_pair)


if __name__ == "__main__":
    run(main, __doc__)
