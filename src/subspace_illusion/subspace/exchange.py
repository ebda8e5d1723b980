"""Subspaces for other tools: a documented file, transformer_lens' basis, pyvene's rotation.

The file is safetensors. Each tensor is a frame, ``[d, k]`` float32 with orthonormal columns in the component's own
basis, by its label, such as ``trained:0`` (way of choosing, seed). The header's metadata are strings:

| key | what |
| --- | --- |
| ``format`` | ``subspace-illusion/1`` |
| ``model``, ``model_sha256`` | the model's name, and the hash of its weights |
| ``hook`` | transformer_lens' name of the component, such as ``blocks.20.mlp.hook_post`` |
| ``position`` | the token where it is read and patched |
| ``task`` | the task that the subspaces were trained on |
| ``seeds`` | the training seeds |
| ``rank`` | the most columns that a frame has |

Further keys may stand beside them. A single frame is also what ``read_own`` takes: ``file.safetensors#trained:0``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line, whole

FORMAT = "subspace-illusion/1"
ABOUT = ("model", "model_sha256", "hook", "position", "task", "seeds")
"""What a file says of its subspaces, besides the format and the rank."""

ORTHONORMAL = 1e-4
"""How far the columns' inner products may be from 0 and 1."""


def write_subspace_file(path: Path, frames: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """Writes frames for others; equal frames make equal files.

    Args:
        path: The file, ``.safetensors``.
        frames: Frames by label, all of one component.
        about: ``ABOUT``, and what else is worth saying; ``format`` and ``rank`` are added.

    Raises:
        InputError: If something is not said, or a frame is none.
    """
    _check_about(path, about)
    rank = _check_frames(path, frames)
    metadata = {**about, "format": FORMAT, "rank": str(rank)}
    raw = save({label: frame.detach().contiguous() for label, frame in frames.items()}, metadata)
    # safetensors writes the metadata in another order each time, and DVC would take that for a change.
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end]) | {"__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with whole(path) as partial:
        partial.write_bytes(len(text).to_bytes(8, "little") + text + raw[end:])


def read_subspace_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Reads what ``write_subspace_file`` wrote.

    Returns:
        Frames by label, and what the file says of them.

    Raises:
        InputError: If it cannot be read or has another layout.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = dict(file.metadata() or {})
            frames = {label: file.get_tensor(label) for label in file.keys()}  # noqa: SIM118 (no mapping)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {one_line(error)}") from error
    if about.get("format") != FORMAT:
        raise InputError(
            f"{path} is of format {about.get('format')!r} and not {FORMAT!r}; one of its tensors can still be read "
            "as a subspace of one's own"
        )
    _check_about(path, about)
    rank = _check_frames(path, frames)
    if about.get("rank") != str(rank):
        raise InputError(f"{path} says rank {about.get('rank')!r}, but its frames have {rank}; write it again")
    return frames, about


def to_transformer_lens(frame: torch.Tensor) -> torch.Tensor:
    """The basis for ``transformer_lens.tools.analysis.interchange.SubspaceInterchange``, ``[d_model, rank]``.

    transformer_lens takes the same convention (``h + (h_source - h) @ B @ B.T``) and the dtype of its activations, but
    does not check that the columns are orthonormal.

    Args:
        frame: ``[d, k]``.

    Raises:
        InputError: If the columns are not orthonormal.
    """
    _check_frame("the frame", frame)
    return frame.detach().contiguous()


def to_pyvene(frame: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state of a pyvene ``LowRankRotatedSpaceIntervention`` that patches along the frame.

    ``LowRankRotatedSpaceIntervention(embed_dim=d, low_rank_dimension=k).load_state_dict(to_pyvene(frame))``; saved with
    ``torch.save`` it is one of the ``intkey_*.bin`` of an ``IntervenableModel``. pyvene itself is not needed here, and
    ``read_own`` reads such a file back.

    Args:
        frame: ``[d, k]``.

    Raises:
        InputError: If the columns are not orthonormal.
    """
    _check_frame("the frame", frame)
    width, rank = frame.shape
    # pyvene keeps its weight as torch's orthogonal parametrisation does: an orthogonal base, here the frame and any
    # completion of it, and a turn away from it, where minus the identity stands for none.
    base = torch.linalg.qr(frame.detach().double(), mode="complete")[0].float()
    base[:, :rank] = frame.detach()
    return {
        "embed_dim": torch.tensor(width),
        "interchange_dim": torch.tensor(width),
        "rotate_layer.parametrizations.weight.original": -torch.eye(width, rank),
        "rotate_layer.parametrizations.weight.0.base": base,
    }


def _check_about(path: Path, about: Mapping[str, str]) -> None:
    if missing := [name for name in ABOUT if not isinstance(about.get(name), str)]:
        raise InputError(f"{path} needs {', '.join(missing)} said of its subspaces, as text")


def _check_frames(path: Path, frames: Mapping[str, torch.Tensor]) -> int:
    """The most columns that a frame has.

    Raises:
        InputError: If there is no frame, one is none, or they are of different components.
    """
    if not frames:
        raise InputError(f"{path} needs one frame at least")
    for label, frame in frames.items():
        _check_frame(f"{path}#{label}", frame)
    widths = sorted({frame.shape[0] for frame in frames.values()})
    if len(widths) > 1:
        raise InputError(f"{path} has frames of {' and '.join(map(str, widths))} dimensions; write one file for each")
    return max(frame.shape[1] for frame in frames.values())


def _check_frame(where: str, frame: torch.Tensor) -> None:
    """Checks that a tensor is a frame.

    Raises:
        InputError: If it is none.
    """
    shape = list(frame.shape)
    if frame.dtype != torch.float32 or len(shape) != 2 or not 0 < shape[1] <= shape[0]:
        dtype = str(frame.dtype).removeprefix("torch.")
        raise InputError(f"{where} is {dtype} {shape}; a frame is float32 [d, k] with k columns, one to d of them")
    error = (frame.mT @ frame - torch.eye(shape[1])).abs().max().item()
    if not error <= ORTHONORMAL:  # NaN is no less
        raise InputError(
            f"{where} has columns that are not orthonormal (off by {error:.2g}); orthonormalise them first"
        )
