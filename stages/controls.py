"""Patches and trains where there is nothing to find, at one component (E12). See also random_model.py."""

from subspace_illusion.core.model import open_model
from subspace_illusion.files import MODEL, RESULTS, SUBSPACES, read_table, write_table
from subspace_illusion.measures.controls import controls, learn, make_changes, random_bases
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import PAIR_KINDS


def main(params: Params, component: str) -> None:
    site, rank = params.components[component].at, params.components[component].rank
    seeds, seed = params.controls.das_seeds, params.controls.seed
    model = open_model(MODEL)
    kinds = training_kinds(params.das.same_value)
    train, test = cached_pairs(model, "train", *kinds), cached_pairs(model, "test", *PAIR_KINDS)
    runs = len(kinds)  # one on arbitrary labels, and one on opposite pairs alone where others are trained on too
    rows = params.das.batch * len(seeds)
    training = runs * params.das.steps * model.flops(site.start, rows, train.tokens, backward=True)
    patches = len(test) * params.controls.random_directions
    patching = model.flops(site.start, patches, test.tokens)
    say(
        f"controls at {site.name}: random directions, placebo, self-patch, same position, {runs} kinds of DAS runs, "
        f"{duration(training + patching, model.device)}"
    )
    stored = read_subspaces(component)
    trained = [basis for key, basis in stored.items() if key.is_trained]
    users = {key: basis for key, basis in stored.items() if key.is_entire and key.is_user}
    bar = training_bar(runs * params.das.steps)
    learnt = learn(site, train, rank=rank, seeds=seeds, settings=params.das.to_the_end, on_step=bar)
    random = random_bases(model.width(site), rank, params.controls.random_directions, seed, component)
    tried = make_changes(site, train, test, trained, users, learnt, random)
    measured = controls(
        component,
        tried,
        learnt,
        read_table(SUBSPACES / component / "curve.parquet"),
        seed=seed,
        resamples=params.evaluate.resamples,
        batch=params.evaluate.batch,
        on_patch=ticker(tried.count, "pair").update,
    )
    write_table(RESULTS / "controls" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
