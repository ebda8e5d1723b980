"""Patches every component of every block, whole, on training pairs, and finds what writes and what reads (E2).

And the residual stream at every kind of token: where, in block and prompt, the variable lives.
"""

from subspace_illusion.core.opening import open_model
from subspace_illusion.files import atomic_folder, read_table, write_json, write_table
from subspace_illusion.measures.localise import (
    EMBEDDED,
    RULE_IN_WORDS,
    all_sites,
    map_tokens,
    swaps_of,
    window_of,
)
from subspace_illusion.measures.localise import (
    localise as patch_all,
)
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, PROMPTS, RESULTS
from subspace_illusion.pipeline.sections import Localise
from subspace_illusion.pipeline.stage import run, say, ticker
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.tasks.table import DIFFERENT, chosen


def main(localise: Localise, resamples: int, seed: int) -> None:
    model, prompts = open_model(MODEL), read_table(PROMPTS)
    # Training pairs: where the components are looked for is chosen by what this stage finds.
    pairs = chosen(kept_pairs(ACTIVATIONS), "train", DIFFERENT)[: localise.pairs]
    mapped = pairs[: localise.map_pairs]
    swaps = swaps_of(prompts, mapped)
    sites = sum(map(len, all_sites(model)))
    say(f"patching {sites} components whole on {len(pairs)} training pairs, then every token on {len(mapped)}")
    settings = dict(batch=localise.batch, resamples=resamples, seed=seed)
    found = patch_all(model, prompts, pairs, on_pairs=ticker(len(pairs), "pair").update, **settings)
    patches = sum(map(len, swaps.values()))
    tokens = map_tokens(model, mapped, swaps, on_pairs=ticker(patches, "pair and kind of token").update, **settings)
    window = window_of(found, model.parallel_blocks)
    with atomic_folder(RESULTS / "localise") as folder:
        write_table(folder / "components.csv", found)
        # For dvc plots: one line a kind of component.
        layers = found[~found["kind"].isin(["head", EMBEDDED])].pivot(index="block", columns="kind", values="effect")
        write_table(folder / "layers.csv", layers.reset_index())
        write_table(folder / "map.csv", tokens)
        write_json(folder / "window.json", dict(rule=RULE_IN_WORDS, pairs=len(pairs), **vars(window)))
    say(str(window))


if __name__ == "__main__":
    run(main, __doc__)
