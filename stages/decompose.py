"""Splits the trained subspaces of one component by its readout matrix (E4, E5), and orients them by the data."""

import torch

from common.activations import Activations
from common.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    PROMPTS,
    SUBSPACES,
    column,
    read_table,
    read_tensors,
    whole_folder,
    write_table,
    write_tensors,
)
from common.stage import run, say
from subspace_illusion.decomposition import decompose
from subspace_illusion.prompts import S_SECOND
from subspace_illusion.sites import Site
from subspace_illusion.subspaces import oriented


def main(params, component: str) -> None:
    cached = Activations(ACTIVATIONS)
    site, true_site = cached.site(component), cached.site(params.roles.v_true)
    say(f"decomposing the subspaces at {site.name}, a few seconds")
    prompts = read_table(PROMPTS)
    prompts["s_second"] = prompts["pattern"].isin(S_SECOND)

    def classes(at: Site, split: str) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = prompts[prompts["split"] == split]
        return cached.at(at, chosen["prompt"].tolist()), column(chosen, "s_second")

    readout = cached.readout(component)
    frames = read_tensors(SUBSPACES / component / "frames.safetensors")["frames"]
    v_true = read_tensors(SUBSPACES / params.roles.v_true / "frames.safetensors")["frames"]
    v_true = torch.stack([oriented(frame, *classes(true_site, "train")) for frame in v_true])
    output_width = frames.shape[1] if readout is None else readout.shape[1]
    result = decompose(
        frames,
        params.das.seeds,
        readout,
        v_true if output_width == v_true.shape[1] else None,
        classes(site, "train"),
        classes(site, "test"),
        tolerance=params.decompose.rank_tolerance,
        random_directions=params.decompose.random_directions,
        seed=params.decompose.seed,
    )
    with whole_folder(DECOMPOSITIONS / component) as folder:
        write_tensors(
            folder / "subspaces.safetensors",
            {f"{way}:{'' if seed is None else seed}": frame for (way, seed), frame in result.subspaces.items()},
        )
        write_table(folder / "summary.parquet", result.summary)
        write_table(folder / "projections.parquet", result.projections)


if __name__ == "__main__":
    run(main, __doc__, reads=("roles", "das", "decompose"), per_component=True)
