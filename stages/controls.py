"""Patches and trains where there is nothing to find, at one component (E12). See also random_model.py."""

from subspace_illusion.core.model import open_model
from subspace_illusion.files import DECOMPOSITIONS, MODEL, RESULTS, SUBSPACES, read_subspaces, read_table, write_table
from subspace_illusion.measures.controls import measure_controls
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.methods import TRAINED, user_labels
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import KINDS


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    model, seeds = open_model(MODEL), params.controls.das_seeds
    kinds = training_kinds(params.das.same_value)
    train, test = cached_pairs(model, "train", *kinds), cached_pairs(model, "test", *KINDS)
    runs = len(kinds)  # one on arbitrary labels, and one on opposite pairs alone where others are trained on too
    rows = params.das.batch * len(seeds)
    training = runs * params.das.steps * model.flops(site.start, rows, train.tokens, backward=True)
    patches = len(test) * params.controls.random_directions
    patching = model.flops(site.start, patches, test.tokens)
    say(
        f"controls at {site.name}: random directions, placebo, self-patch, same position, {runs} kinds of DAS runs, "
        f"{duration(training + patching, model.device)}"
    )
    stored = read_subspaces(DECOMPOSITIONS / component / "subspaces.safetensors")
    trained = [basis for (method, _), basis in stored.items() if method == TRAINED]
    own = {label: stored[label, ""] for label in user_labels(method for method, _ in stored)}
    measured = measure_controls(
        component,
        site,
        train,
        test,
        trained,
        own,
        read_table(SUBSPACES / component / "curve.parquet"),
        rank=rank,
        das_seeds=seeds,
        settings=params.das.to_the_end,
        random_directions=params.controls.random_directions,
        seed=params.controls.seed,
        resamples=params.evaluate.resamples,
        batch=params.evaluate.batch,
        on_step=training_bar(runs * params.das.steps),
        patch_bar=lambda total: ticker(total, "pair").update,
    )
    write_table(RESULTS / "controls" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
