"""Trains the DAS subspaces of one component, one per seed (E3, E4); none where its parameter train is false."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.checkpoints import weights_sha256
from subspace_illusion.core.matmul import resolved
from subspace_illusion.core.model import open_model, pick_device
from subspace_illusion.files import ACTIVATIONS, MODEL, RESULTS, SUBSPACES, atomic_folder, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, training_bar
from subspace_illusion.subspace.das import mean_curve, nothing_trained, train_das, training_kinds
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import write_trained


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    cached, device = Activations(ACTIVATIONS), pick_device()
    trained = nothing_trained(cached.width(site), rank)
    seeds = params.das.seeds if params.components[component].train else []
    if seeds:  # only then is the model opened, which takes longer than all else that is left
        model = open_model(MODEL)
        train = cached_pairs(model, "train", *training_kinds(params.das.same_value))
        rows = params.das.batch * len(seeds)
        flops = params.das.steps * model.flops(site.start, rows, train.tokens, backward=True)
        say(
            f"training {len(seeds)} subspaces of rank {rank} at {site.name} on {len(train)} pairs, "
            f"up to {params.das.steps} steps, {duration(flops, device)}"
        )
        trained = train_das(
            model,
            site,
            train.examples(site),
            rank=rank,
            seeds=seeds,
            on_step=training_bar(params.das.steps),
            **params.das.settings,
        )
    about = dict(
        model=params.model.name,
        model_sha256=weights_sha256(MODEL),
        hook=site.name,
        position="last token" if cached.at_end else "the task's own token",
        task=params.task.name,
        seeds=" ".join(map(str, seeds)),
        matmul_dtype=resolved(params.das.matmul_dtype, device),
    )
    with atomic_folder(SUBSPACES / component) as folder:
        keys = [SubspaceKey(TRAINED, seed=seed) for seed in seeds]
        write_trained(folder, dict(zip(keys, trained.bases, strict=True)), about)
        write_table(folder / "curve.parquet", trained.curve)
    write_table(RESULTS / "train_das" / f"{component}.csv", mean_curve(trained.curve))


if __name__ == "__main__":
    run(main, __doc__)
