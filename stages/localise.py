"""Patches every component of every block, whole, on training pairs, and finds what writes and what reads (E2)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.localise import RULE, block_sites, find_window, localise
from subspace_illusion.files import ACTIVATIONS, MODEL, PAIRS, PROMPTS, RESULTS, read_table, write_json, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.tasks.table import OPPOSITE, chosen


def main(params: Params) -> None:
    model = open_model(MODEL)
    # Training pairs: where the components are looked for is chosen by what this stage finds.
    pairs = chosen(read_table(PAIRS), "train", OPPOSITE)[: params.localise.pairs]
    sites = [site for block in range(model.n_blocks) for site in block_sites(block, model.n_heads)]
    flops = sum(model.flops(site.start, len(pairs)) for site in sites)
    say(f"patching {len(sites)} components whole on {len(pairs)} training pairs, {duration(flops, model.device)}")
    found = localise(
        model,
        read_table(PROMPTS),
        pairs,
        Activations(ACTIVATIONS).index["ld"],
        batch=params.localise.batch,
        resamples=params.localise.resamples,
        seed=params.localise.seed,
        on_pairs=ticker(len(pairs), "pair").update,
    )
    window = find_window(found.loc[found["kind"] == "residual stream", "effect"].tolist(), model.parallel_blocks)
    write_table(RESULTS / "localise.csv", found)
    # For dvc plots: one line a kind of component.
    layers = found[found["kind"] != "head"].pivot(index="block", columns="kind", values="effect")
    write_table(RESULTS / "localise_layers.csv", layers.reset_index())
    write_json(RESULTS / "localise.json", dict(rule=RULE, **vars(window)))
    say(f"block {window.writes} writes, block {window.reads} reads, between them the MLPs of blocks {window.mlps}")


if __name__ == "__main__":
    run(main, __doc__)
