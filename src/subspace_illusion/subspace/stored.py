"""Where the subspaces of a component are kept: those that DAS trained in the layout that others can read too, and all
that were found, with their parts, for the stages that come after."""

from collections.abc import Mapping
from pathlib import Path

import torch

from subspace_illusion.files import DECOMPOSITIONS, SUBSPACES, read_tensors, write_tensors
from subspace_illusion.subspace.formats import read_subspace_file, write_subspace_file
from subspace_illusion.subspace.keys import SubspaceKey

FILE = "subspaces.safetensors"


def write_trained(folder: Path, bases: Mapping[SubspaceKey, torch.Tensor], about: Mapping[str, str]) -> None:
    """Writes bases ``[d, k]`` and what they are of into a folder; no file where nothing is to be trained."""
    if bases:
        write_subspace_file(folder / FILE, {_name(key): basis for key, basis in bases.items()}, about)


def read_trained(component: str) -> dict[SubspaceKey, torch.Tensor]:
    """The bases ``[d, k]`` that were trained for a component, in the order of their seeds; none where it is not to be
    trained."""
    path = SUBSPACES / component / FILE
    if not path.exists():
        return {}
    bases, _ = read_subspace_file(path)
    by_key = {_key(name): basis for name, basis in bases.items()}
    return {key: by_key[key] for key in sorted(by_key)}


def write_subspaces(folder: Path, bases: Mapping[SubspaceKey, torch.Tensor]) -> None:
    """Writes the bases ``[d, k]`` of a component into a folder."""
    write_tensors(folder / FILE, {_name(key): basis for key, basis in bases.items()})


def read_subspaces(component: str) -> dict[SubspaceKey, torch.Tensor]:
    """The bases ``[d, k]`` that decompose has left of a component."""
    return {_key(name): basis for name, basis in read_tensors(DECOMPOSITIONS / component / FILE).items()}


def _name(key: SubspaceKey) -> str:
    """The tensor's name, such as ``trained:0``; nothing behind the colon where there is no single seed."""
    return f"{key.subspace}:{'' if key.seed is None else key.seed}"


def _key(name: str) -> SubspaceKey:
    subspace, _, seed = name.rpartition(":")
    return SubspaceKey.read(subspace, seed) if seed else SubspaceKey.read(subspace)
