"""Where the subspaces that DAS trained for a component are kept: one file, in the layout that others can read too."""

from collections.abc import Mapping
from pathlib import Path

import torch

from subspace_illusion.subspace.formats import read_subspace_file, write_subspace_file
from subspace_illusion.subspace.methods import TRAINED

FILE = "subspaces.safetensors"


def write_trained(folder: Path, bases: Mapping[int, torch.Tensor], about: Mapping[str, str]) -> None:
    """Writes bases ``[d, k]`` by seed and what they are of into a folder; no file where nothing is to be trained."""
    if bases:
        write_subspace_file(folder / FILE, {f"{TRAINED}:{seed}": basis for seed, basis in bases.items()}, about)


def read_trained(folder: Path) -> dict[int, torch.Tensor]:
    """The bases ``[d, k]`` that ``write_trained`` left in a folder, by seed; none where nothing was to be trained."""
    path = folder / FILE
    if not path.exists():
        return {}
    bases, _ = read_subspace_file(path)
    by_seed = {int(name.removeprefix(f"{TRAINED}:")): basis for name, basis in bases.items()}
    return dict(sorted(by_seed.items()))


def trained_among(bases: Mapping[tuple[str, str], torch.Tensor]) -> dict[int, torch.Tensor]:
    """The trained ones among bases by method and training seed, by seed, in order."""
    return dict(sorted((int(seed), basis) for (method, seed), basis in bases.items() if method == TRAINED))
