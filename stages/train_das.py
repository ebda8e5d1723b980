"""Trains the DAS subspaces of one component, one per seed (E3, E4); none where its parameter train is false."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.checkpoints import weights_sha256
from subspace_illusion.core.device import pick_device
from subspace_illusion.core.matmul import resolved
from subspace_illusion.core.opening import open_model
from subspace_illusion.files import atomic_folder, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, RESULTS, SUBSPACES
from subspace_illusion.pipeline.sections import Components, Das, Labels, Learning
from subspace_illusion.pipeline.stage import run, say, training_bar
from subspace_illusion.subspace.das import mean_curve, nothing_trained, train_das, training_kinds
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import write_trained


def main(
    component: str,
    components: Components,
    names: Labels,
    das: Das,
    learning: Learning,
    das_seeds: list[int],
    train_batch: int,
    min_gain: float,
    same_value: bool,
) -> None:
    asked, cached = components[component], Activations(ACTIVATIONS)
    site, seeds = asked.at, das_seeds if asked.train else []
    trained = nothing_trained(cached.width(site), asked.rank)
    if seeds:  # only then is the model opened, which takes longer than all else that is left
        model = open_model(MODEL)
        train = cached_pairs(model, ACTIVATIONS, "train", *training_kinds(same_value))
        say(f"training {len(seeds)} subspaces of rank {asked.rank} at {site.name} on {len(train)} pairs")
        trained = train_das(
            model,
            site,
            train.examples(site),
            rank=asked.rank,
            seeds=seeds,
            batch=train_batch,
            min_gain=min_gain,
            on_step=training_bar(das.steps),
            **das.model_dump(),
            **learning.model_dump(),
        )
    about = dict(
        model=names.model,
        model_sha256=weights_sha256(MODEL),
        hook=site.name,
        position="last token" if cached.at_end else "the task's own token",
        task=names.task,
        seeds=" ".join(map(str, seeds)),
        matmul_dtype=resolved(learning.matmul_dtype, pick_device()),
    )
    with atomic_folder(SUBSPACES / component) as folder:
        keys = [SubspaceKey(TRAINED, seed=seed) for seed in seeds]
        write_trained(folder, dict(zip(keys, trained.bases, strict=True)), about)
        write_table(folder / "curve.parquet", trained.curve)
    write_table(RESULTS / "train_das" / f"{component}.csv", mean_curve(trained.curve))


if __name__ == "__main__":
    run(main, __doc__)
