"""Patches every component along every subspace on held-out pairs: effects (E3, E4, E6), also sentence by sentence.

The work is in units, one a component: with compute.scheduler they go to the workers of a cluster.
"""

from typing import Any

from subspace_illusion.files import atomic_folder, read_table, write_table
from subspace_illusion.measures.effect_units import both_splits, files_of, patch_component, patched_of, subspaces_of
from subspace_illusion.measures.effects import by_pair, count, effects, templates
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, MODEL, OUTCOMES, PROMPTS, RESULTS
from subspace_illusion.pipeline.sections import Components, Compute
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.statistics import Bootstrap


def main(
    components: Components, rank_tolerance: float, resamples: int, patch_batch: int, seed: int, compute: Compute
) -> None:
    (_, pairs), patches, units = both_splits(MODEL, ACTIVATIONS), 0, []
    for name, component in components.items():
        where = DECOMPOSITIONS / name
        asked: dict[str, Any] = dict(component=name, hook=component.hook, rank=component.rank)
        patches += count(subspaces_of(ACTIVATIONS, where, **asked))
        folders: dict[str, Any] = dict(model=str(MODEL), cache=str(ACTIVATIONS), decomposition=str(where))
        settings: dict[str, Any] = dict(tolerance=rank_tolerance, seed=seed, batch=patch_batch)
        inputs = [MODEL, *files_of(ACTIVATIONS, where, name)]
        units.append(unit(patch_component, inputs, **folders, **asked, **settings))
    say(f"making {patches} patches of {len(pairs)} held-out pairs in {len(components)} components")
    tables = run_units(units, compute, "component")
    named = zip(components.items(), tables, strict=True)
    patched = {name: patched_of(table, component.hook) for (name, component), table in named}
    write_table(RESULTS / "effects.csv", effects(pairs, patched, Bootstrap.of(pairs.groups, resamples, seed)))
    texts = read_table(PROMPTS).set_index("prompt")["text"]
    write_table(RESULTS / "templates.csv", templates(pairs, patched, texts, resamples=resamples, seed=seed))
    with atomic_folder(OUTCOMES) as folder:
        for name, outcome in patched.items():
            write_table(folder / f"{name}.parquet", by_pair(pairs, outcome))


if __name__ == "__main__":
    run(main, __doc__)
