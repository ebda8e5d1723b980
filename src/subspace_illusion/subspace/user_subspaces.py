"""A subspace of one's own, read from a file that another tool wrote, as a basis."""

import json
import pickle
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from subspace_illusion.core.basis import orthonormal
from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line

SAE_WEIGHTS = "sae_weights.safetensors"
SAE_CONFIG = "cfg.json"
SAE_DECODER = "W_dec"

ORTHONORMAL = 1e-5
"""How far the columns' inner products may be from 0 and 1 in a basis that is taken as it is."""
SMALLEST_AXIS = 1e-5
"""How long, beside unit vectors, an axis of their span has to be to count as one; float32 rounding makes shorter ones.
"""

_NAMES = 5
_ORIGINAL = "parametrizations.weight.original"
_BASE = "parametrizations.weight.0.base"
_RANGE = re.compile(r"\s*([0-9]{1,18})\s*(?::\s*([0-9]{1,18})\s*)?")


@dataclass(frozen=True)
class UserSubspace:
    """A subspace of one's own.

    Attributes:
        basis: ``[d, k]``, float32.
        note: What was done to make a basis of what the file holds; empty where nothing was.
    """

    basis: torch.Tensor
    note: str


def read_user_subspace(
    file: Path, width: int, tensor: str | None = None, rows: str | Sequence[int] | None = None
) -> UserSubspace:
    """Reads a subspace from a file.

    The tensor is ``[d]``, ``[k, d]`` or ``[d, k]``, in floating-point numbers; the side that is as long as the
    component is wide is ``d``. In a state dict, what ``torch.nn.utils.parametrizations.orthogonal`` keeps of a rotation
    (pyvene's ``rotate_layer``, transformer_lens' ``LearnedSubspace``) is put together to ``<module>.weight``,
    ``[d, k]``.

    Args:
        file: ``.safetensors``, ``.npy``, a torch file (``.pt``, ``.pth``, ``.bin``) with a tensor or a dict of tensors,
            or SAELens' folder. Nothing in it is unpickled but tensors.
        width: Dimensions of the component, ``d``.
        tensor: Name of the tensor in the file; may be left out if there is one only, or one rotation, and is ``W_dec``
            in SAELens' folder.
        rows: Which of the tensor's vectors span the subspace, counted from 0: numbers, or text such as ``17``,
            ``3,5,9`` or ``0:4`` (without the end). The vectors are the rows, or the columns of a tensor ``[d, n]`` with
            another ``n`` than ``d`` and of a rotation.

    Raises:
        InputError: If the file is missing, cannot be read or is refused, the tensor cannot be told or found, its shape
            or numbers do not fit, or its vectors depend on one another.
    """
    tensors, rotations = _with_rotations(file, _read(file))
    if file.is_dir() and tensor in (None, SAE_DECODER):
        tensor = SAE_DECODER
        _check_decoder(file, width, rows)
    name, rows = _choose(file, tensors, rotations, tensor, rows)
    where = f"{file}#{name}" if name else str(file)
    return user_subspace(where, tensors[name], width, rows, columns=name in rotations)


def user_subspace(
    where: str, values: torch.Tensor, width: int, rows: str | Sequence[int] | None = None, columns: bool = False
) -> UserSubspace:
    """A subspace of one's own from a tensor.

    Args:
        where: What messages call it.
        values: ``[d]``, ``[k, d]`` or ``[d, k]``, as for ``read_user_subspace``.
        width: Dimensions of the component, ``d``.
        rows: As for ``read_user_subspace``.
        columns: Whether the vectors of a square tensor are its columns.

    Raises:
        InputError: As ``read_user_subspace``, for what is wrong with the tensor.
    """
    vectors, note = _vectors(where, values, width, rows, columns)
    basis, *notes = _basis(where, vectors)
    return UserSubspace(basis, "; ".join(part for part in (note, *notes) if part))


def parse_spec(text: str) -> tuple[Path, str | None, str | None]:
    """File, tensor and rows of the command line's ``file[#tensor[:rows]]``; ``file#:rows`` names no tensor.

    Where a tensor's own name holds a colon, ``read_user_subspace`` finds it all the same.

    Raises:
        InputError: If it names no file.
    """
    file, mark, rest = text.rpartition("#")
    if not mark or Path(text).suffix in _READERS:  # pyvene's own files are called intkey_...#0.bin
        file, rest = text, ""
    if not file:
        raise InputError(f"{text!r} names no file; write file#tensor:rows, such as sae/#W_dec:17 or probe.npy")
    tensor, colon, rows = rest.partition(":")
    return Path(file), tensor or None, rows if colon else None


def _read(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a file by name; a tensor that has none goes by the empty one.

    Raises:
        InputError: If there are none or they cannot be read.
    """
    if file.is_dir():
        if missing := [name for name in (SAE_WEIGHTS, SAE_CONFIG) if not (file / name).is_file()]:
            raise InputError(f"{file} is a folder without {missing[0]}; name a file, or a folder that SAELens saved")
        return _read_safetensors(file / SAE_WEIGHTS)
    read = _READERS.get(file.suffix)
    if read is None:
        raise InputError(f"{file} is none of {', '.join(_READERS)}; save the subspace as one of these")
    if not file.is_file():
        raise InputError(f"{file} is not there; name a file with a subspace")
    tensors = read(file)
    if not tensors:
        raise InputError(f"{file} holds no tensors; save the subspace's tensor in it")
    return tensors


def _read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read as safetensors: {one_line(error)}") from error


def _read_npy(file: Path) -> dict[str, torch.Tensor]:
    try:
        array = np.load(file, allow_pickle=False, mmap_mode="c")
    except Exception as error:  # numpy promises none in particular for a broken file
        if isinstance(error, ValueError) and re.search("pickle|Python objects", str(error)):
            raise InputError(
                f"{file} holds no array of numbers (pickled objects are not opened); save one with np.save or "
                "safetensors"
            ) from error
        raise InputError(f"{file} cannot be read as npy: {one_line(error)}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"{file} is an npz archive; save one array with np.save")
    if array.dtype.kind != "f":
        raise _not_floats(str(file), str(array.dtype))
    # torch takes no other byte order than the machine's and no long double.
    return {"": torch.from_numpy(array.astype(f"f{min(array.itemsize, 8)}", copy=False))}


def _read_torch(file: Path) -> dict[str, torch.Tensor]:
    try:
        with warnings.catch_warnings(action="ignore"):
            value = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message is several lines long and says how to open the file all the same.
        raise InputError(
            f"{file} cannot be opened without unpickling more than tensors, which is refused; save the tensor with "
            "safetensors, np.save or torch.save"
        ) from error
    except Exception as error:  # a broken pickle may raise anything
        raise InputError(f"{file} cannot be read as a torch file: {type(error).__name__} {one_line(error)}") from error
    if isinstance(value, torch.Tensor):
        return {"": value}
    if not isinstance(value, Mapping):
        raise InputError(f"{file} holds a {type(value).__name__}; save a tensor, or a dict of tensors by name")
    return {str(name): entry for name, entry in value.items() if isinstance(entry, torch.Tensor)}


_READERS: Mapping[str, Callable[[Path], dict[str, torch.Tensor]]] = {
    ".safetensors": _read_safetensors,
    ".npy": _read_npy,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".bin": _read_torch,
}


def _check_decoder(folder: Path, width: int, rows: object) -> None:
    """Checks what SAELens says of its decoder.

    Raises:
        InputError: If it is as wide as another component, or no features are chosen.
    """
    try:
        config: Any = json.loads((folder / SAE_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{folder / SAE_CONFIG} cannot be read: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{folder / SAE_CONFIG} is no object with settings; name a folder that SAELens saved")
    # A transcoder reads one component and decodes to another.
    name = "d_out" if config.get("d_out") else "d_in"
    if config.get(name, width) != width:
        raise InputError(
            f"{folder} is an SAE of {config[name]} dimensions ({name} in {SAE_CONFIG}), the component has {width}; "
            "choose the component that it was trained on"
        )
    if rows is None:
        raise InputError(f"{folder} is a whole SAE; choose features, as in {folder}#{SAE_DECODER}:17")


def _with_rotations(file: Path, tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The tensors, with those that parametrise a rotation put together.

    Args:
        file: For messages.
        tensors: By name.

    Returns:
        The tensors by name and the names of the rotations, whose columns are the vectors.

    Raises:
        InputError: If a part of a rotation is missing or of another shape.
    """
    stems = [name.removesuffix(_ORIGINAL) for name in tensors if name.endswith(_ORIGINAL)]
    parts = {stem + part for stem in stems for part in (_ORIGINAL, _BASE)}
    rest = {name: values for name, values in tensors.items() if name not in parts}
    rotations = {}
    for stem in stems:
        original, base = tensors[stem + _ORIGINAL], tensors.get(stem + _BASE)
        if base is None or original.ndim != 2 or base.shape != (max(original.shape),) * 2:
            raise InputError(f"{file}#{stem}{_ORIGINAL} has no fitting {_BASE}; save {stem}weight itself instead")
        rotations[f"{stem}weight"] = _rotation(original, base)
    return rest | rotations, list(rotations)


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


def _choose(
    file: Path,
    names: Mapping[str, torch.Tensor],
    rotations: Sequence[str],
    tensor: str | None,
    rows: str | Sequence[int] | None,
) -> tuple[str, str | Sequence[int] | None]:
    """Which tensor and which of its rows are meant.

    Raises:
        InputError: If the file has no such tensor, or several and none is named.
    """
    shown = ", ".join(list(names)[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
    if tensor is None:
        candidates = rotations or list(names)
        if len(candidates) > 1:
            raise InputError(f"{file} has several tensors ({shown}); name one, as in {file}#{candidates[0]}")
        return candidates[0], rows
    if tensor in names:
        return tensor, rows
    if isinstance(rows, str):
        # A name may hold a colon, which the command line takes for the start of the rows.
        pieces = f"{tensor}:{rows}".split(":")
        for end in range(len(pieces), 1, -1):
            if (name := ":".join(pieces[:end])) in names:
                return name, ":".join(pieces[end:]) or None
    raise InputError(f"{file} has no tensor {tensor}; it has {shown or 'one without a name, so leave the name out'}")


def _not_floats(where: str, dtype: str) -> InputError:
    return InputError(f"{where} holds {dtype}; a subspace needs real floating-point numbers, save it as float32")


def _vectors(
    where: str, values: torch.Tensor, width: int, rows: str | Sequence[int] | None, columns: bool
) -> tuple[torch.Tensor, str]:
    """The vectors that span the subspace.

    Args:
        where: For messages.
        values: What the file holds.
        width: ``d``.
        rows: As in ``read_user_subspace``.
        columns: Whether the vectors of a square tensor are its columns.

    Returns:
        The vectors as columns, ``[d, k]`` in the file's dtype, and what was done.

    Raises:
        InputError: If there are none, their shape does not fit, or they are no floating-point numbers.
    """
    if not values.is_floating_point():
        raise _not_floats(where, str(values.dtype).removeprefix("torch."))
    shape = list(values.shape)
    if len(shape) not in (1, 2):
        raise InputError(f"{where} has shape {shape}; a subspace is [d], [k, d] or [d, k]")
    if width not in shape:
        raise InputError(f"{where} has shape {shape}, no side of which is the component's width of {width}")
    example = f"{where}{'' if '#' in where else '#'}:0:4"
    square = shape == [width, width]
    if square and rows is None:
        raise InputError(
            f"{where} is square ({shape}), so its vectors cannot be told; choose some, as in {example}, or save "
            "them as [d, k] with k < d"
        )
    lying = shape[-1] == width and not (square and columns)
    vectors = (values if lying else values.mT).detach().to_dense().reshape(-1, width)
    note = f"transposed: it was {shape}" if lying and len(shape) == 2 else ""
    if rows is not None:
        picked = _picked(where, rows, len(vectors))
        note = f"took {len(picked)} of its {len(vectors)} vectors"
        vectors = torch.stack([vectors[row] for row in picked])
    if not 0 < len(vectors) <= width:
        raise InputError(f"{where} has {len(vectors)} vectors in {width} dimensions; choose some, as in {example}")
    return vectors.mT, note


def _picked(where: str, rows: str | Sequence[int], count: int) -> list[int]:
    """The numbers of the chosen vectors.

    Args:
        where: For messages.
        rows: As in ``read_user_subspace``.
        count: How many vectors there are.

    Raises:
        InputError: If the text makes no sense, or there is no vector of that number.
    """
    ranges = [(row, row + 1) for row in rows] if not isinstance(rows, str) else []
    for part in rows.split(",") if isinstance(rows, str) else []:
        match = _RANGE.fullmatch(part)
        if match is None:
            raise InputError(f"{where}: {rows!r} are no rows; write a number, several (3,5,9) or a range (0:4)")
        first = int(match[1])
        ranges.append((first, first + 1 if match[2] is None else int(match[2])))
    for first, stop in ranges:
        if not 0 <= first < stop <= count:
            asked = str(first) if stop == first + 1 else f"{first}:{stop}"
            raise InputError(f"{where} has {count} vectors, from 0 to {count - 1}; there is no {asked} to choose")
    if not ranges:
        raise InputError(f"{where}: no rows are chosen; name one at least, or leave the choice out")
    return [row for first, stop in ranges for row in range(first, stop)]


def _basis(where: str, vectors: torch.Tensor) -> tuple[torch.Tensor, str, str]:
    """The basis of a span.

    Args:
        where: For messages.
        vectors: ``[d, k]``, of any floating-point dtype.

    Returns:
        The basis, and what was done to its numbers and its columns.

    Raises:
        InputError: If a number is not finite, a vector is zero or depends on the others.
    """
    values = vectors.double()
    k = values.shape[1]
    if not values.isfinite().all():
        raise InputError(f"{where} holds NaN or infinite numbers; save it without them")
    largest = values.abs().amax(0)
    if zero := (largest == 0).nonzero().flatten().tolist():
        raise InputError(f"{where} is zero{f' in vector {zero[0]} of {k}' if k > 1 else ''}, which is no direction")
    scaled = values / largest  # so that the squares of the largest and smallest numbers fit as well
    norms = scaled.norm(dim=0)
    unit = scaled / norms
    precision = torch.finfo(vectors.dtype)
    independent = int((torch.linalg.svdvals(unit) > max(SMALLEST_AXIS, precision.eps) * k**0.5).sum())
    if independent < k:
        raise InputError(
            f"{where} has {k} vectors, only {independent} of which are independent; leave out what the others add up to"
        )
    converted = f"converted from {str(vectors.dtype).removeprefix('torch.')}" if precision.bits < 32 else ""
    cosine = (unit.mT @ unit - torch.eye(k)).abs().max().item()
    if cosine > ORTHONORMAL:
        return (
            orthonormal(unit).float().contiguous(),
            converted,
            f"orthonormalised: the largest cosine between two of its vectors was {cosine:.2g}",
        )
    lengths = norms * largest
    if (lengths - 1).abs().max() <= ORTHONORMAL:
        return values.float().contiguous(), converted, ""
    sizes = dict.fromkeys(f"{length:.6g}" for length in (lengths.min(), lengths.max()))
    words = "its norm was" if k == 1 else "its vectors' norms were"
    return unit.float().contiguous(), converted, f"normalised: {words} {' to '.join(sizes)}"
