"""Where the subspaces of a component, or of several, are kept: those that DAS trained in the layout that others can
read too, and all that were found, with their parts."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from subspace_illusion.errors import InputError
from subspace_illusion.files import read_tensors, write_tensors
from subspace_illusion.subspace.formats import read_subspace_file, write_subspace_file
from subspace_illusion.subspace.keys import POOLED, SubspaceKey

FILE = "subspaces.safetensors"
_NAME = re.compile(r"(?:(\S+):(?! ))?(.+):(-?\d*)")  # what the user's are marked with has a blank behind its colon


def write_trained(folder: Path, bases: Mapping[SubspaceKey, torch.Tensor], about: Mapping[str, str]) -> None:
    """Writes bases ``[d, k]`` and what they are of into a folder; no file where nothing is to be trained."""
    if bases:
        write_subspace_file(folder / FILE, {_name(key): basis for key, basis in bases.items()}, about)


def read_trained(folder: Path) -> dict[SubspaceKey, torch.Tensor]:
    """The bases ``[d, k]`` that ``write_trained`` left in a folder, in the order of their seeds; none where nothing was
    to be trained."""
    path = folder / FILE
    if not path.exists():
        return {}
    bases, _ = read_subspace_file(path)
    by_key = {_key(name): basis for name, basis in bases.items()}
    return {key: by_key[key] for key in sorted(by_key)}


def write_subspaces(folder: Path, bases: Mapping[SubspaceKey, torch.Tensor]) -> None:
    """Writes bases ``[d, k]`` into a folder."""
    write_tensors(folder / FILE, {_name(key): basis for key, basis in bases.items()})


def read_subspaces(folder: Path) -> dict[SubspaceKey, torch.Tensor]:
    """The bases ``[d, k]`` that ``write_subspaces`` left in a folder."""
    return {_key(name): basis for name, basis in read_tensors(folder / FILE).items()}


def trained_among(bases: Mapping[SubspaceKey, torch.Tensor]) -> dict[int, torch.Tensor]:
    """The trained ones among bases, by training seed, in order."""
    trained = {key.seed: basis for key, basis in bases.items() if key.is_trained and key.seed is not None}
    return dict(sorted(trained.items()))


def _name(key: SubspaceKey) -> str:
    """The tensor's name, such as ``trained:0``, before it the component, where the key has one; nothing behind the last
    colon where there is no single seed."""
    name = f"{key.subspace}:{'' if key.seed is None else key.seed}"
    return f"{key.component}:{name}" if key.component else name


def _key(name: str) -> SubspaceKey:
    found = _NAME.fullmatch(name)
    if found is None:
        raise InputError(f"'{name}' is the name of no subspace in a file")
    component, subspace, seed = found.groups()
    return SubspaceKey.read(subspace, seed or POOLED, component or "")
