"""Splits the subspaces of one component, trained and the user's own, by its readout matrix (E4, E5)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    PROMPTS,
    atomic_folder,
    read_table,
    write_table,
)
from subspace_illusion.measures.decompose import classes, decompose
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_trained, write_subspaces
from subspace_illusion.subspace.user_subspaces import read_user_subspace
from subspace_illusion.tasks.table import DIFFERENT, PAIR_KINDS, chosen, prompts_of, values_of


def main(params: Params, component: str) -> None:
    cached, rank = Activations(ACTIVATIONS), params.components[component].rank
    site, true_site = cached.site(component), cached.site(params.roles.v_true)
    say(f"decomposing the subspaces at {site.name}, a few seconds")
    pairs, prompts = kept_pairs(), read_table(PROMPTS)
    train = prompts_of(prompts, chosen(pairs, "train", *PAIR_KINDS))
    test = prompts_of(prompts, chosen(pairs, "test", DIFFERENT))
    of_train, of_test, true = (
        classes(cached, at, listed, values_of(pairs))
        for at, listed in ((site, train), (site, test), (true_site, train))
    )
    asked = read_trained(component)
    for label, given in params.components[component].subspaces.items():
        read = read_user_subspace(given.file, of_train.activations.shape[1], given.tensor, given.rows)
        asked[SubspaceKey.user(label)] = read.basis
        say(f"{label}: {read.basis.shape[1]} direction(s) from {given.file}" + (f"; {read.note}" if read.note else ""))
    v_true = {key.seed: true.oriented(basis) for key, basis in read_trained(params.roles.v_true).items()}
    result = decompose(
        asked,
        cached.readout(component),
        v_true if site.writes_residual else None,
        of_train,
        of_test,
        Bootstrap.of(test["group"].to_numpy(), params.evaluate.resamples, params.evaluate.seed),
        rank=rank,
        tolerance=params.decompose.rank_tolerance,
        random_directions=params.decompose.random_directions,
        seed=params.decompose.seed,
    )
    projections = result.projections.join(test[["prompt", "value"]], on="row").drop(columns="row")
    with atomic_folder(DECOMPOSITIONS / component) as folder:
        write_subspaces(folder, result.subspaces)
        write_table(folder / "summary.parquet", result.summary)
        write_table(folder / "projections.parquet", projections)
        write_table(folder / "cosines.parquet", result.cosines)


if __name__ == "__main__":
    run(main, __doc__)
