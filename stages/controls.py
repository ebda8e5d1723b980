"""Patches and trains where there is nothing to find, at one component (E12). See also random_model.py."""

from subspace_illusion.core.opening import open_model
from subspace_illusion.files import read_table, write_table
from subspace_illusion.measures.controls import measure_controls
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, MODEL, RESULTS, SUBSPACES
from subspace_illusion.pipeline.sections import Components, Controls, Das, Learning
from subspace_illusion.pipeline.stage import run, say, ticker, training_bar
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import PAIR_KINDS


def main(
    component: str,
    components: Components,
    controls: Controls,
    control_seeds: list[int],
    das: Das,
    learning: Learning,
    train_batch: int,
    same_value: bool,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    site, rank, model = components[component].at, components[component].rank, open_model(MODEL)
    kinds = training_kinds(same_value)
    train = cached_pairs(model, ACTIVATIONS, "train", *kinds)
    test = cached_pairs(model, ACTIVATIONS, "test", *PAIR_KINDS)
    stored = read_subspaces(DECOMPOSITIONS / component)
    trained = [basis for key, basis in stored.items() if key.is_trained]
    users = {key: basis for key, basis in stored.items() if key.is_entire and key.is_user}
    runs = len(kinds)  # one on arbitrary labels, and one on opposite pairs alone where others are trained on too
    say(f"controls at {site.name}: {runs} kinds of DAS runs, then patches of {len(test)} held-out pairs")
    measured = measure_controls(
        component,
        site,
        train,
        test,
        trained,
        users,
        read_table(SUBSPACES / component / "curve.parquet"),
        rank=rank,
        das_seeds=control_seeds,
        # To the end: a run that may find nothing has a loss that falls little from the start.
        settings=das.model_dump() | learning.model_dump() | dict(batch=train_batch),
        random_directions=controls.random_directions,
        seed=seed,
        resamples=resamples,
        batch=patch_batch,
        on_step=training_bar(runs * das.steps),
        patch_bar=lambda total: ticker(total, "pair").update,
    )
    write_table(RESULTS / "controls" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
