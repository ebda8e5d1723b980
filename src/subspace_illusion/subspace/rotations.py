"""Rotations of pyvene, pyreft and transformer_lens: put together from what a parametrisation keeps of them, with the
columns that are exchanged."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from subspace_illusion.errors import InputError
from subspace_illusion.subspace.held import Held
from subspace_illusion.subspace.vectors import Vectors, beside, module_and_name

EXACT = 1e-4
"""How far the columns of a rotation may be from orthonormal."""
_ROTATION = re.compile(r"(?:.*[./])?rotate_layer(?:\.weight)?")
_ORIGINAL = re.compile(r"(.*)parametrizations\.(\w+)\.original")
_PART = re.compile(r".*parametrizations\.\w+\.(?:original|0\.base)")
_SOURCES = ("weight", "learned_source.weight")
"""What pyreft calls the map that says what the coordinates of its rotation are set to."""


def is_part(name: str) -> bool:
    """Whether a tensor is a part of a parametrised one."""
    return _PART.fullmatch(name) is not None


def rotations(file: Path, held: Held) -> dict[str, Vectors]:
    """The rotations of a file, whose columns are the vectors.

    What ``torch.nn.utils.parametrizations.orthogonal`` keeps of one is put together. Which columns pyvene exchanges
    stands beside: up to a learnt boundary, where a mask is on, or the first ``interchange_dim``. pyreft's learnt source
    beside one is refused.

    Raises:
        InputError: If a part of a rotation is missing or of another shape.
    """
    found = {name: values for name, values in held.tensors.items() if _ROTATION.fullmatch(name)}
    for name in held.tensors:
        if parts := _ORIGINAL.fullmatch(name):
            stem, weight = parts.groups()
            found[stem + weight] = _put_together(file, stem, weight, held.tensors)
    every = {
        name: _exchanged(held, name, columns.reshape(len(columns), -1))
        for name, values in found.items()
        if (columns := values if values.ndim == 2 else values.squeeze()).ndim in (1, 2)
    }
    for name in list(every):
        refused = f"says what the coordinates of a rotation are set to, and is no subspace; name {name}"
        sources = {_layer(name)[0] + source for source in _SOURCES} & held.tensors.keys() - every.keys()
        every |= {source: Vectors(held.tensors[source], refused=refused) for source in sources}
    return every


def first(vectors: Vectors, count: torch.Tensor | None, of_all: int, says: str) -> Vectors:
    """Vectors of which the file says that some of the first are meant, unless that is all of them."""
    if count is None or not 0 < int(count) < of_all:
        return vectors
    return vectors.after(f"its {says} says the first {int(count)} of {of_all}", meant=list(range(int(count))))


def _layer(rotation: str) -> tuple[str, str]:
    """The module of a rotation's layer, beside which an intervention keeps the rest, and the layer."""
    return module_and_name(rotation.removesuffix(".weight"))


def _put_together(file: Path, stem: str, weight: str, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    part = f"parametrizations.{weight}"
    original, base = tensors[f"{stem}{part}.original"], tensors.get(f"{stem}{part}.0.base")
    if base is None and original.ndim == 2 and _is_rotation(original):
        return original
    if base is None or original.ndim != 2 or base.shape != (max(original.shape),) * 2:
        raise InputError(
            f"{file}#{stem}{part}.original has no fitting {part}.0.base; save {stem}{weight} itself instead"
        )
    return _rotation(original, base)


def _is_rotation(matrix: torch.Tensor) -> bool:
    columns = matrix.double() if matrix.shape[0] >= matrix.shape[1] else matrix.double().mT
    off = columns.mT @ columns - torch.eye(columns.shape[1])
    return bool(off.abs().max() <= EXACT)


def _rotation(original: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
    """The weight that ``torch.nn.utils.parametrizations.orthogonal`` makes with its defaults, without making a module,
    which would draw and factorise an n x n matrix first.

    Args:
        original: ``[n, m]``.
        base: ``[max(n, m)] * 2``.
    """
    wide = original.shape[0] < original.shape[1]
    lower = (original.mT if wide else original).double().tril()
    if lower.shape[0] == lower.shape[1]:
        turned = torch.matrix_exp(lower - lower.mT)
    else:
        reflectors = lower.tril(-1)
        turned = torch.linalg.householder_product(reflectors, 2 / (1 + reflectors.square().sum(0)))
        turned = turned * lower.diagonal().int()
    weight = (base.double() @ turned).float()
    return weight.mT if wide else weight


def _exchanged(held: Held, name: str, values: torch.Tensor) -> Vectors:
    """A rotation with those of its columns that pyvene exchanges."""
    layer = "".join(_layer(name))
    width, count = values.shape
    whole = Vectors(values, "a rotation", rows=False if width == count else None, together=True)
    boundary = beside(held, layer, "intervention_boundaries")
    if boundary is not None:
        # The mask of column i is above one half where i lies below the boundary, a share of the width.
        learnt = torch.ceil(boundary.flatten()[0].double().clamp(1e-3, 1) * width - EXACT)
        return first(replace(whole, kind="a boundless rotation"), learnt, count, "boundary")
    mask = beside(held, layer, "masks")
    if mask is not None and mask.numel() == count:
        on = (mask.flatten() > 0).nonzero().flatten().tolist()
        return replace(whole, meant=on, done=f"its mask turns on {len(on)} of {count}")
    return first(whole, beside(held, layer, "interchange_dim"), count, "interchange_dim")
