"""Asks whether the projections on one component's directions tell the names apart, the position taken out (E3)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.basis import main_axis
from subspace_illusion.experiments.tell_names import tell_names
from subspace_illusion.files import (
    ACTIVATIONS,
    PROMPTS,
    RESULTS,
    read_table,
    write_table,
)
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.subspace.stored import read_subspaces


def main(params: Params, component: str) -> None:
    cached, prompts = Activations(ACTIVATIONS), read_table(PROMPTS)
    site, test = cached.site(component), prompts[prompts["split"] == "test"]
    say(f"asking {len(test)} held-out prompts at {site.name} for their names, a few seconds")
    subspaces, mean = read_subspaces(component), SubspaceKey(MEAN_DIFFERENCE)
    trained = [SubspaceKey(TRAINED, seed=seed) for seed in params.das.seeds]
    axes = {key: main_axis(subspaces[key], subspaces[mean]) for key in trained}
    told = tell_names(
        cached.at(site, test["prompt"].tolist()),
        test,
        axes | {mean: subspaces[mean]},
        random_directions=params.tell_names.random_directions,
        permutations=params.tell_names.permutations,
        seed=params.tell_names.seed,
    )
    write_table(RESULTS / "tell_names" / f"{component}.csv", told)


if __name__ == "__main__":
    run(main, __doc__)
