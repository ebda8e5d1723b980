"""Models whose modules are placed on several devices, in the processor's memory or on disk, by a device map.

transformers has accelerate put hooks on such modules, which bring inputs and weights to where they compute for as long
as a module runs. What is asked of a module outside a run has to bring its own.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from subspace_illusion.core.checkpoints import meta_model
from subspace_illusion.core.forwards import forwards
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_json

PLANS = ("auto", "balanced", "balanced_low_0", "sequential")
"""What transformers makes a map from by itself."""
OFFLOADED = ("cpu", "disk")
"""Where modules may be besides GPUs."""
DeviceMap = str | Mapping[str, str | int]
"""One of ``PLANS``, a device, or modules by their name in transformers with the device of each."""

_HOOK = "_hf_hook"


def read_device_map(given: Any) -> DeviceMap:
    """A device map as a user gives it: what ``DeviceMap`` says, or a JSON file with a mapping.

    Raises:
        InputError: If it is none, or names a device that is not there.
    """
    if isinstance(given, str) and given.endswith(".json"):
        if not Path(given).is_file():
            raise InputError(f"device_map {given}: there is no such file")
        try:
            found = read_json(Path(given))
        except InputError as error:
            raise InputError(f"device_map {given} is no JSON: write a mapping of modules to devices") from error
        name = f"device_map {given}"
    else:
        found, name = given, "device_map"
    if isinstance(found, str):
        if found not in PLANS:
            _check_device(found, f"{name} is '{found}'", found == "disk")
        return found
    if not isinstance(found, Mapping) or not found:
        raise InputError(f"{name} has to be {_WORDS}")
    if set(found.values()) == {"disk"}:
        raise InputError(f"{name} has everything on disk: put something on cpu, such as the embedding")
    for module, device in found.items():
        _check_device(device, f"{name} has '{module}' on '{device}'")
    if {str(device) for device in found.values()}.isdisjoint(OFFLOADED) or all(x in OFFLOADED for x in found.values()):
        return dict(found)
    raise InputError(
        f"{name} has modules on a GPU and on {' or '.join(x for x in OFFLOADED if x in found.values())}: "
        "transformer_lens runs models that are on GPUs alone, or on processor and disk"
    )


_WORDS = f"{', '.join(PLANS)}, a device such as cuda:1, or a mapping of modules to devices, cpu or disk"


def _check_device(device: Any, words: str, refused: bool = False) -> None:
    """Makes sure that there is such a device on this machine."""
    if device in OFFLOADED and not refused:
        return
    try:
        if refused or isinstance(device, bool) or not isinstance(device, str | int):
            raise RuntimeError
        found = torch.device(device)
        there = 1 if found.type == "cpu" else int(getattr(torch, found.type).device_count())
    except (RuntimeError, AttributeError) as error:
        raise InputError(f"{words}, which is no device: give {_WORDS}") from error
    if (found.index or 0) >= there:
        raise InputError(f"{words}, but torch finds {there} devices of the kind {found.type} here")


def fitted(device_map: DeviceMap, folder: Path) -> DeviceMap:
    """A map as transformers takes it, for a model whose weights are not read yet: of modules that lie in one another
    the innermost counts, and is not named twice.

    Args:
        device_map: The map.
        folder: The model's.

    Raises:
        InputError: If it names what is no module of the model, or leaves one out.
    """
    if isinstance(device_map, str):
        return device_map
    model = meta_model(folder)
    names = dict(model.named_modules())
    if unknown := [name for name in device_map if name not in names]:
        blocks = next((name for name, module in names.items() if isinstance(module, torch.nn.ModuleList)), "")
        raise InputError(
            f"device_map has '{unknown[0]}', which the model does not have; its modules are "
            f"{', '.join(name for name, _ in model.named_children())}, and its blocks {blocks}.0 and so on"
        )
    found = dict(_innermost(model, "", None, device_map, set(getattr(model, "all_tied_weights_keys", ()))))
    embedding = next(name for name, module in names.items() if module is model.get_input_embeddings())
    if found.get(next((name for name in _around(embedding) if name in found), "")) == "disk":
        raise InputError(
            f"device_map has the embedding, {embedding}, on disk, where transformer_lens cannot run it: put it on cpu"
        )
    return found


def _around(name: str) -> Iterator[str]:
    """A module's name, and those of the modules that it lies in, the innermost first."""
    while name:
        yield name
        name = name.rpartition(".")[0]
    yield ""


def _innermost(
    module: torch.nn.Module,
    name: str,
    above: str | int | None,
    device_map: Mapping[str, str | int],
    tied: Collection[str],
) -> Iterator[tuple[str, str | int]]:
    """The modules that are placed whole, with the device of each; ``above`` is that of the module around this one."""
    device, inside = device_map.get(name, above), f"{name}." if name else ""
    if any(other.startswith(inside) and other != name for other in device_map):
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        yield from ((inside + weight, device) for weight, _ in own if device is not None)
        for child, below in module.named_children():
            yield from _innermost(below, inside + child, device, device_map, tied)
    elif device is not None:
        yield name, device
    elif weights := [inside + weight for weight in module.state_dict() if inside + weight not in tied]:
        raise InputError(f"device_map leaves out {name} ({weights[0]}): give it a device, or '' one for all the rest")


def placed_on(model: Any) -> Mapping[str, str | int]:
    """By module where a transformers model is placed; nothing where it is on one device without a map."""
    return dict(getattr(model, "hf_device_map", None) or {})


def device_of(module: torch.nn.Module, otherwise: torch.device) -> torch.device:
    """Where a module computes, also while its weights are somewhere else.

    Args:
        module: The module.
        otherwise: Where one without weights does.
    """
    for part in module.modules():
        device = getattr(part.__dict__.get(_HOOK), "execution_device", None)
        if device is not None:
            return torch.device(device)
    first = next(module.parameters(), None)
    return otherwise if first is None else first.device


@contextmanager
def at_hand(module: torch.nn.Module) -> Iterator[None]:
    """Within, the weights of a module and of its parts are where it computes."""
    from accelerate.utils import align_module_device

    with ExitStack() as stack:
        for part in module.modules():
            stack.enter_context(align_module_device(part))
        yield


@contextmanager
def unhooked(module: torch.nn.Module) -> Iterator[None]:
    """Within, nothing brings the weights of a module and of its parts: for other weights in their place."""
    hooks = {part: part.__dict__.pop(_HOOK) for part in module.modules() if _HOOK in part.__dict__}
    try:
        with forwards({part: part.__dict__["_old_forward"] for part in hooks}):
            yield
    finally:
        for part, hook in hooks.items():
            part.__dict__[_HOOK] = hook


def is_offloaded(module: torch.nn.Module) -> bool:
    """Whether a module's weights are brought to it only while it runs."""
    return bool(getattr(module.__dict__.get(_HOOK), "offload", False))
