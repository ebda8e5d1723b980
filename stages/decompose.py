"""Splits the subspaces of one component, trained and the user's own, by its readout matrix (E4, E5)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.files import atomic_folder, read_table, write_table
from subspace_illusion.measures.decompose import classes
from subspace_illusion.measures.decompose import decompose as split_subspaces
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, PROMPTS, SUBSPACES
from subspace_illusion.pipeline.sections import Components, Decompose
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_trained, write_subspaces
from subspace_illusion.subspace.user_subspaces import read_user_subspace
from subspace_illusion.tasks.table import DIFFERENT, PAIR_KINDS, chosen, prompts_of, values_of


def main(
    component: str,
    components: Components,
    v_true: str,
    decompose: Decompose,
    rank_tolerance: float,
    resamples: int,
    seed: int,
) -> None:
    cached, asked = Activations(ACTIVATIONS), components[component]
    site, true_site = cached.site(component), cached.site(v_true)
    say(f"decomposing the subspaces at {site.name}, a few seconds")
    pairs, prompts = kept_pairs(ACTIVATIONS), read_table(PROMPTS)
    train = prompts_of(prompts, chosen(pairs, "train", *PAIR_KINDS))
    test = prompts_of(prompts, chosen(pairs, "test", DIFFERENT))
    in_train, in_test, true = (
        classes(cached, at, rows, values_of(pairs)) for at, rows in ((site, train), (site, test), (true_site, train))
    )
    subspaces = read_trained(SUBSPACES / component)
    for label, given in asked.subspaces.items():
        read = read_user_subspace(given.file, in_train.activations.shape[1], given.tensor, given.rows)
        subspaces[SubspaceKey.user(label)] = read.basis
        say(f"{label}: {read.basis.shape[1]} direction(s) from {given.file}" + (f"; {read.note}" if read.note else ""))
    along = {key.seed: true.oriented(basis) for key, basis in read_trained(SUBSPACES / v_true).items()}
    result = split_subspaces(
        subspaces,
        cached.readout(component),
        along if site.writes_residual else None,
        in_train,
        in_test,
        Bootstrap.of(test["group"].to_numpy(), resamples, seed),
        rank=asked.rank,
        tolerance=rank_tolerance,
        random_directions=decompose.random_directions,
        seed=seed,
    )
    projections = result.projections.join(test[["prompt", "value"]], on="row").drop(columns="row")
    with atomic_folder(DECOMPOSITIONS / component) as folder:
        write_subspaces(folder, result.subspaces)
        write_table(folder / "summary.parquet", result.summary)
        write_table(folder / "projections.parquet", projections)
        write_table(folder / "cosines.parquet", result.cosines)


if __name__ == "__main__":
    run(main, __doc__)
