"""Trains subspaces of some of a component's dimensions, more and more of them, and patches each (E11)."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.experiments.neuron_sweep import linear_fit, random_supports
from subspace_illusion.experiments.neuron_sweep import neuron_sweep as patch_neurons
from subspace_illusion.files import read_table, write_json, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, OUTCOMES, RESULTS
from subspace_illusion.pipeline.sections import Components, Das, Learning, NeuronSweep
from subspace_illusion.pipeline.stage import run, say, ticker, training_bar
from subspace_illusion.subspace.das import train_das, training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(
    component: str,
    components: Components,
    neuron_sweep: NeuronSweep,
    das: Das,
    learning: Learning,
    same_value: bool,
    rank_tolerance: float,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    site, rank, model = components[component].at, components[component].rank, open_model(MODEL)
    train = cached_pairs(model, ACTIVATIONS, "train", *training_kinds(same_value))
    test = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT)
    runs, supports = random_supports(model.width(site), neuron_sweep.shares, neuron_sweep.draws, rank, seed)
    say(f"training {len(runs)} subspaces of random neurons at {site.name} on {len(train)} pairs")
    trained = train_das(
        model,
        site,
        train.examples(site),
        rank=rank,
        seeds=[seed + draw for _, draw in runs],
        support=supports,
        batch=neuron_sweep.batch,
        on_step=training_bar(das.steps),
        **das.model_dump(),
        **learning.model_dump(),
    )
    swept = patch_neurons(
        component,
        site,
        test,
        dict(zip(runs, trained.bases, strict=True)),
        dict(zip(runs, supports, strict=True)),
        model.readout(site),
        read_table(OUTCOMES / f"{component}.parquet")["residual"].to_numpy(),
        tolerance=rank_tolerance,
        seed=seed,
        resamples=resamples,
        batch=patch_batch,
        on_patch=ticker(2 * len(runs) * len(test), "pair").update,
    )
    write_table(RESULTS / "neuron_sweep" / f"{component}.csv", swept)
    write_json(RESULTS / "neuron_sweep" / f"{component}.json", linear_fit(swept))


if __name__ == "__main__":
    run(main, __doc__)
