"""Trains subspaces of some of a component's dimensions, more and more of them, and patches each (E11)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.neuron_sweep import linear_fit, neuron_sweep, random_supports
from subspace_illusion.files import MODEL, OUTCOMES, RESULTS, read_table, write_json, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.subspace.das import train_das, training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    seed, batch, steps = params.neuron_sweep.seed, params.neuron_sweep.batch, params.das.steps
    model = open_model(MODEL)
    train = cached_pairs(model, "train", *training_kinds(params.das.same_value))
    test = cached_pairs(model, "test", DIFFERENT)
    width = model.width(site)
    runs, supports = random_supports(width, params.neuron_sweep.shares, params.neuron_sweep.draws, rank, seed)
    flops = steps * model.flops(site.start, batch * len(runs), train.tokens, backward=True)
    say(f"training {len(runs)} subspaces of random neurons at {site.name}, {duration(flops, model.device)}")
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        seeds=[seed + draw for _, draw in runs],
        support=supports,
        on_step=training_bar(steps),
        steps=steps,
        batch=batch,
        lr=params.das.lr,
        loss=params.das.loss,
        matmul_dtype=params.das.matmul_dtype,
    )
    swept = neuron_sweep(
        component,
        site,
        test,
        dict(zip(runs, trained.bases, strict=True)),
        read_table(OUTCOMES / f"{component}.parquet")["residual"].to_numpy(),
        seed=seed,
        resamples=params.evaluate.resamples,
        batch=params.evaluate.batch,
        on_patch=ticker(len(runs) * len(test), "pair").update,
    )
    write_table(RESULTS / "neuron_sweep" / f"{component}.csv", swept)
    write_json(RESULTS / "neuron_sweep" / f"{component}.json", linear_fit(swept))


if __name__ == "__main__":
    run(main, __doc__)
