"""Finds the heads that read the variable, by how they respond when a whole component, v_true's, is patched (E3)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.opening import open_model
from subspace_illusion.files import atomic_folder, write_json, write_table
from subspace_illusion.measures.find_readers import (
    MINOR,
    MOVER,
    NEGATIVE,
    READER,
    Rule,
    heads_reached,
    listed,
    reader_table,
    respond,
)
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, RESULTS
from subspace_illusion.pipeline.sections import FindReaders, Readers
from subspace_illusion.pipeline.stage import run, say, ticker
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(
    component: str, readers: Readers, find_readers: FindReaders, resamples: int, patch_batch: int, seed: int
) -> None:
    model, site = open_model(MODEL), Activations(ACTIVATIONS).site(component)
    pairs = cached_pairs(model, ACTIVATIONS, "train", DIFFERENT)
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    say(f"patching all of {site.name} in {len(pairs)} training pairs and attributing LD to {len(heads)} heads")
    response = respond(pairs, site, patch_batch, ticker(len(pairs), "pair").update)
    rule = Rule(**readers.model_dump())
    found = reader_table(heads, response, pairs.ld_clean, Bootstrap.of(pairs.groups, resamples, seed), rule)
    lists = {name: listed(found, "reader", name) for name in (READER, MINOR)}
    summary = dict(
        rule=str(rule),
        ld_clean=round(float(pairs.ld_clean.mean()), 6),
        effect=round(float((pairs.ld_clean - response.ld_patched).mean()), 6),
        found=lists,
        roles={name: listed(found, "role", name) for name in (MOVER, NEGATIVE)},
        published=find_readers.published,
    )
    with atomic_folder(RESULTS / "find_readers") as folder:
        write_table(folder / "readers.csv", found)
        write_json(folder / "readers.json", summary)
    for name, in_class in lists.items():
        say(f"{name}s: {', '.join(in_class) or 'none'}")


if __name__ == "__main__":
    run(main, __doc__)
