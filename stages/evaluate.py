"""Patches every component along every subspace on held-out pairs: effects (E3, E4, E6), also sentence by sentence.

The work is in units, one a component: with compute.scheduler they go to the workers of a cluster.
"""

from subspace_illusion.files import MODEL, OUTCOMES, PROMPTS, RESULTS, atomic_folder, read_table, write_table
from subspace_illusion.measures.effect_units import files_of, held_out, patch_component, patched_of, subspaces_of
from subspace_illusion.measures.effects import by_pair, count, effects, templates
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.statistics import Bootstrap


def main(params: Params) -> None:
    pairs, listed = held_out(str(MODEL)), params.components
    patches = {name: count(subspaces_of(name, asked.hook, asked.rank)) for name, asked in listed.items()}
    flops = sum(pairs.model.flops(listed[name].at.start, len(pairs) * n, pairs.tokens) for name, n in patches.items())
    time = duration(flops, pairs.model.device)
    say(f"making {sum(patches.values())} patches of {len(pairs)} held-out pairs in {len(listed)} components, {time}")
    units = [
        unit(
            patch_component,
            [MODEL, *files_of(name)],
            model=str(MODEL),
            component=name,
            hook=component.hook,
            rank=component.rank,
            tolerance=params.decompose.rank_tolerance,
            seed=params.evaluate.seed,
            batch=params.evaluate.batch,
        )
        for name, component in listed.items()
    ]
    tables = run_units(units, params.compute, "component")
    hooks = [asked.hook for asked in listed.values()]
    patched = {name: patched_of(table, hook) for name, hook, table in zip(listed, hooks, tables, strict=True)}
    settings = dict(resamples=params.evaluate.resamples, seed=params.evaluate.seed)
    write_table(RESULTS / "effects.csv", effects(pairs, patched, Bootstrap.of(pairs.groups, **settings)))
    texts = read_table(PROMPTS).set_index("prompt")["text"]
    write_table(RESULTS / "templates.csv", templates(pairs, patched, texts, **settings))
    with atomic_folder(OUTCOMES) as folder:
        for name, component in patched.items():
            write_table(folder / f"{name}.parquet", by_pair(pairs, component))


if __name__ == "__main__":
    run(main, __doc__)
