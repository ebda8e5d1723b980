"""What a file says of where its directions are from, in whatever words its tool has for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.held import CONTROL_VECTOR

_HOOK = ("hook_name_out", "hook_name", "hook_point", "hookpoint", "hook", "act_name", "submodule_name")
_LAYER = ("layer", "hook_layer", "layer_idx", "layer_index", "layer_id", "block")
_POSITION = ("position", "pos", "token_position", "token_pos", "position_idx", "pos_idx")
_BOS = ("prepend_bos", "add_bos", "bos")
_MODEL = ("model_name", "model", "lm_name", "model_id", "model_hint")
"""What tools call each; of several the first counts."""
_TRUTH = {"true": True, "false": False}
_MODULE = re.compile(r"(?:.*\.)?(?:layers|h|blocks)\.(\d+)(?:\.(mlp|self_attn|attention|attn))?")
_POINTS = {None: "hook_resid_post", "mlp": "hook_mlp_out"}
"""Where a block's modules hand on, by how transformers calls them; attention where it is none of these."""
_NAMED = re.compile(r"(?:^|.*\.)(?:layers?|layer_activations|blocks?)[._]?(\d+)(?:\..*)?|\d+")
"""A tensor's name that says its layer."""


@dataclass(frozen=True)
class Origin:
    """Where directions are from, as far as their file says.

    Attributes:
        hook: The hook or module, in the file's own words.
        layer: The layer, however it counts.
        position: The token that was read: an index, from the end where it is negative, or words.
        bos: Whether a beginning-of-sequence token stood before the prompts.
        model: The model's name.
    """

    hook: str = ""
    layer: int | None = None
    position: int | str | None = None
    bos: bool | None = None
    model: str = ""

    @property
    def site(self) -> Site | None:
        """The hook as a site, where it is the name of one or of a module that transformers calls so."""
        try:
            return Site.parse(self.hook)
        except InputError:
            module = _MODULE.fullmatch(self.hook)
        return None if module is None else Site(int(module[1]), _POINTS.get(module[2], "hook_attn_out"))

    def __str__(self) -> str:
        """All that is said, in words; empty where nothing is."""
        bos = {True: "with a beginning-of-sequence token", False: "without a beginning-of-sequence token", None: ""}
        parts = [
            self.hook,
            "" if self.layer is None else f"layer {self.layer}",
            "" if self.position is None else f"position {self.position}",
            bos[self.bos],
            f"model {self.model}" if self.model else "",
        ]
        return ", ".join(part for part in parts if part)


def origin_of(said: Mapping[str, Any], tensor: str) -> Origin:
    """What a file says of a tensor.

    Args:
        said: The numbers and words beside it, by name.
        tensor: Its name, which may say the layer or, in an audit's own files, the hook.
    """
    words = {name.rpartition(".")[2].lower(): value for name, value in reversed(list(said.items()))}
    hook = next((str(words[name]) for name in _HOOK if words.get(name)), "")
    if added := CONTROL_VECTOR.fullmatch(tensor):
        hook = f"blocks.{added[1]}.hook_resid_post"  # to which llama.cpp adds it, and where repeng reads it
    elif hook and (head := _whole(words.get("hook_head_index"))) is not None:
        hook = f"{hook}.{head}"
    elif tensor.startswith("blocks.") and ":" in tensor:  # an audit's own subspaces.safetensors
        hook = tensor.partition(":")[0]
    layer = None if ":" in tensor else _NAMED.fullmatch(tensor)
    given = next((number for name in _LAYER if (number := _whole(words.get(name))) is not None), None)
    position = next((words[name] for name in _POSITION if words.get(name) is not None), None)
    bos = next((_TRUTH[text] for name in _BOS if (text := str(words.get(name)).lower()) in _TRUTH), None)
    return Origin(
        hook=hook,
        layer=given if layer is None else int(layer[1] or tensor),
        position=position if (number := _whole(position)) is None else number,
        bos=bos,
        model=next((str(words[name]) for name in _MODEL if words.get(name)), ""),
    )


def _whole(value: Any) -> int | None:
    """The whole number that a value is or spells."""
    try:
        return None if isinstance(value, bool) else int(str(value))
    except ValueError:
        return None
