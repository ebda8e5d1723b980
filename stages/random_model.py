"""Trains DAS at one component of a model of the same architecture with random weights, the control for DAS (E12)."""

from subspace_illusion.core.checkpoints import open_tokenizer, random_model
from subspace_illusion.core.model import bridge_model, pick_device
from subspace_illusion.core.outcome import Outcome, logit_difference
from subspace_illusion.core.replay import record_all
from subspace_illusion.core.sites import residual_after
from subspace_illusion.experiments.controls import RANDOM_MODEL, RANDOM_MODEL_WHOLE
from subspace_illusion.files import MODEL, PROMPTS, RESULTS, column, read_table, write_table
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.statistics import summarise, table
from subspace_illusion.subspace.das import Examples, late_accuracy, train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import along, patch_outcomes
from subspace_illusion.tasks.table import OPPOSITE


def main(params, component: str) -> None:
    chosen, das = params.controls, params.das
    site, rank = params.components[component].at, params.components[component].rank
    model = bridge_model(random_model(MODEL, chosen.seed), open_tokenizer(MODEL), pick_device())
    prompts = read_table(PROMPTS).set_index("prompt")
    residual = residual_after(site.block)
    training = das.steps * model.flops(site.start, das.batch * len(chosen.das_seeds), backward=True)
    reading = model.flops(0, 4 * chosen.random_model_pairs * int(prompts["end"].mean()))
    say(
        f"DAS at {site.name} of the same architecture with random weights, {duration(training + reading, model.device)}"
    )

    runs = {}
    for split in ("train", "test"):
        pairs = Pairs(model, split, OPPOSITE, most=chosen.random_model_pairs)
        sides = [prompts["tokens"].loc[numbers].tolist() for numbers in (pairs.bases, pairs.sources)]
        # A change inside a block needs that block's keys and values, one after it only those of the next.
        base, source = (record_all(model, side, [site, residual], site.start, das.batch) for side in sides)
        runs[split] = (pairs, base, source)

    pairs, base, source = runs["train"]
    target = column(pairs.table, "target_id")
    other = pairs.io + pairs.s - target
    examples = Examples(base.activations[site], source.activations[site], target, other, base.tail.rows)
    settings = das.model_dump() | dict(rank=rank, seeds=chosen.das_seeds)
    trained = train_das(model, site, examples, **settings, on_step=training_bar(das.steps))

    pairs, base, source = runs["test"]
    ld_clean = logit_difference(base.logits, pairs.io, pairs.s).double().numpy()
    tried = {RANDOM_MODEL: (site, list(trained.frames)), RANDOM_MODEL_WHOLE: (residual, [None])}
    bar = ticker((len(trained.frames) + 1) * len(pairs), "pair")
    rows = []
    for control, (at, frames) in tried.items():
        changes = {i: along(base.activations[at], source.activations[at], frame) for i, frame in enumerate(frames)}
        settings = dict(batch=params.evaluate.batch, on_patch=bar.update)
        outcomes = patch_outcomes(model, at, changes, base.tail.rows, pairs.io, pairs.s, **settings)
        measured = summarise(
            Outcome.pooled(list(outcomes.values())),
            ld_clean,
            resamples=params.evaluate.resamples,
            seed=chosen.seed,
        )
        accuracy = late_accuracy(trained.curve) if control == RANDOM_MODEL else None
        about = dict(component=component, control=control, draws=len(frames), pairs=len(pairs), train_accuracy=accuracy)
        rows.append(about | dict(ld_clean_sd=float(ld_clean.std())) | measured)
    write_table(RESULTS / "random_model" / f"{component}.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das", "evaluate", "controls"), per_component=True)
