"""Opening a model: an HF folder, a loaded HF model or a TransformerBridge, as a ``Model``.

The bridge is the one code path for every architecture. The device is chosen here, and what the bridge does otherwise
than the model itself is found out before anything else is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from subspace_illusion.core.checkpoints import load_model, open_tokenizer
from subspace_illusion.core.device import multiplies, pick_device
from subspace_illusion.core.forwards import forwards
from subspace_illusion.core.linear import in_float32, logits_in_float32, rounded_once
from subspace_illusion.core.model import PROBE_LENGTH, Model
from subspace_illusion.core.parts import (
    Weights,
    how_blocks_run,
    linear_in,
    linear_modules,
    norm_at_end,
    norm_before,
)
from subspace_illusion.core.placed import DeviceMap, device_of, fitted, is_offloaded, placed_on
from subspace_illusion.core.rounding import allowed_share
from subspace_illusion.core.sites import Writer
from subspace_illusion.core.tokenizer import Dtype, Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line


def open_model(
    folder: Path,
    device: torch.device | None = None,
    dtype: Dtype = "float32",
    device_map: DeviceMap | None = None,
    tokenizer: Tokenizer | None = None,
) -> Model:
    """Opens an HF folder with safetensors weights, frozen, in evaluation mode.

    Args:
        folder: The folder, such as ``convert_gguf`` writes, or one that points at it.
        device: Where the model runs; ``pick_device()`` by default.
        dtype: What its weights are kept in, and it runs in.
        device_map: Which of its modules run where, in the place of one device for all.
        tokenizer: The folder's, where it is open already.

    Raises:
        InputError: If the folder holds no model that can be read, or none that transformer_lens knows, or the map is of
            another model.
    """
    if device_map is None:
        hf_model, device = load_model(folder, dtype), device or pick_device()
    else:
        hf_model = load_model(folder, dtype, fitted(device_map, folder))
    return bridge_model(hf_model, tokenizer or open_tokenizer(folder), device, name=str(folder))


def bridge_model(hf_model: Any, tokenizer: Tokenizer, device: torch.device | None, name: str = "model") -> Model:
    """Wraps a loaded HF model, in place, in a TransformerBridge, on a device, or, with ``None``, where it is.

    Raises:
        InputError: If transformer_lens has no adapter for the architecture, or one that leaves out what the model does.
    """
    from transformer_lens.model_bridge import TransformerBridge

    try:
        hf_model = (hf_model if device is None else hf_model.to(device)).eval()
        own = _logits_alone(hf_model)
        with _without_processors():
            bridge = TransformerBridge.boot_transformers(
                name,
                hf_model=hf_model,
                tokenizer=tokenizer.hf,
                device=str(device or device_of(hf_model, torch.device("cpu"))),
            )
    except Exception as error:  # the adapters raise whatever their architecture makes them raise
        said = first_line(error).partition(" Available architectures")[0]  # of which there are some hundred and sixty
        raise InputError(f"transformer_lens cannot wrap the {type(hf_model).__name__}: {said}") from error
    model = wrap_bridge(bridge, tokenizer)
    _check_same(own, model)
    return model


def _logits_alone(hf_model: Any) -> torch.Tensor | None:
    """What a model says of a short prompt before transformer_lens wraps it; ``None`` where it cannot be run so."""
    try:
        first, device = next(hf_model.parameters()), device_of(hf_model, torch.device("cpu"))
        with forwards(_rounding(first.dtype, first.device, linear_in(hf_model))):
            return _short_run(hf_model, device)
    except Exception:  # every architecture raises its own, and will again as soon as it is wrapped
        return None


def _short_run(hf_model: Any, device: torch.device) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = hf_model(
            input_ids=torch.arange(PROBE_LENGTH, device=device)[None], use_cache=False
        ).logits
    return logits.float().cpu()


def _check_same(own: torch.Tensor | None, model: Model) -> None:
    """Makes sure that a model says the same as before it was wrapped: transformer_lens computes attention anew, and a
    configuration may ask for what it does not know of.

    Raises:
        InputError: If not.
    """
    if own is None:
        return
    found = _short_run(model.bridge.original_model, model.device)
    off, size = (float(x.norm()) for x in (found - own, own))
    if off > allowed_share(model.dtype) * size:
        raise InputError(
            f"transformer_lens runs the {type(model.bridge.original_model).__name__} otherwise than transformers does: "
            f"their logits differ by {off / size:.1g} of their size, so another model would be audited; it leaves out "
            "what is unusual in the configuration, such as a scale or a cap in attention"
        )


@contextmanager
def _without_processors() -> Iterator[None]:
    """Within, transformer_lens loads nothing that reads images or sound: prompts are text, and where it does not find
    the package for that it has pip install it."""
    from transformer_lens.model_bridge.sources.transformers import source

    loads = source.load_modality_processor
    source.load_modality_processor = lambda *args, **kwargs: None
    try:
        yield
    finally:
        source.load_modality_processor = loads


def wrap_bridge(bridge: Any, tokenizer: Tokenizer) -> Model:
    """A TransformerBridge as a model, in its own dtype: frozen, in evaluation mode, and giving its logits in float32
    from now on."""
    if not hasattr(bridge, "blocks"):
        raise InputError(
            f"{type(bridge.original_model).__name__} has no single row of blocks, in which a site could stand; give a "
            "causal model that runs one block after the other"
        )
    bridge.eval()
    bridge.requires_grad_(False)
    embedding = next(bridge.parameters()).device
    device = torch.device(bridge.cfg.device) if placed_on(bridge.original_model) else embedding
    dtype = next(bridge.parameters()).dtype
    for module, forward in _rounding(dtype, embedding, linear_modules(bridge, 0)).items():
        module.__dict__["forward"] = forward
    for module, weights in linear_modules(bridge, len(bridge.blocks)).items():
        if weights()[0].dtype != torch.float32:
            module.__dict__["forward"] = partial(_logits_in_float32, weights)
    returned, whole_prompts = how_blocks_run(bridge, device)
    return Model(bridge, tokenizer, device, _centres(bridge, device), returned, whole_prompts)


def _rounding(
    dtype: torch.dtype, device: torch.device, linear: Mapping[torch.nn.Module, Weights]
) -> dict[torch.nn.Module, Callable[..., Any]]:
    """What linear modules do in the place of their own products, by module: nothing else where the device has those."""
    if dtype.itemsize != 2 or device.type != "cpu" or multiplies(device, dtype):
        return {}
    return {module: partial(_rounded_once, weights) for module, weights in linear.items() if not is_offloaded(module)}


def _logits_in_float32(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    return logits_in_float32(x, *weights())


def _rounded_once(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    return rounded_once(x, *weights())


def _centres(bridge: Any, device: torch.device) -> bool:
    """Whether every norm that reads the residual stream takes the mean off it."""
    parts: tuple[Writer, Writer] = ("attn", "mlp")
    found = [norm_before(block, part) for block in bridge.blocks for part in parts]
    norms = [*dict.fromkeys(norm for norm, _ in filter(None, found)), *filter(None, [norm_at_end(bridge)])]
    if None in found:  # a part that reads the stream as it is sees its mean
        return False
    x = torch.linspace(-1, 1, bridge.cfg.d_model, device=device)[None] ** 3
    with torch.no_grad():
        return all(_takes_off_the_mean(norm, x.to(device_of(norm, device))) for norm in norms)


def _takes_off_the_mean(norm: torch.nn.Module, x: torch.Tensor) -> bool:
    exact = in_float32(norm)
    return torch.allclose(exact(x), exact(x + 1), atol=1e-4)
