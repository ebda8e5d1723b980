"""Patches every component along every subspace on held-out pairs: effects (E3, E4, E6), also sentence by sentence."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.evaluate import Subspaces, by_pair, count, effects, patch_all, templates
from subspace_illusion.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    MODEL,
    OUTCOMES,
    PROMPTS,
    RESULTS,
    read_subspaces,
    read_table,
    whole_folder,
    write_table,
)
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(params: Params) -> None:
    model = open_model(MODEL)
    pairs = cached_pairs(model, "test", DIFFERENT)
    cached = Activations(ACTIVATIONS)
    components = {
        name: Subspaces(
            component.at,
            read_subspaces(DECOMPOSITIONS / name / "subspaces.safetensors"),
            cached.readout(name),
            component.rank,
        )
        for name, component in params.components.items()
    }
    patches = count(components)
    flops = sum(model.flops(site.start, len(pairs) * number, pairs.tokens) for site, number in patches.items())
    total = sum(patches.values())
    say(f"making {total} patches of {len(pairs)} held-out pairs, {duration(flops, model.device)}")
    patched = patch_all(
        pairs,
        components,
        tolerance=params.decompose.rank_tolerance,
        seed=params.evaluate.seed,
        batch=params.evaluate.batch,
        on_patch=ticker(total * len(pairs), "pair").update,
    )
    settings = dict(resamples=params.evaluate.resamples, seed=params.evaluate.seed)
    write_table(RESULTS / "effects.csv", effects(pairs, patched, Bootstrap.of(pairs.groups, **settings)))
    texts = read_table(PROMPTS).set_index("prompt")["text"]
    write_table(RESULTS / "templates.csv", templates(pairs, patched, texts, **settings))
    with whole_folder(OUTCOMES) as folder:
        for name, component in patched.items():
            write_table(folder / f"{name}.parquet", by_pair(pairs, component))


if __name__ == "__main__":
    run(main, __doc__)
