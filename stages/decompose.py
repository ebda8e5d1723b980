"""Splits the trained subspaces of one component by its readout matrix (E4, E5), and orients them by the data."""

import pandas as pd
import torch

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.frames import oriented
from subspace_illusion.core.sites import Site
from subspace_illusion.experiments.decompose import decompose
from subspace_illusion.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    PROMPTS,
    SUBSPACES,
    read_table,
    read_tensors,
    whole_folder,
    write_subspaces,
    write_table,
)
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.tasks.ioi import S_SECOND


def main(params: Params, component: str) -> None:
    cached = Activations(ACTIVATIONS)
    site, true_site = cached.site(component), cached.site(params.roles.v_true)
    say(f"decomposing the subspaces at {site.name}, a few seconds")
    prompts = read_table(PROMPTS)

    def classes(at: Site, of: pd.DataFrame) -> tuple[torch.Tensor, torch.Tensor]:
        return cached.at(at, of["prompt"].tolist()), torch.tensor(of["pattern"].isin(S_SECOND).tolist())

    train = prompts[prompts["split"] == "train"]
    test = prompts[(prompts["split"] == "test") & prompts["pattern"].isin(["ABB", "BAB"])]
    frames = read_tensors(SUBSPACES / component / "frames.safetensors")["frames"]
    v_true = read_tensors(SUBSPACES / params.roles.v_true / "frames.safetensors")["frames"]
    true_classes = classes(true_site, train)
    v_true = torch.stack([oriented(frame, *true_classes) for frame in v_true])
    result = decompose(
        frames,
        params.das.seeds,
        cached.readout(component),
        v_true if site.writes_residual else None,
        classes(site, train),
        classes(site, test),
        Bootstrap.of(test["case"].to_numpy(), params.evaluate.resamples, params.evaluate.seed),
        tolerance=params.decompose.rank_tolerance,
        random_directions=params.decompose.random_directions,
        seed=params.decompose.seed,
    )
    about = test[["prompt", "pattern"]].reset_index(drop=True)
    projections = result.projections.join(about, on="row").drop(columns="row")
    with whole_folder(DECOMPOSITIONS / component) as folder:
        write_subspaces(folder / "subspaces.safetensors", result.subspaces)
        write_table(folder / "summary.parquet", result.summary)
        write_table(folder / "projections.parquet", projections)


if __name__ == "__main__":
    run(main, __doc__)
