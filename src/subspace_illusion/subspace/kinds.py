"""What the tensors of a file are taken for: rotations, features, masks, components, probes, or what their shape says.

A kind that is recognised says which of the file's tensors is meant where none is named, which side of it the vectors
are, and what has to be done so that they are directions of the activations themselves.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from subspace_illusion.subspace.held import Held
from subspace_illusion.subspace.masks import masks
from subspace_illusion.subspace.rotations import first, is_part, rotations
from subspace_illusion.subspace.standardised import divided, statistics, statistics_alone
from subspace_illusion.subspace.vectors import Vectors, are_orthogonal, as_rows, beside, called

_COMPONENTS = re.compile(r"(?:.*_)?components?_?")
_BIASES = {"weight": "bias", "kernel": "bias", "w": "b", "coef_": "intercept_", "coef": "intercept"}
"""By the name of a probe's weights that of its biases."""
_COEFFICIENTS = ("coef_", "coef")
"""Those that are a probe's without a bias too."""
_DECODERS = {"w_dec": True, "decoder.weight": False}
_ENCODERS = {"w_enc": False, "encoder.weight": True}
"""By the end of a name, whether the features of an SAE are its rows (else its columns)."""


def vectors_in(file: Path, held: Held, width: int) -> tuple[dict[str, Vectors], list[str]]:
    """The tensors of a file by name, and the names of those that are meant where none is named.

    A rotation, a decoder or an encoder is meant, whatever stands beside it; else all that may be vectors of the width,
    and where there are none, all.

    Raises:
        InputError: If a part of a rotation is missing or of another shape.
    """
    every = {name: Vectors(values) for name, values in held.tensors.items() if not is_part(name)}
    known: dict[str, Vectors] = {}
    meant: list[str] = []
    for found in (rotations(file, held), _features(held, "decoder", _DECODERS), _features(held, "encoder", _ENCODERS)):
        known = found | known
        meant = meant or [name for name, vectors in found.items() if not vectors.refused]
    for found in (masks(file, held), _components(held, width), _probes(held, width), statistics_alone(file, held)):
        known = found | known
    every |= known
    wide = [name for name, vectors in every.items() if width in vectors.values.shape or not _is_float(vectors)]
    able = [name for name in wide if every[name].kind or not every[name].refused]
    if any(every[name].kind for name in able):
        able = [name for name in able if _is_float(every[name])]  # a probe's classes are no set of neurons
    unable = [name for name in wide if every[name].refused]
    return every, meant or able or unable[:1] or list(every)


def _is_float(vectors: Vectors) -> bool:
    return vectors.values.is_floating_point()


def _components(held: Held, width: int) -> dict[str, Vectors]:
    """Principal components, each a row; where there are more of them than dimensions, each a column."""
    found: dict[str, Vectors] = {}
    for name, values in held.tensors.items():
        rows = as_rows(values, width)
        if _COMPONENTS.fullmatch(called(name)) and rows is not None:
            is_basis = are_orthogonal(rows.reshape(-1, width))
            kind = "principal components" if is_basis else "components"
            components = Vectors(rows, kind, rows=True, together=is_basis or None)
            count = beside(held, name, "interchange_dim")
            found[name] = first(divided(held, name, components, width), count, rows.shape[-2], "interchange_dim")
            found |= statistics(held, name, width)
    return found


def _probes(held: Held, width: int) -> dict[str, Vectors]:
    """Linear probes: one row, two, whose difference tells the classes apart, or one for each of more classes."""
    found: dict[str, Vectors] = {}
    for name, values in held.tensors.items():
        word, rows = called(name), as_rows(values, width)
        if word not in _BIASES or rows is None:
            continue
        count = rows.shape[-2]
        bias = beside(held, name, _BIASES[word])
        has_bias = bias is not None and bias.numel() == count
        if not has_bias and word not in _COEFFICIENTS:
            continue
        probe = divided(held, name, Vectors(rows, "a probe", rows=True), width)
        if count == 2 and has_bias:
            probe = _difference(probe)
        elif count > 1:
            probe = replace(probe, kind=probe.kind.replace("a probe", "classes of a probe"), together=False)
        if count > 1 and _is_read_on(held, name, count):
            refused = "is the first layer of a probe of several, which reads along no single direction; save one alone"
            probe = replace(probe, refused=refused)
        found[name] = probe
        found |= statistics(held, name, width)
    return found


def _is_read_on(held: Held, name: str, count: int) -> bool:
    """Whether another layer reads what the rows of these weights give."""
    layers = {other: values for other, values in held.tensors.items() if called(other) in _BIASES}
    return any(other != name and values.ndim == 2 and values.shape[1] == count for other, values in layers.items())


def _difference(probe: Vectors) -> Vectors:
    values = probe.values[..., 1, :] - probe.values[..., 0, :]
    kind = probe.kind.replace("probe", "probe of two classes")
    return probe.after("its second row less the first", values=values, kind=kind, rows=None)


def _features(held: Held, kind: str, ends: Mapping[str, bool]) -> dict[str, Vectors]:
    return {
        name: Vectors(values, f"features of an SAE's {kind}", rows, together=False)
        for name, values in held.tensors.items()
        for end, rows in ends.items()
        if values.ndim >= 2 and f".{name.lower()}".replace("/", ".").endswith(f".{end}")
    }
