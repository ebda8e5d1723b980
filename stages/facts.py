"""Patches facts block by block along one direction per pair and along a shared one, and as rank-1 edits (E16)."""

from subspace_illusion.core.edits import covariances
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.fact_directions import sites_of_blocks
from subspace_illusion.experiments.facts import facts_pairs, facts_tables
from subspace_illusion.experiments.text import Text
from subspace_illusion.files import MODEL, PROMPTS, RESULTS, TEXT, atomic_folder, read_table, read_tensors, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.subspace.pairs import kept_pairs


def main(params: Params, component: str) -> None:
    model, prompts = open_model(MODEL), read_table(PROMPTS)
    sites = sites_of_blocks(model, params.components[component].at, params.facts.blocks)
    steps = params.facts.steps + params.facts.edit_steps + params.facts.shared_steps
    tail = 1 + (prompts["end"] - prompts["position"]).mean()
    flops = sum(model.flops(site.start, params.facts.pairs, tail, backward=True) * steps for site in sites)
    say(f"facts at the MLPs of blocks {params.facts.blocks}, one direction per pair, {duration(flops, model.device)}")
    tokens = Text.of(read_tensors(TEXT)).tokens
    covariance = covariances(model, tokens, sites, ticker(len(tokens), "sequence").update)
    train, test = facts_pairs(model, prompts, kept_pairs(), sites, params.facts.pairs, params.facts.seed)
    by_block, edits = facts_tables(
        prompts,
        train,
        test,
        covariance,
        **params.facts.model_dump(exclude={"blocks", "pairs"}),
        loss=params.das.loss,
        matmul_dtype=params.das.matmul_dtype,
        tolerance=params.decompose.rank_tolerance,
        resamples=params.evaluate.resamples,
        on_block=ticker(len(sites), "block").update,
    )
    with atomic_folder(RESULTS / "facts" / component) as folder:
        write_table(folder / "by_block.csv", by_block)
        write_table(folder / "edits.csv", edits)


if __name__ == "__main__":
    run(main, __doc__)
