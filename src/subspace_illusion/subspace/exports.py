"""What was trained, as files that other tools open."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_json
from subspace_illusion.subspace.formats import to_pyvene, to_transformer_lens
from subspace_illusion.subspace.keys import SubspaceKey

_SAELENS = "6.0.0"
"""The first version with this layout; where none is named, SAELens looks for an older one and finds no hook."""

Bases = Mapping[SubspaceKey, torch.Tensor]


def write_for(tool: str, folder: Path, bases: Bases, model: Mapping[str, Any]) -> None:
    """Writes subspaces into a folder that is there.

    Args:
        tool: One of ``TOOLS``.
        folder: Where to.
        bases: ``[d, k]``, each with its component, a hook.
        model: What is known of the model: its ``architecture``, and its ``path`` where it has one.

    Raises:
        InputError: If the tool is unknown, or takes no such subspace.
    """
    if tool not in TOOLS:
        raise InputError(f"'{tool}' is no tool that is written for; take one of {', '.join(TOOLS)}")
    TOOLS[tool](folder, bases, model)


def _transformer_lens(folder: Path, bases: Bases, _: Mapping[str, Any]) -> None:
    """A file each with the tensor ``basis``, which ``SubspaceInterchange`` takes."""
    for key, basis in bases.items():
        save_file({"basis": to_transformer_lens(basis)}, folder / f"{_named(key)}.safetensors")


def _pyvene(folder: Path, bases: Bases, _: Mapping[str, Any]) -> None:
    """A file each with the state of a ``LowRankRotatedSpaceIntervention``."""
    for key, basis in bases.items():
        torch.save(to_pyvene(basis), folder / f"intkey_{_named(key)}.bin")


def _saelens(folder: Path, bases: Bases, model: Mapping[str, Any]) -> None:
    """A folder each with an SAE whose reconstruction is the projection on the subspace: every column is a feature, and
    behind all of them every column turned round, since a feature is never negative."""
    for key, basis in bases.items():
        site = Site.parse(key.component)
        both = torch.cat([basis, -basis], dim=1)
        d_in, d_sae = both.shape
        weights = dict(W_enc=both, W_dec=both.mT, b_enc=torch.zeros(d_sae), b_dec=torch.zeros(d_in))
        place = folder / _named(key)
        place.mkdir()
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, place / "sae_weights.safetensors")
        about = dict(
            sae_lens_version=_SAELENS, hook_name=site.hook, hook_head_index=site.head, model_name=_name_of(model)
        )
        config = dict(architecture="standard", d_in=d_in, d_sae=d_sae, dtype="float32", device="cpu")
        config |= dict(apply_b_dec_to_input=False, normalize_activations="none", reshape_activations="none")
        write_json(place / "cfg.json", config | dict(metadata=about))


def _gguf(folder: Path, bases: Bases, model: Mapping[str, Any]) -> None:
    """A control vector each seed: llama.cpp adds ``direction.N`` to what block N hands on.

    Raises:
        InputError: If a subspace is of another place or of several dimensions.
    """
    import gguf

    by_seed: dict[str, dict[int, torch.Tensor]] = {}
    for key, basis in bases.items():
        site = Site.parse(key.component)
        if not (site.enters_block and site.start > 1 and basis.shape[1] == 1):
            raise InputError(
                f"{key.component}: a control vector is one direction of the residual stream behind block 1 or a later "
                f"one, and this is {basis.shape[1]} of {site.point} in block {site.block}; take another tool"
            )
        by_seed.setdefault(f"{key.method}.{key.seed_text}", {})[site.start - 1] = basis[:, 0]
    for name, directions in by_seed.items():
        writer = gguf.GGUFWriter(folder / f"{name}.gguf", "controlvector")
        writer.add_string("controlvector.model_hint", _name_of(model))
        writer.add_uint32("controlvector.layer_count", len(directions))
        for block, direction in directions.items():
            writer.add_tensor(f"direction.{block}", direction.numpy())
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


TOOLS: Mapping[str, Callable[[Path, Bases, Mapping[str, Any]], None]] = dict(
    transformer_lens=_transformer_lens, pyvene=_pyvene, saelens=_saelens, gguf=_gguf
)
"""The tools that are written for, by name."""


def _named(key: SubspaceKey) -> str:
    return f"{key.component}.{key.method}.{key.seed_text}"


def _name_of(model: Mapping[str, Any]) -> str:
    return Path(model["path"]).name if model.get("path") else str(model["architecture"])
