"""Trains subspaces of random MLPs in the place of a real one, and patches them beside it (E8)."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.random_mlp import random_mlp as patch_random_mlps
from subspace_illusion.experiments.random_mlp import train_random_mlps
from subspace_illusion.files import read_table, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, OUTCOMES, RESULTS
from subspace_illusion.pipeline.sections import Components, Das, Learning, RandomMlp
from subspace_illusion.pipeline.stage import run, say, ticker, training_bar
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(
    component: str,
    components: Components,
    random_mlp: RandomMlp,
    das: Das,
    learning: Learning,
    train_batch: int,
    min_gain: float,
    same_value: bool,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    site, rank, draws = components[component].at, components[component].rank, random_mlp.draws
    model = open_model(MODEL)
    train = cached_pairs(model, ACTIVATIONS, "train", *training_kinds(same_value))
    test = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT)
    say(f"training subspaces of {draws} random MLPs in the place of that of block {site.block}")
    stand = train_random_mlps(
        component,
        site,
        train,
        rank=rank,
        draws=draws,
        seed=seed,
        settings=das.model_dump() | learning.model_dump() | dict(batch=train_batch, min_gain=min_gain),
        on_step=training_bar(das.steps),
    )
    measured = patch_random_mlps(
        component,
        stand,
        test,
        read_table(OUTCOMES / f"{component}.parquet"),
        seed=seed,
        resamples=resamples,
        batch=patch_batch,
        on_patch=ticker(draws * len(test), "pair").update,
    )
    write_table(RESULTS / "random_mlp" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
