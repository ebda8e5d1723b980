"""Patches facts block by block along one direction per pair and along a shared one, and as rank-1 edits (E16)."""

from subspace_illusion.core.edits import covariances
from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.fact_directions import sites_of_blocks
from subspace_illusion.experiments.facts import facts_pairs, facts_tables
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import atomic_folder, read_table, read_tensors, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, PROMPTS, RESULTS, TEXTS
from subspace_illusion.pipeline.sections import Components, Facts, Learning
from subspace_illusion.pipeline.stage import run, say, ticker
from subspace_illusion.subspace.pairs import kept_pairs


def main(
    component: str,
    components: Components,
    facts: Facts,
    learning: Learning,
    rank_tolerance: float,
    resamples: int,
    seed: int,
) -> None:
    model, prompts = open_model(MODEL), read_table(PROMPTS)
    sites = sites_of_blocks(model, components[component].at, facts.blocks)
    say(f"facts at the MLPs of blocks {facts.blocks}, one direction and one edit per pair, {facts.pairs} pairs")
    tokens = Text.of(read_tensors(TEXTS / f"{facts.text}.safetensors")).tokens
    covariance = covariances(model, tokens, sites, ticker(len(tokens), "sequence").update)
    train, test = facts_pairs(model, prompts, kept_pairs(ACTIVATIONS), sites, facts.pairs, seed)
    by_block, edits = facts_tables(
        prompts,
        train,
        test,
        covariance,
        **facts.model_dump(exclude={"blocks", "pairs", "text"}),
        **learning.model_dump(),
        tolerance=rank_tolerance,
        resamples=resamples,
        seed=seed,
        on_block=ticker(len(sites), "block").update,
    )
    with atomic_folder(RESULTS / "facts" / component) as folder:
        write_table(folder / "by_block.csv", by_block)
        write_table(folder / "edits.csv", edits)


if __name__ == "__main__":
    run(main, __doc__)
