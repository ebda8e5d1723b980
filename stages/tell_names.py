"""Asks whether the projections on one component's directions tell the names apart, the position taken out (E3)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.basis import main_axis
from subspace_illusion.experiments.tell_names import tell_names as ask_for_names
from subspace_illusion.files import read_table, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, PROMPTS, RESULTS
from subspace_illusion.pipeline.sections import TellNames
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.subspace.stored import read_subspaces, trained_among


def main(component: str, tell_names: TellNames, seed: int) -> None:
    cached, prompts = Activations(ACTIVATIONS), read_table(PROMPTS)
    site, test = cached.site(component), prompts[prompts["split"] == "test"]
    say(f"asking {len(test)} held-out prompts at {site.name} for their names, a few seconds")
    subspaces, mean = read_subspaces(DECOMPOSITIONS / component), SubspaceKey(MEAN_DIFFERENCE)
    trained = trained_among(subspaces).items()
    axes = {SubspaceKey(TRAINED, seed=number): main_axis(basis, subspaces[mean]) for number, basis in trained}
    told = ask_for_names(
        cached.at(site, test["prompt"].tolist()),
        test,
        axes | {mean: subspaces[mean]},
        random_directions=tell_names.random_directions,
        permutations=tell_names.permutations,
        seed=seed,
    )
    write_table(RESULTS / "tell_names" / f"{component}.csv", told)


if __name__ == "__main__":
    run(main, __doc__)
