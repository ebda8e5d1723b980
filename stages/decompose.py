"""Splits the subspaces of one component, trained and the user's own, by its readout matrix (E4, E5)."""

from subspace_illusion.core.activations import Activations
from subspace_illusion.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    PROMPTS,
    atomic_folder,
    read_table,
    write_subspaces,
    write_table,
)
from subspace_illusion.measures.decompose import classes, decompose
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.trained import read_trained
from subspace_illusion.subspace.user_subspaces import read_user_subspace
from subspace_illusion.tasks.table import DIFFERENT, KINDS, chosen, prompts_of, values_of


def main(params: Params, component: str) -> None:
    cached, rank = Activations(ACTIVATIONS), params.components[component].rank
    site, true_site = cached.site(component), cached.site(params.roles.v_true)
    say(f"decomposing the subspaces at {site.name}, a few seconds")
    pairs, prompts = kept_pairs(), read_table(PROMPTS)
    train = prompts_of(prompts, chosen(pairs, "train", *KINDS))
    test = prompts_of(prompts, chosen(pairs, "test", DIFFERENT))
    of_train, of_test, true = (
        classes(cached, at, of, values_of(pairs)) for at, of in ((site, train), (site, test), (true_site, train))
    )
    own = {}
    for label, asked in params.components[component].subspaces.items():
        read = read_user_subspace(asked.file, of_train.activations.shape[1], asked.tensor, asked.rows)
        own[label] = read.basis
        say(f"{label}: {read.basis.shape[1]} direction(s) from {asked.file}" + (f"; {read.note}" if read.note else ""))
    v_true = {seed: true.oriented(basis) for seed, basis in read_trained(params.roles.v_true).items()}
    result = decompose(
        read_trained(component),
        own,
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
        write_subspaces(folder / "subspaces.safetensors", result.subspaces)
        write_table(folder / "summary.parquet", result.summary)
        write_table(folder / "projections.parquet", projections)
        write_table(folder / "cosines.parquet", result.cosines)


if __name__ == "__main__":
    run(main, __doc__)
