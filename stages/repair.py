"""Trains DAS again within what acts of a component, and patches what it finds (E13): is there a subspace there that is
no illusion?"""

from typing import Any

from subspace_illusion.core.opening import open_model
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_table
from subspace_illusion.measures.effects import Subspaces
from subspace_illusion.measures.own_difference import what_acts
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, REPAIRS
from subspace_illusion.pipeline.sections import Components, Das, Learning
from subspace_illusion.pipeline.stage import run, say, training_bar
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT
from subspace_illusion.verdict.repair import see_repair, trained_within
from subspace_illusion.verdict.seen import draws_table


def main(
    component: str,
    components: Components,
    das: Das,
    learning: Learning,
    das_seeds: list[int],
    train_batch: int,
    min_gain: float,
    same_value: bool,
    rank_tolerance: float,
    resamples: int,
    patch_batch: int,
    seed: int,
) -> None:
    site, rank, model = components[component].at, components[component].rank, open_model(MODEL)
    train = cached_pairs(model, ACTIVATIONS, "train", *training_kinds(same_value))
    test = cached_pairs(model, ACTIVATIONS, "test", DIFFERENT)
    acts = what_acts(Component.of(train.different, site), rank_tolerance, patch_batch)
    if acts is None:
        raise InputError(f"experiments.repair: all of {component} acts, so that there is nothing to leave out; drop it")
    say(f"training {len(das_seeds)} subspaces within the {acts.shape[1]} dimensions that act of {site.name}")
    settings: dict[str, Any] = das.model_dump() | learning.model_dump() | dict(batch=train_batch, min_gain=min_gain)
    asked: dict[str, Any] = dict(rank=rank, seeds=das_seeds, on_step=training_bar(das.steps))
    found = Subspaces(site, trained_within(train, site, acts, **asked, **settings), model.readout(site), rank)
    draws: dict[str, Any] = dict(resamples=resamples, seed=seed, tolerance=rank_tolerance, batch=patch_batch)
    seen = see_repair(train.different, test, found, acts, **draws)
    write_table(REPAIRS / f"{component}.parquet", draws_table({key.at(component): one for key, one in seen.items()}))


if __name__ == "__main__":
    run(main, __doc__)
