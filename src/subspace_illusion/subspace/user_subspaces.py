"""A subspace of one's own, read from a file that another tool wrote, as a basis."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from subspace_illusion.core.basis import orthonormal
from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.held import READERS, not_floats, read_held
from subspace_illusion.subspace.kinds import vectors_in
from subspace_illusion.subspace.masks import looks_like_mask, neurons_of
from subspace_illusion.subspace.origin import Origin, origin_of
from subspace_illusion.subspace.standardised import undivided
from subspace_illusion.subspace.vectors import Vectors, are_orthogonal, precision_of, unit_rows

ORTHONORMAL = 1e-5
"""How far the columns' inner products may be from 0 and 1 in a basis that is taken as it is."""
SMALLEST_AXIS = 1e-5
"""How long, beside unit vectors, an axis of their span has to be to count as one; float32 rounding makes shorter ones.
"""

_NAMES, _FEW = 5, 4
"""How many names, and how many rows, an example shows."""
_RANGE = re.compile(r"\s*([0-9]{1,18})\s*(?::\s*([0-9]{1,18})\s*)?")
_INDICES = re.compile(r"\s*-?[0-9]{1,18}\s*(?:,\s*-?[0-9]{1,18}\s*)*")
_POSITIONS_LAYERS = 2
"""The axes before ``d`` of directions by position and layer."""


@dataclass(frozen=True)
class UserSubspace:
    """A subspace of one's own.

    Attributes:
        basis: ``[d, k]``, float32.
        note: What was done to make a basis of what the file holds; empty where nothing was.
        taken_for: What that was taken for, with its shape.
        origin: What its file says of where it is from; ``None`` where there is no file.
    """

    basis: torch.Tensor
    note: str
    taken_for: str = ""
    origin: Origin | None = None

    @property
    def told(self) -> str:
        """All of it in a line."""
        origin = [] if self.origin is None else [f"its file says: {self.origin}" if str(self.origin) else _SAYS_NOTHING]
        return "; ".join([f"taken for {self.taken_for}", self.note or "of unit length as it was", *origin])


_SAYS_NOTHING = "its file does not say where it is from"


def read_user_subspace(
    file: Path, width: int, tensor: str | None = None, rows: str | Sequence[int] | None = None
) -> UserSubspace:
    """Reads a subspace from a file.

    The tensor is ``[d]``, ``[k, d]`` or ``[d, k]``, in floating-point numbers; the side that is as long as the
    component is wide is ``d``. Vectors that are not orthogonal are a list of which some have to be chosen, unless they
    are of a kind that ``kinds`` knows. Whole numbers are a set of neurons. With more axes before ``d``, such as
    ``[positions, layers, d]``, one index for each names a direction.

    Args:
        file: One that ``held`` reads, or an SAE's folder. Nothing in it is unpickled but tensors.
        width: Dimensions of the component, ``d``.
        tensor: Name of the tensor in the file; may be left out if there is one only, or one of a kind that is known.
        rows: Which of the tensor's vectors span the subspace, counted from 0: numbers, or text such as ``17``,
            ``3,5,9`` or ``0:4`` (without the end). The vectors are the rows, or the columns of a tensor ``[d, n]`` with
            another ``n`` than ``d`` and of a rotation. With more axes before ``d`` an index for each: ``-1,10``.

    Raises:
        InputError: If the file is missing, cannot be read or is refused, the tensor cannot be told or found, its shape
            or numbers do not fit, or its vectors depend on one another.
    """
    held = read_held(file)
    every, meant = vectors_in(file, held, width)
    name, rows = _choose(file, every, meant, tensor, rows)
    given = undivided(held, name, every[name], width)
    if tensor is None and len(every) > 1 and not given.kind:
        given = given.after(f"took {name}, the only one of its tensors that may be meant")
    where = f"{file}#{name}" if name else str(file)
    choices = where if name else f"{where}#"
    # A file of one tensor is often called after where it is from, as in vec_layer_10.pt.
    called = name or (file.stem if re.search("[A-Za-z]", file.stem) else "")
    found = _subspace(where, given, width, rows, choices, origin_of(held.said, called))
    shape = list(held.tensors.get(name, every[name].values).shape)
    return replace(found, taken_for=f"{found.taken_for}, {shape}{f' of {held.tool}' if held.tool else ''}")


def user_subspace(where: str, values: torch.Tensor, width: int) -> UserSubspace:
    """A subspace of one's own from a tensor.

    Args:
        where: What messages call it.
        values: ``[d]``, ``[k, d]`` or ``[d, k]``, or the numbers of neurons, as for ``read_user_subspace``.
        width: Dimensions of the component, ``d``.

    Raises:
        InputError: As ``read_user_subspace``, for what is wrong with the tensor.
    """
    found = _subspace(where, Vectors(values), width, None, None, None)
    return replace(found, taken_for=f"{found.taken_for}, {list(values.shape)}")


def parse_spec(text: str) -> tuple[Path, str | None, str | None]:
    """File, tensor and rows of the command line's ``file[#tensor[:rows]]``; ``file#:rows`` names no tensor.

    Where a tensor's own name holds a colon, ``read_user_subspace`` finds it all the same.

    Raises:
        InputError: If it names no file.
    """
    file, mark, rest = text.rpartition("#")
    if not mark or Path(text).suffix.lower() in READERS:  # pyvene's own files are called intkey_...#0.bin
        file, rest = text, ""
    if not file:
        raise InputError(f"{text!r} names no file; write file#tensor:rows, such as sae/#W_dec:17 or probe.npy")
    tensor, colon, rows = rest.partition(":")
    return _at_home(file), tensor or None, rows if colon else None


def _at_home(file: str) -> Path:
    """A file by its name; a shell leaves the ``~`` of ``label=~/file`` as it is."""
    return Path.home() / file[2:] if file.startswith("~/") else Path(file)


def _choose(
    file: Path,
    every: Mapping[str, Vectors],
    meant: Sequence[str],
    tensor: str | None,
    rows: str | Sequence[int] | None,
) -> tuple[str, str | Sequence[int] | None]:
    """Which tensor and which of its rows are meant.

    Raises:
        InputError: If the file has no such tensor, or several and none is named.
    """
    if tensor is None:
        if len(meant) > 1:
            raise InputError(f"{file} has several tensors ({_some(meant)}); name one, as in {file}#{meant[0]}")
        return meant[0], rows
    if tensor in every:
        return tensor, rows
    if isinstance(rows, str):
        # A name may hold a colon, which the command line takes for the start of the rows.
        pieces = f"{tensor}:{rows}".split(":")
        for end in range(len(pieces), 1, -1):
            if (name := ":".join(pieces[:end])) in every:
                return name, ":".join(pieces[end:]) or None
    it_has = _some(list(every)) or "one without a name, so leave the name out"
    raise InputError(f"{file} has no tensor {tensor}; it has {it_has}")


def _some(names: Sequence[str]) -> str:
    """Names in words, the first of many."""
    return ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")


def _subspace(
    where: str,
    given: Vectors,
    width: int,
    rows: str | Sequence[int] | None,
    choices: str | None,
    origin: Origin | None,
) -> UserSubspace:
    """The subspace that vectors span.

    Args:
        where: For messages.
        given: What the file holds.
        width: ``d``.
        rows: As in ``read_user_subspace``.
        choices: What stands before rows; ``None`` where there is no file.
        origin: What the file says.

    Raises:
        InputError: As ``read_user_subspace``.
    """
    if given.refused:
        raise InputError(f"{where} {given.refused}")
    shape = list(given.values.shape)
    given = _neurons(where, given, width) if not given.values.dtype.is_floating_point else given
    given = replace(given, values=given.values.detach().to_dense())
    notes = [given.done]
    if given.values.ndim > 2 and len(_indices_of(rows)) != given.values.ndim - 1:
        given = replace(given, values=given.values.squeeze())  # axes of one are of no matter
    if given.values.ndim > 2:
        indices = _indices(where, rows, list(given.values.shape), width)
        notes.append(f"took {list(indices)} of {list(given.values.shape[:-1])}")
        if origin is not None and _are_positions_and_layers(given):
            notes.append("these are read as positions, the last ones of a prompt, and layers")
            origin = _by_position_and_layer(origin, indices, given.values.shape)
        given, rows = replace(given, values=given.values[indices]), None
    vectors, transposed = _vectors(where, given, shape, width)
    count, choice = len(vectors), _choice(choices, len(vectors))
    chosen = given.meant if rows is None else _picked(where, rows, count)
    if chosen is None and count > 1 and given.together is False:
        raise InputError(f"{where} is a list of {count} {given.kind or 'directions'}; {choice}")
    if chosen is None and count == width > 1:
        raise InputError(
            f"{where} spans all {width} dimensions, which an audit patches as the whole component; {choice}"
        )
    if rows is not None:
        notes.append(f"took {len(chosen or ())} of its {count} vectors")
    elif transposed:
        notes.append(f"transposed: it was {shape}")
    vectors = vectors if chosen is None else vectors[chosen]
    if not len(vectors):
        raise InputError(f"{where} has 0 vectors in {width} dimensions; save it anew")
    if len(vectors) > width:
        raise InputError(f"{where} has {len(vectors)} vectors in {width} dimensions; {choice}")
    is_open = chosen is None and given.together is None
    basis, *done = _basis(where, vectors, choice if is_open else None)
    if not given.kind and looks_like_mask(vectors):
        raise InputError(
            f"{where} has no numbers below 0 or above 1, as a mask over neurons does; {neurons_of(vectors)}; if it is "
            "a direction, save it at unit length, w / numpy.linalg.norm(w)"
        )
    kind = given.kind or ("a direction" if basis.shape[1] == 1 else f"a basis of {basis.shape[1]} directions")
    return UserSubspace(basis, "; ".join(note for note in (*notes, *done) if note), kind, origin)


def _choice(choices: str | None, count: int) -> str:
    """How some of several vectors are chosen."""
    two = "; of a probe of two classes it is the difference" if count == 2 else ""
    if choices is None:
        return f"give one of them, or a basis of their span{two}"
    return f"choose one, as in {choices}:0, or the span of some, as in {choices}:0:{min(count, _FEW)}{two}"


def _neurons(where: str, given: Vectors, width: int) -> Vectors:
    """The axes of a set of neurons: whole numbers that name them, or a mask that is on for them.

    Raises:
        InputError: If the numbers name no neurons, or all of them.
    """
    values, dtype = given.values.squeeze(), given.values.dtype
    values = values[None] if values.ndim == 0 else values
    if dtype.is_complex or values.is_quantized or values.ndim != 1:
        raise not_floats(where, dtype_name(dtype))
    is_mask = len(values) == width and bool(((values == 0) | (values == 1)).all())
    neurons = (values.nonzero().flatten() if is_mask else values).long()
    if not is_mask and (dtype == torch.bool or len(neurons.unique()) < len(neurons)):
        raise not_floats(where, dtype_name(dtype))
    if not len(neurons) or not 0 <= int(neurons.min()) <= int(neurons.max()) < width:
        raise InputError(
            f"{where} holds whole numbers that are no neurons from 0 to {width - 1}; save vectors as float32"
        )
    axes = torch.zeros(len(neurons), width).scatter_(1, neurons[:, None], 1)
    return replace(given, values=axes, kind=f"a set of {len(neurons)} neurons", rows=True, together=True)


def _indices_of(rows: str | Sequence[int] | None) -> tuple[int, ...]:
    """The numbers that rows are, none where they are something else."""
    text = rows if isinstance(rows, str) else ",".join(map(str, rows or ()))
    return tuple(int(part) for part in text.split(",")) if _INDICES.fullmatch(text) else ()


def _indices(where: str, rows: str | Sequence[int] | None, shape: Sequence[int], width: int) -> tuple[int, ...]:
    """One index for each axis before ``d``.

    Raises:
        InputError: If there are others, or ``d`` is not the last axis.
    """
    axes = shape[:-1]
    if shape[-1] != width:
        raise InputError(
            f"{where} has shape {list(shape)}, the last side of which is not the component's width of {width}"
        )
    found = _indices_of(rows)
    if len(found) != len(axes) or not all(-size <= index < size for index, size in zip(found, axes, strict=True)):
        last = ",".join(str(size - 1) for size in axes)
        raise InputError(
            f"{where} has shape {list(shape)}; give one index for each of the first {len(axes)} axes, from 0 up to "
            f"{last}, as in {where}{'' if '#' in where else '#'}:{last}"
        )
    return found


def _are_positions_and_layers(given: Vectors) -> bool:
    """Whether the axes before ``d`` are read as these: two, neither of one alone, as a batch is; and no SAE's."""
    axes = given.values.shape[:-1]
    return not given.kind and len(axes) == _POSITIONS_LAYERS and min(axes) > 1


def _by_position_and_layer(origin: Origin, indices: Sequence[int], shape: Sequence[int]) -> Origin:
    """What the indices into ``[positions, layers, d]`` say."""
    (position, layer), (positions, layers, _) = indices, shape
    return replace(origin, position=position % positions - positions, layer=layer % layers)


def _vectors(where: str, given: Vectors, shape: Sequence[int], width: int) -> tuple[torch.Tensor, bool]:
    """The vectors of a tensor of one axis or two.

    Args:
        where: For messages.
        given: The tensor.
        shape: Its shape in the file.
        width: ``d``.

    Returns:
        The vectors as rows, ``[k, d]`` in the file's dtype, and whether their shape alone says that they are rows.

    Raises:
        InputError: If the shape does not fit, or leaves open which side the vectors are.
    """
    values = given.values
    sides = list(values.shape)
    if not sides:
        raise InputError(f"{where} has shape {list(shape)}; a subspace is [d], [k, d] or [d, k]")
    if width not in sides:
        raise InputError(
            f"{where} has shape {list(shape)}, no side of which is the component's width of {width}; choose the hook "
            "at which it was found"
        )
    if len(sides) == 1:
        return values[None], False
    if given.rows is None and sides == [width, width] and width > 1:
        raise InputError(
            f"{where} is square ({sides}), so that its rows and its columns cannot be told apart; save the vectors "
            "that are meant alone, as [k, d] with k < d"
        )
    lying = sides[1] == width if given.rows is None else given.rows
    if sides[lying] != width:
        raise InputError(
            f"{where} has vectors of {sides[lying]} dimensions, the component has {width}; choose the component that "
            "they are of"
        )
    return (values if lying else values.mT), lying and given.rows is None


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
            raise InputError(f"{where}: {rows!r} are no rows; write a number, several (3,5,9) or a range (0:4), from 0")
        first = int(match[1])
        ranges.append((first, first + 1 if match[2] is None else int(match[2])))
    for first, stop in ranges:
        if not 0 <= first < stop <= count:
            asked = str(first) if stop == first + 1 else f"{first}:{stop}"
            raise InputError(f"{where} has {count} vectors, from 0 to {count - 1}; there is no {asked} to choose")
    if not ranges:
        raise InputError(f"{where}: no rows are chosen; name one at least, or leave the choice out")
    return [row for first, stop in ranges for row in range(first, stop)]


def _basis(where: str, vectors: torch.Tensor, choice: str | None) -> tuple[torch.Tensor, str, str]:
    """The basis of a span.

    Args:
        where: For messages.
        vectors: ``[k, d]``, of any floating-point dtype.
        choice: How some are chosen, where nobody said that all of them are meant.

    Returns:
        The basis, ``[d, k]``, and what was done to its numbers and its columns.

    Raises:
        InputError: If a number is not finite, a vector is zero or depends on the others, or they are a list of which
            some have to be chosen.
    """
    k = len(vectors)
    if not vectors.double().isfinite().all():
        raise InputError(f"{where} holds NaN or infinite numbers; save it without them")
    if zero := (vectors.double() == 0).all(1).nonzero().flatten().tolist():
        raise InputError(f"{where} is zero{f' in vector {zero[0]} of {k}' if k > 1 else ''}, which is no direction")
    unit, lengths = unit_rows(vectors)
    cosine = (unit @ unit.mT - torch.eye(k)).abs().max().item()
    if choice is not None and not are_orthogonal(vectors):
        raise InputError(
            f"{where} is a list of {k} directions and no basis, with cosines of up to {cosine:.2g}; {choice}"
        )
    precision = precision_of(vectors)
    independent = int((torch.linalg.svdvals(unit) > max(SMALLEST_AXIS, precision.eps) * k**0.5).sum())
    if independent < k:
        raise InputError(
            f"{where} has {k} vectors, only {independent} of which are independent; leave out what the others add up to"
        )
    is_short = torch.finfo(vectors.dtype).bits < 32
    converted = f"converted from {dtype_name(vectors.dtype)}" if is_short else ""
    if cosine > ORTHONORMAL:
        return (
            orthonormal(unit.mT).float().contiguous(),
            converted,
            f"orthonormalised: the largest cosine between two of its vectors was {cosine:.2g}",
        )
    if (lengths - 1).abs().max() <= ORTHONORMAL:
        return vectors.mT.float().contiguous(), converted, ""
    sizes = dict.fromkeys(f"{length:.6g}" for length in (lengths.min(), lengths.max()))
    words = "its norm was" if k == 1 else "its vectors' norms were"
    return unit.mT.float().contiguous(), converted, f"normalised: {words} {' to '.join(sizes)}"
