"""What a file says of where its directions are from, in whatever words its tool has for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subspace_illusion.core.other_names import ours
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
_NAMED_HOOK = re.compile(r"blocks\.\d+\.(?:\w+\.)*?(?:hook_z\.\d+|hook_\w+)")
_NAMED_LAYER = re.compile(
    r"(?:^|[./_ -])(?:(?:layers?|layer_activations|layer_idx|blocks?)[._/ -]?|h[./])(\d+)|(?:^|[./])l(\d+)(?=$|[./])",
    re.IGNORECASE,
)
_NAMED_POSITION = re.compile(r"(?:^|[./_ -])(?:pos|positions?|tok|tokens?)[._/ ]?(-?\d+)", re.IGNORECASE)
"""What a tensor's own name says."""
_NUMBERS_ALONE = re.compile(r"[\s\d./,()-]+")
"""A name of numbers alone: a layer, or a position counted from the end beside it."""


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
        """The hook as a site, where it is the name of one, or of a module that gives what a site holds."""
        try:
            return Site.parse(self.hook)
        except InputError:
            site, _ = ours(f"{self.hook}.output") or (None, "")
        return None if site is None else Site.parse(site)

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
    words = {re.split(r"[./]", name)[-1].lower(): value for name, value in reversed(list(said.items()))}
    hook = next((str(words[name]) for name in _HOOK if words.get(name)), "")
    name = tensor
    if added := CONTROL_VECTOR.fullmatch(tensor):
        hook = f"blocks.{added[1]}.hook_resid_post"  # to which llama.cpp adds it, and where repeng reads it
    elif named := _NAMED_HOOK.match(tensor):
        hook, name = named[0], tensor[named.end() :]
    elif hook and (head := _whole(words.get("hook_head_index"))) is not None:
        hook = f"{hook}.{head}"
    layer, position = (None, None) if ":" in name else _named(name)  # an audit's own, which may be called anything
    layers = (layer, *(_whole(words.get(name)) for name in _LAYER))
    positions = (position, *(words.get(name) for name in _POSITION))
    place = next((value for value in positions if value is not None), None)
    bos = next((_TRUTH[text] for name in _BOS if (text := str(words.get(name)).lower()) in _TRUTH), None)
    return Origin(
        hook=hook,
        layer=next((value for value in layers if value is not None), None),
        position=place if (number := _whole(place)) is None else number,
        bos=bos,
        model=next((str(words[name]) for name in _MODEL if words.get(name)), ""),
    )


def _named(tensor: str) -> tuple[int | None, int | None]:
    """The layer and the position in a tensor's name."""
    if _NUMBERS_ALONE.fullmatch(tensor):
        numbers = [int(text) for text in re.findall(r"-?\d+", tensor)]
        layers, positions = [n for n in numbers if n >= 0], [n for n in numbers if n < 0]
        if len(layers) == 1 and len(positions) < 2:
            return layers[0], (positions or [None])[0]
        return None, None
    layer, position = _NAMED_LAYER.search(tensor), _NAMED_POSITION.search(tensor)
    return None if layer is None else int(layer[1] or layer[2]), None if position is None else int(position[1])


def _whole(value: Any) -> int | None:
    """The whole number that a value is or spells."""
    try:
        return None if isinstance(value, bool) else int(str(value))
    except ValueError:
        return None
