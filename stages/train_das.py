"""Trains the DAS subspaces of one component, one per seed (E3, E4)."""

from common.activations import Activations
from common.files import (
    ACTIVATIONS,
    MODEL,
    PAIRS,
    RESULTS,
    SUBSPACES,
    column,
    read_table,
    whole_folder,
    write_table,
    write_tensors,
)
from common.stage import duration, run, say, ticker
from subspace_illusion.models import open_model
from subspace_illusion.prompts import OPPOSITE, SAME_UNRELATED, chosen
from subspace_illusion.training import Examples, train_das


def main(params, component: str) -> None:
    site, rank, das = params.components[component].at, params.components[component].rank, params.das
    model = open_model(MODEL)
    model.check(site)
    cached = Activations(ACTIVATIONS)
    pairs = chosen(read_table(PAIRS), "train", OPPOSITE, SAME_UNRELATED)
    bases = pairs["base"].to_numpy()
    target, io, s = (column(pairs, name) for name in ("target_id", "io_id", "s_id"))
    examples = Examples(
        base=cached.at(site, bases),
        source=cached.at(site, pairs["source"].to_numpy()),
        target_id=target,
        other_id=io + s - target,
        tail=lambda rows: cached.tail(site.start, model.n_blocks, bases[rows.numpy()]),
    )
    flops = das.steps * model.flops(site.start, das.batch * len(das.seeds), backward=True)
    say(
        f"training {len(das.seeds)} subspaces of rank {rank} at {site.name} on {len(examples)} pairs, "
        f"{das.steps} steps, {duration(flops, model.device)}"
    )
    bar = ticker(das.steps, "step")

    def on_step(loss: float) -> None:
        bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
        bar.update()

    trained = train_das(
        model,
        site,
        examples,
        rank=rank,
        seeds=das.seeds,
        steps=das.steps,
        batch=das.batch,
        lr=das.lr,
        loss=das.loss,
        on_step=on_step,
    )
    with whole_folder(SUBSPACES / component) as folder:
        write_tensors(folder / "frames.safetensors", dict(frames=trained.frames))
        write_table(folder / "curve.parquet", trained.curve)
    # The mean over seeds, for dvc plots, which reads no parquet.
    by_step = trained.curve.groupby("step", as_index=False)[["loss", "accuracy"]].mean()
    write_table(RESULTS / "training" / f"{component}.csv", by_step.round(6))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das"), per_component=True)
