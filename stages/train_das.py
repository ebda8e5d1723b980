"""Trains the DAS subspaces of one component, one per seed (E3, E4)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.files import MODEL, RESULTS, SUBSPACES, whole_folder, write_table, write_tensors
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, training_bar
from subspace_illusion.subspace.das import mean_curve, train_das, training_kinds
from subspace_illusion.subspace.pairs import cached_pairs


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    model = open_model(MODEL)
    model.check(site)
    train = cached_pairs(model, "train", *training_kinds(params.das.same_position))
    flops = params.das.steps * model.flops(site.start, params.das.batch * len(params.das.seeds), backward=True)
    say(
        f"training {len(params.das.seeds)} subspaces of rank {rank} at {site.name} on {len(train)} pairs, "
        f"{params.das.steps} steps, {duration(flops, model.device)}"
    )
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        seeds=params.das.seeds,
        on_step=training_bar(params.das.steps),
        **params.das.settings,
    )
    with whole_folder(SUBSPACES / component) as folder:
        write_tensors(folder / "frames.safetensors", dict(frames=trained.frames))
        write_table(folder / "curve.parquet", trained.curve)
    write_table(RESULTS / "train_das" / f"{component}.csv", mean_curve(trained.curve))


if __name__ == "__main__":
    run(main, __doc__)
