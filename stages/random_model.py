"""Trains DAS at one component of a model of the same architecture with random weights, the control for DAS (E12)."""

from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.core.checkpoints import random_model as randomised
from subspace_illusion.core.device import pick_device
from subspace_illusion.core.opening import bridge_model
from subspace_illusion.core.sites import residual_after
from subspace_illusion.files import read_table, write_table
from subspace_illusion.measures.random_model import random_model_control
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, PROMPTS, RESULTS
from subspace_illusion.pipeline.sections import Components, Das, Learning, RandomModel
from subspace_illusion.pipeline.stage import run, say, ticker, training_bar
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import kept_pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT, SPLITS, chosen


def main(
    component: str,
    components: Components,
    random_model: RandomModel,
    control_seeds: list[int],
    das: Das,
    learning: Learning,
    train_batch: int,
    patch_batch: int,
    seed: int,
) -> None:
    site, rank, runs = components[component].at, components[component].rank, len(control_seeds)
    model = bridge_model(randomised(MODEL, seed), open_tokenizer(MODEL), pick_device())
    prompts, pairs, most = read_table(PROMPTS), kept_pairs(ACTIVATIONS), random_model.pairs
    say(f"DAS at {site.name} of the same architecture with random weights, {runs} seeds")
    # A change inside a block needs that block's keys and values, one after it only those of the next.
    sites = [site, residual_after(site.block)]
    train, test = (
        recorded_pairs(model, prompts, chosen(pairs, split, DIFFERENT)[:most], sites, site.start, train_batch)
        for split in SPLITS
    )
    # To the end: a run that may find nothing has a loss that falls little from the start.
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        seeds=control_seeds,
        batch=train_batch,
        on_step=training_bar(das.steps),
        **das.model_dump(),
        **learning.model_dump(),
    )
    measured = random_model_control(
        component,
        site,
        test,
        trained,
        batch=patch_batch,
        on_patch=ticker((runs + 1) * len(test), "pair").update,
    )
    write_table(RESULTS / "random_model" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
