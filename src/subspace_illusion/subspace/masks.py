"""Masks over neurons: which tensors are ones, by their names or by their numbers."""

import re
from pathlib import Path

import torch

from subspace_illusion.subspace.held import Held
from subspace_illusion.subspace.vectors import Vectors

_MASK = re.compile(r"(?:.*[._/ -])?masks?(?:[._/ -].*)?")
_GATE = re.compile(r"(?:.*[._/ -])?(?:gates?|log_?alphas?|loga)(?:[._ -](?:logits|scores|values))?")
"""What masks that are learnt are called besides; matrices of a gated MLP are called so too, so of vectors alone."""
NEAR = 0.05
"""How near to one the length of a direction has to be, or to zero all its numbers, where none is below 0 or above 1."""


def masks(file: Path, held: Held) -> dict[str, Vectors]:
    """The tensors that are masks by their name, or by the file's where they have none: those that only turn on or off
    are sets of neurons, others are refused."""
    found = {}
    for name, values in held.tensors.items():
        called = (name or file.stem).lower()
        is_mask = _MASK.fullmatch(called) or (_GATE.fullmatch(called) and values.squeeze().ndim == 1)
        if values.is_floating_point() and is_mask:
            hard = bool(((values == 0) | (values == 1)).all())
            refused = f"is a mask, which weighs every neuron for itself and is no direction; {neurons_of(values)}"
            found[name] = Vectors(values.bool()) if hard else Vectors(values, "a mask", refused=refused)
    return found


def looks_like_mask(vectors: torch.Tensor) -> bool:
    """Whether one of the vectors ``[k, d]`` has the numbers of a mask, from 0 to 1 and not all the same, and not the
    length of a direction."""
    values = vectors.double()
    small, largest = values.amin(1), values.amax(1)
    is_long = (values.norm(dim=1) - 1).abs() > NEAR
    return bool(((small >= 0) & (small < largest) & (largest > NEAR) & (largest <= 1) & is_long).any())


def neurons_of(mask: torch.Tensor) -> str:
    """How the neurons that a mask turns on are given: by shares of one, or by logits, that are above one half."""
    half = "0.5" if bool(((mask.double() >= 0) & (mask.double() <= 1)).all()) else "0"
    save = f"numpy.save('neurons.npy', numpy.flatnonzero(mask > {half}))"
    return f"save the neurons that it turns on, {save}, and give these"
