"""Patches and trains where there is nothing to find, at one component (E12). See also random_model.py."""

from subspace_illusion.core.model import open_model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.experiments.controls import (
    ARBITRARY,
    PLACEBO,
    RANDOM_DIRECTION,
    SAME,
    SELF,
    UNRELATED,
    arbitrary_labels,
    placebo,
    random_frames,
)
from subspace_illusion.files import DECOMPOSITIONS, MODEL, RESULTS, SUBSPACES, read_subspaces, read_table, write_table
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.statistics import summarise, table
from subspace_illusion.subspace.das import late_accuracy, train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change
from subspace_illusion.subspace.ways import TRAINED
from subspace_illusion.tasks.table import OPPOSITE, OPPOSITE_UNRELATED, SAME_UNRELATED


def main(params, component: str) -> None:
    chosen, das = params.controls, params.das
    site, rank = params.components[component].at, params.components[component].rank
    model = open_model(MODEL)
    train, test = Pairs(model, "train", OPPOSITE, SAME_UNRELATED), Pairs(model, "test", OPPOSITE)
    patching = model.flops(site.start, len(test) * (2 * chosen.random_directions + 5 * len(das.seeds)))
    training = das.steps * model.flops(site.start, das.batch * len(chosen.das_seeds), backward=True)
    time = duration(patching + training, model.device)
    say(f"controls at {site.name}: random directions, placebo, self-patch, same position, arbitrary labels, {time}")

    examples = arbitrary_labels(train.examples(site), chosen.das_seeds)
    settings = das.model_dump() | dict(rank=rank, seeds=chosen.das_seeds)
    arbitrary = train_das(model, site, examples, **settings, on_step=training_bar(das.steps))
    learnt = read_table(SUBSPACES / component / "curve.parquet")

    stored = read_subspaces(DECOMPOSITIONS / component / "subspaces.safetensors")
    trained = [frame for (way, _), frame in stored.items() if way == TRAINED]
    base, source = test.base(site), test.source(site)
    random = random_frames(base.shape[1], rank, chosen.random_directions, chosen.seed, component)
    tried: dict[str, tuple[Pairs, list[Change]]] = {
        TRAINED: (test, [test.along(site, frame) for frame in trained]),
        RANDOM_DIRECTION: (test, [test.along(site, frame) for frame in random]),
        PLACEBO: (test, [placebo(base, source, trained[0], frame) for frame in random]),
        ARBITRARY: (test, [test.along(site, frame) for frame in arbitrary.frames]),
        SELF: (test, [placebo(base, base, frame, frame) for frame in trained]),
    }
    for control, kind in {SAME: SAME_UNRELATED, UNRELATED: OPPOSITE_UNRELATED}.items():
        pairs = Pairs(model, "test", kind)
        tried[control] = (pairs, [pairs.along(site, frame) for frame in trained])

    bar = ticker(sum(len(changes) * len(pairs) for pairs, changes in tried.values()), "pair")
    train_accuracy = {TRAINED: late_accuracy(learnt), ARBITRARY: late_accuracy(arbitrary.curve)}
    rows, of_trained = [], {}
    for control, (pairs, changes) in tried.items():
        outcomes = pairs.patch(site, dict(enumerate(changes)), params.evaluate.batch, bar.update)
        pooled = Outcome.pooled(list(outcomes.values()))
        if control == TRAINED:
            of_trained = dict(share_of_trained=pooled.ld.mean(0))
        resampling = dict(resamples=params.evaluate.resamples, seed=chosen.seed)
        measured = summarise(pooled, pairs.ld_clean, over=of_trained if pairs is test else {}, **resampling)
        about = dict(component=component, control=control, draws=len(changes), pairs=len(pairs))
        rows.append(about | dict(train_accuracy=train_accuracy.get(control)) | measured)
    write_table(RESULTS / "controls" / f"{component}.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das", "evaluate", "controls"), per_component=True)
