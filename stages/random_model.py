"""Trains DAS at one component of a model of the same architecture with random weights, the control for DAS (E12)."""

from subspace_illusion.core.checkpoints import open_tokenizer, random_model
from subspace_illusion.core.model import bridge_model, pick_device
from subspace_illusion.core.sites import residual_after
from subspace_illusion.files import MODEL, PROMPTS, RESULTS, read_table, write_table
from subspace_illusion.measures.random_model import random_model_control
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import kept_pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT, SPLITS, chosen


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    seeds, most = params.controls.das_seeds, params.controls.random_model_pairs
    model = bridge_model(random_model(MODEL, params.controls.seed), open_tokenizer(MODEL), pick_device())
    prompts, table = read_table(PROMPTS), kept_pairs()
    tail = 1 + (prompts["end"] - prompts["position"]).mean()
    training = params.das.steps * model.flops(site.start, params.das.batch * len(seeds), tail, backward=True)
    reading = model.flops(0, 2 * most, prompts["end"].mean())
    time = duration(training + reading, model.device)
    say(f"DAS at {site.name} of the same architecture with random weights, {time}")
    # A change inside a block needs that block's keys and values, one after it only those of the next.
    sites = [site, residual_after(site.block)]
    train, test = (
        recorded_pairs(model, prompts, chosen(table, split, DIFFERENT)[:most], sites, site.start, params.das.batch)
        for split in SPLITS
    )
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        seeds=seeds,
        on_step=training_bar(params.das.steps),
        **params.das.to_the_end,
    )
    measured = random_model_control(
        component,
        site,
        test,
        trained,
        seed=params.controls.seed,
        resamples=params.evaluate.resamples,
        batch=params.evaluate.batch,
        on_patch=ticker((len(seeds) + 1) * len(test), "pair").update,
    )
    write_table(RESULTS / "random_model" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
