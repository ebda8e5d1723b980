"""Trains the DAS subspaces of one component, one per seed (E3, E4)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.files import MODEL, RESULTS, SUBSPACES, whole_folder, write_table, write_tensors
from subspace_illusion.pipeline.stage import duration, run, say, training_bar
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import OPPOSITE, SAME_UNRELATED


def main(params, component: str) -> None:
    site, rank, das = params.components[component].at, params.components[component].rank, params.das
    model = open_model(MODEL)
    model.check(site)
    examples = Pairs(model, "train", OPPOSITE, SAME_UNRELATED).examples(site)
    flops = das.steps * model.flops(site.start, das.batch * len(das.seeds), backward=True)
    say(
        f"training {len(das.seeds)} subspaces of rank {rank} at {site.name} on {len(examples)} pairs, "
        f"{das.steps} steps, {duration(flops, model.device)}"
    )
    trained = train_das(model, site, examples, rank=rank, **das.model_dump(), on_step=training_bar(das.steps))
    with whole_folder(SUBSPACES / component) as folder:
        write_tensors(folder / "frames.safetensors", dict(frames=trained.frames))
        write_table(folder / "curve.parquet", trained.curve)
    # The mean over seeds, for dvc plots, which reads no parquet.
    by_step = trained.curve.groupby("step", as_index=False)[["loss", "accuracy"]].mean()
    write_table(RESULTS / "training" / f"{component}.csv", by_step.round(6))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das"), per_component=True)
