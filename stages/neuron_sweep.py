"""Trains subspaces of some of a component's dimensions, more and more of them, and patches each (E11)."""

import torch

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.neuron_sweep import linear_fit, random_supports
from subspace_illusion.files import MODEL, OUTCOMES, RESULTS, read_table, write_json, write_table
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.statistics import summarise, table
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import OPPOSITE, SAME_UNRELATED


def main(params, component: str) -> None:
    chosen, das = params.neuron_sweep, params.das
    site, rank = params.components[component].at, params.components[component].rank
    model = open_model(MODEL)
    train, test = Pairs(model, "train", OPPOSITE, SAME_UNRELATED), Pairs(model, "test", OPPOSITE)
    runs, support = random_supports(model.width(site), chosen.shares, chosen.draws, rank, chosen.seed)
    flops = das.steps * model.flops(site.start, chosen.batch * len(runs), backward=True)
    say(f"training {len(runs)} subspaces of random neurons at {site.name}, {duration(flops, model.device)}")
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        **das.model_dump() | dict(seeds=[chosen.seed + draw for _, draw in runs], batch=chosen.batch),
        support=support,
        on_step=training_bar(das.steps),
    )
    bar = ticker(len(runs) * len(test), "pair")
    changes = {key: test.along(site, frame) for key, frame in zip(runs, trained.frames, strict=True)}
    outcomes = test.patch(site, changes, params.evaluate.batch, bar.update)
    over = dict(share_of_residual=read_table(OUTCOMES / f"{component}.parquet")["residual"].to_numpy())
    rows = []
    for (neurons, draw), outcome in outcomes.items():
        settings = dict(resamples=params.evaluate.resamples, seed=chosen.seed)
        measured = summarise(outcome, test.ld_clean, over=over, **settings)
        rows.append(dict(component=component, neurons=neurons, draw=draw, pairs=len(test)) | measured)
    swept = table(rows)
    write_table(RESULTS / "neuron_sweep" / f"{component}.csv", swept)
    fit = linear_fit(torch.tensor(swept["neurons"].tolist()), torch.tensor(swept["share_of_residual"].tolist()))
    write_json(RESULTS / "neuron_sweep" / f"{component}.json", fit)


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das", "evaluate", "neuron_sweep"), per_component=True)
