"""What a model's parts are: the one place that asks its modules, so that no architecture has a name in the code.

A part is known by what it does, or by the name that every TransformerBridge gives it. What a model has none of is
``None``.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from subspace_illusion.core.caches import every_position
from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.core.sites import MATRICES, Writer, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line

SEEN_AHEAD, ROUNDINGS = 1e-4, 4
"""How far a token may move the logits at the one before it, beside the largest of them, by rounding: so much, or so
many times what the dtype rounds a number of size 1 by."""
_BEFORE = {"attn": ("ln1",), "mlp": ("ln2", "ln1")}
_BEHIND = {"attn": "ln1_post", "mlp": "ln2_post"}


def norm_before(block: Any, part: Writer) -> tuple[torch.nn.Module, str] | None:
    """The norm through which a part reads the residual stream, and its name in the block: the MLP's own, or the one
    that it shares with attention (parallel blocks). ``None`` where the part reads the stream as it is."""
    return next(((getattr(block, name), name) for name in _BEFORE[part] if hasattr(block, name)), None)


def norm_behind(block: Any, part: Writer) -> torch.nn.Module | None:
    """The norm between what a part gives and what is added to the residual stream."""
    return getattr(block, _BEHIND[part], None)


def norm_at_end(bridge: Any) -> torch.nn.Module | None:
    """The norm between the last block and the unembedding."""
    return getattr(bridge, "ln_final", None)


def maps_in(mlp: Any) -> dict[str, Any]:
    """The linear modules into an MLP: ``in`` and, where it is gated, ``gate``."""
    return {name: getattr(mlp, name) for name in ("in", "gate") if hasattr(mlp, name)}


def has_experts(mlp: Any) -> bool:
    """Whether an MLP is a mixture of experts: it has no single matrix through which its hidden activations are read."""
    return not hasattr(mlp, "out")


def maps_into_heads(attention: Any, look_back: bool) -> list[Any]:
    """The linear modules through which heads read: queries; or, where they look back at a token, keys and values. None
    where attention does not have them all, as with latent keys."""
    names = ("k", "v") if look_back else ("q",)
    return [getattr(attention, name) for name in names] if all(hasattr(attention, name) for name in names) else []


Weights = Callable[[], tuple[torch.Tensor, torch.Tensor | None]]
"""Gives a linear module's weight ``[out, in]``, however it is stored, and bias, as they are at the moment: those of a
module that is offloaded come and go."""


def linear_modules(bridge: Any, start: int) -> dict[torch.nn.Module, Weights]:
    """The linear modules from a block on, the unembedding among them, with what gives their weights."""
    return linear_in(*bridge.blocks[start:], bridge.unembed)


def linear_in(*parts: torch.nn.Module) -> dict[torch.nn.Module, Weights]:
    """The linear modules of some modules, with what gives their weights."""
    from transformers.pytorch_utils import Conv1D

    found: dict[torch.nn.Module, Weights] = {}
    for part in parts:
        for module in part.modules():
            if isinstance(module, torch.nn.Linear):
                found[module] = partial(_weights_of, module, False)
            elif isinstance(module, Conv1D):
                found[module] = partial(_weights_of, module, True)
    return found


def _weights_of(module: Any, turned: bool) -> tuple[torch.Tensor, torch.Tensor | None]:
    return module.weight.T if turned else module.weight, module.bias


def how_blocks_run(bridge: Any, device: torch.device) -> tuple[tuple[int | None, ...], bool]:
    """What each block gives back: ``None`` for the residual stream alone, as a tensor; else a tuple, and how many other
    things stand in it behind the stream. And whether only whole prompts can be run, because not every block has
    attention that keeps the keys and values of earlier tokens.

    Raises:
        InputError: If the model cannot be run, looks ahead, or gives no numbers.
    """
    returned: dict[int, int | None] = {}
    streams: list[torch.Tensor] = []

    def hook(block: int) -> Any:
        def note(module: torch.nn.Module, args: Any, output: Any) -> None:
            returned[block] = len(output) - 1 if isinstance(output, tuple) else None

        return note

    def read(stream: torch.Tensor, hook: Any) -> None:
        streams.append(stream)

    name, dtype = type(bridge.original_model).__name__, next(bridge.parameters()).dtype
    handles = [block.register_forward_hook(hook(number)) for number, block in enumerate(bridge.blocks)]
    ids = torch.tensor([[0, 0], [0, 1]], device=device)  # which differ in the last token alone
    try:
        logits = _kept_by_all(bridge, ids)
        whole_prompts = logits is None
        if logits is None:
            stream = residual_after(0).hook
            with torch.no_grad(), bridge.hooks(fwd_hooks=[(stream, read)] if stream in bridge.hook_dict else []):
                logits = bridge.original_model(input_ids=ids, use_cache=False).logits.float()
    except Exception as error:  # every architecture raises its own
        raise InputError(f"transformer_lens cannot run the {name}: {first_line(error)}") from error
    finally:
        for handle in handles:
            handle.remove()
    if whole_prompts and not streams:
        raise InputError(f"the blocks of the {name} hand on no residual stream, in which a patch could be made")
    if not logits.isfinite().all():
        raise InputError(
            f"{name} gives logits that are no numbers: its weights hold such, or are too large for {dtype_name(dtype)}"
        )
    seen_ahead = float((logits[0, 0] - logits[1, 0]).abs().max())
    if seen_ahead > max(SEEN_AHEAD, ROUNDINGS * torch.finfo(dtype).eps) * float(logits.abs().max()):
        raise InputError(
            f"{name} looks ahead: what it says at a token depends on those behind it, so it cannot be replayed from a "
            "token on; give a causal model"
        )
    return tuple(returned[number] for number in range(len(bridge.blocks))), whole_prompts


def _kept_by_all(bridge: Any, ids: torch.Tensor) -> torch.Tensor | None:
    """The logits of some prompts; ``None`` if not every block keeps their keys and values."""
    cache = every_position()
    try:
        with torch.no_grad():
            logits: torch.Tensor = bridge.original_model(input_ids=ids, past_key_values=cache, use_cache=True).logits
    except torch.OutOfMemoryError:
        raise
    except Exception:  # every architecture that keeps something else raises its own
        return None
    kept = [getattr(layer, "keys", None) for layer in cache.layers]
    return None if len(kept) != len(bridge.blocks) or any(keys is None for keys in kept) else logits.float()


def passing_on(stream: torch.Tensor, others: int | None) -> Callable[..., Any]:
    """What a block does that is skipped: it gives back a residual stream, in the form that ``how_blocks_run``
    told."""
    output = stream if others is None else (stream, *[None] * others)
    return lambda *args, **kwargs: output


def given_by(probe: Mapping[str, torch.Tensor], block: int, part: Writer) -> torch.Tensor | None:
    """What a part gives by itself: its last matrix, or, where it has none, the part. Some attention and MLP modules add
    the residual stream to that before they give it back.

    Args:
        probe: What hooks held in a run, by name.
        block: The block.
        part: The part.
    """
    by_matrix = probe.get(f"blocks.{block}.{part}.{MATRICES[part]}.hook_out")
    return probe.get(f"blocks.{block}.{part}.hook_out") if by_matrix is None else by_matrix


def factor_behind(probe: Mapping[str, torch.Tensor], block: int, part: Writer) -> float | None:
    """By what a part's output is multiplied before it is added to the residual stream, 1 in most models, read off two
    hooks of a run; ``None`` where no constant tells, as with a norm between. Arguments as for ``given_by``."""
    given, added = given_by(probe, block, part), probe.get(f"blocks.{block}.hook_{part}_out")
    if given is None or added is None:
        return None
    rounding = torch.finfo(added.dtype).eps
    given, added = given.float(), added.float()
    factor = float((given * added).sum() / given.square().sum())
    return factor if torch.allclose(given * factor, added, rtol=max(1e-3, rounding), atol=1e-5) else None
