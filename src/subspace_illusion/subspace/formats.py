"""Subspaces for other tools: a documented file, transformer_lens' basis, pyvene's rotation.

The file is safetensors. Each tensor is a basis, ``[d, k]`` float32 with orthonormal columns in the component's own
basis, by its label, such as ``trained:0`` (method, seed). The header's metadata are strings:

| key | what |
| --- | --- |
| ``format`` | ``subspace-illusion/1`` |
| ``model``, ``model_sha256`` | the model's name, and the hash of its weights |
| ``hook`` | transformer_lens' name of the component, such as ``blocks.20.mlp.hook_post`` |
| ``position`` | the token where it is read and patched |
| ``task`` | the task that the subspaces were trained on |
| ``seeds`` | the training seeds |
| ``rank`` | the most columns that a basis has |

Further keys may stand beside them. A single basis is also what ``read_user_subspace`` takes:
``file.safetensors#trained:0``.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_write, read_safetensors

FORMAT = "subspace-illusion/1"
ABOUT = ("model", "model_sha256", "hook", "position", "task", "seeds")
"""What a file says of its subspaces, besides the format and the rank."""

ORTHONORMAL = 1e-4
"""How far the columns' inner products may be from 0 and 1."""


def write_subspace_file(path: Path, bases: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> None:
    """Writes bases for others; equal bases make equal files.

    Args:
        path: The file, ``.safetensors``.
        bases: Bases by label, all of one component.
        about: ``ABOUT``, and what else is worth saying; ``format`` and ``rank`` are added.

    Raises:
        InputError: If something is not said, or a basis is none.
    """
    _check_about(path, about)
    rank = _check_bases(path, bases)
    metadata = {**about, "format": FORMAT, "rank": str(rank)}
    raw = save({label: basis.detach().contiguous() for label, basis in bases.items()}, metadata)
    # safetensors writes the metadata in another order each time, and DVC would take that for a change.
    end = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:end]) | {"__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as partial:
        partial.write_bytes(len(text).to_bytes(8, "little") + text + raw[end:])


def read_subspace_file(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Reads what ``write_subspace_file`` wrote.

    Returns:
        Bases by label, and what the file says of them.

    Raises:
        InputError: If it cannot be read or has another layout.
    """
    bases, about = read_safetensors(path)
    if about.get("format") != FORMAT:
        raise InputError(
            f"{path} is of format {about.get('format')!r} and not {FORMAT!r}; one of its tensors can still be read "
            "as a subspace of one's own"
        )
    _check_about(path, about)
    rank = _check_bases(path, bases)
    if about.get("rank") != str(rank):
        raise InputError(f"{path} says rank {about.get('rank')!r}, but its bases have {rank}; write it again")
    return bases, about


def to_transformer_lens(basis: torch.Tensor) -> torch.Tensor:
    """The basis for ``transformer_lens.tools.analysis.interchange.SubspaceInterchange``, ``[d_model, rank]``.

    transformer_lens takes the same convention (``h + (h_source - h) @ B @ B.T``) and the dtype of its activations, but
    does not check that the columns are orthonormal.

    Args:
        basis: ``[d, k]``.

    Raises:
        InputError: If the columns are not orthonormal.
    """
    _check_basis("the basis", basis)
    return basis.detach().contiguous()


def to_pyvene(basis: torch.Tensor) -> dict[str, torch.Tensor]:
    """The state of a pyvene ``LowRankRotatedSpaceIntervention`` that patches along the basis.

    ``LowRankRotatedSpaceIntervention(embed_dim=d, low_rank_dimension=k).load_state_dict(to_pyvene(basis))``; saved with
    ``torch.save`` it is one of the ``intkey_*.bin`` of an ``IntervenableModel``. pyvene itself is not needed here, and
    ``read_user_subspace`` reads such a file back.

    Args:
        basis: ``[d, k]``.

    Raises:
        InputError: If the columns are not orthonormal.
    """
    _check_basis("the basis", basis)
    width, rank = basis.shape
    # pyvene keeps its weight as torch's orthogonal parametrisation does: an orthogonal base, here the basis and any
    # completion of it, and a turn away from it, where minus the identity stands for none.
    base = torch.linalg.qr(basis.detach().double(), mode="complete")[0].float()
    base[:, :rank] = basis.detach()
    return {
        "embed_dim": torch.tensor(width),
        "interchange_dim": torch.tensor(width),
        "rotate_layer.parametrizations.weight.original": -torch.eye(width, rank),
        "rotate_layer.parametrizations.weight.0.base": base,
    }


def _check_about(path: Path, about: Mapping[str, str]) -> None:
    if missing := [name for name in ABOUT if not isinstance(about.get(name), str)]:
        raise InputError(f"{path} needs {', '.join(missing)} said of its subspaces, as text")


def _check_bases(path: Path, bases: Mapping[str, torch.Tensor]) -> int:
    """The most columns that a basis has.

    Raises:
        InputError: If there is no basis, one is none, or they are of different components.
    """
    if not bases:
        raise InputError(f"{path} needs one basis at least")
    for label, basis in bases.items():
        _check_basis(f"{path}#{label}", basis)
    widths = sorted({basis.shape[0] for basis in bases.values()})
    if len(widths) > 1:
        raise InputError(f"{path} has bases of {' and '.join(map(str, widths))} dimensions; write one file for each")
    return max(basis.shape[1] for basis in bases.values())


def _check_basis(where: str, basis: torch.Tensor) -> None:
    """Checks that a tensor is a basis.

    Raises:
        InputError: If it is none.
    """
    shape = list(basis.shape)
    if basis.dtype != torch.float32 or len(shape) != 2 or not 0 < shape[1] <= shape[0]:
        dtype = dtype_name(basis.dtype)
        raise InputError(f"{where} is {dtype} {shape}; a basis is float32 [d, k] with k columns, one to d of them")
    error = (basis.mT @ basis - torch.eye(shape[1])).abs().max().item()
    if not error <= ORTHONORMAL:  # NaN is no less
        raise InputError(
            f"{where} has columns that are not orthonormal (off by {error:.2g}); orthonormalise them first"
        )
