"""What the tensors of a file are taken for: rotations, components, probes, features, masks, or what their shape says.

A kind that is recognised says which of the file's tensors is meant where none is named, which side of it the vectors
are, and what has to be done so that they are directions of the activations themselves.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from subspace_illusion.errors import InputError
from subspace_illusion.subspace.held import Held

_ORIGINAL = "parametrizations.weight.original"
_BASE = "parametrizations.weight.0.base"
_ROTATION = "rotate_layer.weight"
_COMPONENTS = ("pca_components", "components_")
_DEVIATIONS = ("pca_std", "std", "std_", "scale_")
_MEANS = ("pca_mean", "mean", "mean_")
_BIASES = {"weight": "bias", "coef_": "intercept_", "coef": "intercept"}
"""By the name of a probe's weights that of its biases."""
_DECODERS = {"w_dec": True, "decoder.weight": False}
_ENCODERS = {"w_enc": False, "encoder.weight": True}
"""By the end of a name, whether the features of an SAE are its rows (else its columns)."""
_MASK = re.compile(r"(?:.*[._ -])?masks?(?:[._ -].*)?")
EXACT = 1e-4
"""How far the columns of a rotation may be from orthonormal."""


@dataclass(frozen=True)
class Vectors:
    """A tensor of a file, and what is known of the vectors in it.

    Attributes:
        values: ``[d]``, ``[k, d]`` or ``[d, k]``, or with more axes before ``d``.
        kind: What it is taken for; empty where its shape says so.
        rows: Whether its vectors are the rows (``True``) or the columns (``False``); ``None`` where its shape says so.
        meant: Which vectors are meant where none are chosen: as many of the first, or these; ``None`` for all.
        together: Whether the vectors span one subspace, be they orthogonal or not, or each stands for itself; ``None``
            where that is for their cosines to say.
        done: What was done to them.
        refused: Why it is no subspace, and what to do; empty where it is one.
    """

    values: torch.Tensor
    kind: str = ""
    rows: bool | None = None
    meant: list[int] | None = None
    together: bool | None = None
    done: str = ""
    refused: str = ""


def vectors_in(file: Path, held: Held) -> tuple[dict[str, Vectors], list[str]]:
    """The tensors of a file by name, and the names of those that are meant where none is named.

    Raises:
        InputError: If a part of a rotation is missing or of another shape.
    """
    parts = (_ORIGINAL, _BASE)
    every = {name: Vectors(values) for name, values in held.tensors.items() if not name.endswith(parts)}
    meant: list[str] = []
    known: set[str] = set()
    for recognise in _KINDS:
        found = recognise(file, held)
        every |= {name: vectors for name, vectors in found.items() if name not in known}
        known |= found.keys()
        meant = meant or [name for name, vectors in found.items() if not vectors.refused]
    return every, meant or list(every)


def _beside(held: Held, name: str, *others: str) -> torch.Tensor | None:
    """The first of some tensors, or numbers, that stand beside a tensor in its module."""
    for path in (_path(name, other) for other in others):
        if path in held.tensors:
            return held.tensors[path]
        if isinstance(number := held.said.get(path), int | float):
            return torch.tensor(number)
    return None


def _path(name: str, other: str) -> str:
    """What another tensor of the same module is called."""
    return "".join((*name.rpartition(".")[:2], other))


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _first(vectors: Vectors, count: torch.Tensor | None, of_all: int, says: str) -> Vectors:
    """Vectors of which the file says that some of the first are meant, unless that is all of them."""
    if count is None or not 0 < int(count) < of_all:
        return vectors
    done = "; ".join(part for part in (vectors.done, f"its {says} says the first {int(count)} of {of_all}") if part)
    return replace(vectors, meant=list(range(int(count))), done=done)


def _rotations(file: Path, held: Held) -> dict[str, Vectors]:
    """pyvene's rotations and those of transformer_lens, whose columns are the vectors.

    What ``torch.nn.utils.parametrizations.orthogonal`` keeps of one is put together. Which columns pyvene exchanges
    stands beside: up to a learnt boundary, where a mask is on, or the first ``interchange_dim``.

    Raises:
        InputError: If a part of a rotation is missing or of another shape.
    """
    found = {name: values for name, values in held.tensors.items() if name.endswith(_ROTATION) and values.ndim == 2}
    for name in held.tensors:
        if name.endswith(_ORIGINAL):
            stem = name.removesuffix(_ORIGINAL)
            found[f"{stem}weight"] = _put_together(file, stem, held.tensors)
    return {name: _exchanged(held, name, values) for name, values in found.items()}


def _put_together(file: Path, stem: str, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    original, base = tensors[stem + _ORIGINAL], tensors.get(stem + _BASE)
    if base is None and original.ndim == 2 and _is_rotation(original):
        return original
    if base is None or original.ndim != 2 or base.shape != (max(original.shape),) * 2:
        raise InputError(f"{file}#{stem}{_ORIGINAL} has no fitting {_BASE}; save {stem}weight itself instead")
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
    layer = name.removesuffix(".weight")  # what the intervention keeps stands beside its layer
    width, count = values.shape
    whole = Vectors(values, "a rotation", rows=False if width == count else None, together=True)
    boundary = _beside(held, layer, "intervention_boundaries")
    if boundary is not None:
        # The mask of column i is above one half where i lies below the boundary, a share of the width.
        learnt = torch.ceil(boundary.flatten()[0].double().clamp(1e-3, 1) * width - EXACT)
        return _first(replace(whole, kind="a boundless rotation"), learnt, count, "boundary")
    mask = _beside(held, layer, "masks")
    if mask is not None and mask.shape == (count,):
        on = (mask > 0).nonzero().flatten().tolist()
        return replace(whole, meant=on, done=f"its mask turns on {len(on)} of {count}")
    return _first(whole, _beside(held, layer, "interchange_dim"), count, "interchange_dim")


def _components(_: Path, held: Held) -> dict[str, Vectors]:
    """Principal components of pyvene or scikit-learn, each a row."""
    found = {}
    for name, values in held.tensors.items():
        if _last(name) in _COMPONENTS and values.ndim == 2:
            components = _divided(held, name, Vectors(values, "principal components", rows=True, together=True))
            found[name] = _first(components, _beside(held, name, "interchange_dim"), len(values), "interchange_dim")
            refused = f"says how activations lie and is no direction; name {name}"
            beside = {_path(name, other) for other in (*_MEANS, *_DEVIATIONS)} & held.tensors.keys()
            found |= {other: Vectors(held.tensors[other], refused=refused) for other in beside}
    return found


def _divided(held: Held, name: str, vectors: Vectors) -> Vectors:
    """Vectors of standardised activations as those that read the same of activations."""
    deviation = _beside(held, name, *_DEVIATIONS)
    if deviation is None or deviation.shape != vectors.values.shape[-1:]:
        return vectors
    values = vectors.values.double() / deviation.double()
    kind = f"{vectors.kind} of standardised activations"
    return replace(vectors, values=values, kind=kind, done="divided by the deviation")


def _probes(_: Path, held: Held) -> dict[str, Vectors]:
    """Linear probes: one row, two, whose difference tells the classes apart, or one for each of more classes."""
    found = {}
    for name, values in held.tensors.items():
        bias = _beside(held, name, _BIASES.get(_last(name), _last(name)))
        if _last(name) in _BIASES and bias is not None and values.ndim == 2 and len(values) == bias.numel():
            probe = _divided(held, name, Vectors(values, "a probe", rows=True))
            if len(values) == 2:
                probe = _difference(probe)
            elif len(values) > 2:
                probe = replace(probe, kind=probe.kind.replace("a probe", "classes of a probe"), together=False)
            found[name] = probe
    return found


def _difference(probe: Vectors) -> Vectors:
    done = "; ".join(part for part in (probe.done, "its second row less the first") if part)
    values = probe.values[1] - probe.values[0]
    return replace(probe, values=values, kind=probe.kind.replace("probe", "probe of two classes"), rows=None, done=done)


def _features(held: Held, kind: str, ends: Mapping[str, bool]) -> dict[str, Vectors]:
    return {
        name: Vectors(values, f"features of an SAE's {kind}", rows, together=False)
        for name, values in held.tensors.items()
        for end, rows in ends.items()
        if values.ndim >= 2 and f".{name.lower()}".endswith(f".{end}")
    }


def _masks(file: Path, held: Held) -> dict[str, Vectors]:
    """Masks over neurons: those that only turn on or off are sets of neurons, others are refused."""
    found = {}
    for name, values in held.tensors.items():
        if values.is_floating_point() and _MASK.fullmatch(name or file.stem):
            hard = bool(((values == 0) | (values == 1)).all())
            refused = (
                "is a mask, which weighs every neuron for itself and is no direction; save the neurons that it turns "
                "on, numpy.save('neurons.npy', numpy.flatnonzero(mask > 0)), and give these"
            )
            found[name] = Vectors(values.bool()) if hard else Vectors(values, refused=refused)
    return found


_KINDS: tuple[Callable[[Path, Held], dict[str, Vectors]], ...] = (
    _rotations,
    _components,
    lambda _, held: _features(held, "decoder", _DECODERS),
    lambda _, held: _features(held, "encoder", _ENCODERS),
    _probes,
    _masks,
)
"""The kinds in the order in which their tensors are meant, and known: an SAE's encoder with biases is no probe."""
