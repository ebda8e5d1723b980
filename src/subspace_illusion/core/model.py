"""Models: an HF folder opened as a TransformerBridge, and the few facts about it that the rest asks for.

The bridge is the one code path for every architecture; the device is chosen here. Activations stay in memory, and what
runs the model brings them over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from subspace_illusion.core.checkpoints import Tokenizer, first_line, load_model, open_tokenizer
from subspace_illusion.core.device import pick_device
from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.parts import Writer, factor_behind, has_experts, norm_at_end, norm_before, returned_by_blocks
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

PROBE_LENGTH = 11
"""Tokens of the prompts that tell what the hooks hold; a number that no model has heads."""

_ADDED = ("hook_resid_pre", "attn.hook_out", "hook_resid_mid", "mlp.hook_out", "hook_resid_post")


def open_model(folder: Path, device: torch.device | None = None) -> Model:
    """Opens an HF folder with safetensors weights in float32, frozen, in evaluation mode.

    Args:
        folder: The folder, such as ``convert_gguf`` writes, or one that points at it.
        device: Where the model runs; ``pick_device()`` by default.

    Raises:
        InputError: If the folder holds no model that can be read, or none that transformer_lens knows.
    """
    return bridge_model(load_model(folder), open_tokenizer(folder), device or pick_device(), name=str(folder))


def bridge_model(hf_model: Any, tokenizer: Tokenizer, device: torch.device, name: str = "model") -> Model:
    """Wraps a loaded HF model, in place, in a TransformerBridge.

    Raises:
        InputError: If transformer_lens has no adapter for the architecture.
    """
    from transformer_lens.model_bridge import TransformerBridge

    try:
        bridge = TransformerBridge.boot_transformers(
            name, hf_model=hf_model.to(device).eval(), tokenizer=tokenizer.hf, device=str(device)
        )
    except Exception as error:  # the adapters raise whatever their architecture makes them raise
        raise InputError(f"transformer_lens cannot wrap the {type(hf_model).__name__}: {first_line(error)}") from error
    return wrap_bridge(bridge, tokenizer)


def wrap_bridge(bridge: Any, tokenizer: Tokenizer) -> Model:
    """A TransformerBridge as a model: frozen, and in evaluation mode from now on."""
    bridge.eval()
    bridge.requires_grad_(False)
    device = next(bridge.parameters()).device
    return Model(bridge, tokenizer, device, _centres(bridge, device), returned_by_blocks(bridge, device))


def _centres(bridge: Any, device: torch.device) -> bool:
    """Whether every norm that reads the residual stream takes the mean off it."""
    parts: tuple[Writer, Writer] = ("attn", "mlp")
    found = [norm_before(block, part) for block in bridge.blocks for part in parts]
    norms = [*dict.fromkeys(norm for norm, _ in filter(None, found)), *filter(None, [norm_at_end(bridge)])]
    if None in found:  # a part that reads the stream as it is sees its mean
        return False
    x = torch.linspace(-1, 1, bridge.cfg.d_model, device=device)[None] ** 3
    with torch.no_grad():
        return all(torch.allclose(norm(x), norm(x + 1), atol=1e-4) for norm in norms)


@dataclass(frozen=True)
class Model:
    """A frozen causal language model whose blocks and hooks are those of a TransformerBridge.

    Attributes:
        bridge: The TransformerBridge.
        tokenizer: Its tokenizer.
        device: Where it runs.
        centres: Whether every norm that reads the residual stream takes the mean off it, as layer norm does. Then the
            mean component of a residual vector can have no effect, and it is left out wherever such a vector or a
            matrix that writes one is read (``centred``, ``readout``). It is what centring the writing weights does,
            which is how the paper's GPT-2 was processed; the model's own weights stay as they are.
        returned: What each block gives back, as ``parts.returned_by_blocks`` tells it.
    """

    bridge: Any
    tokenizer: Tokenizer
    device: torch.device
    centres: bool
    returned: tuple[int | None, ...]
    _readouts: dict[Site, torch.Tensor | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def n_blocks(self) -> int:
        return len(self.bridge.blocks)

    @property
    def n_heads(self) -> int:
        return int(self.bridge.cfg.n_heads)

    @property
    def d_head(self) -> int:
        return int(self.bridge.cfg.d_head)

    @property
    def parallel_blocks(self) -> bool:
        """Whether attention and MLP of a block read the same residual, so that its MLP cannot see its attention."""
        return bool(self.bridge.cfg.parallel_attn_mlp)

    @cached_property
    def _probe(self) -> dict[str, torch.Tensor]:
        """Every hook's activation on two short prompts, by hook name."""
        tokens = torch.arange(2 * PROBE_LENGTH, device=self.device).view(2, PROBE_LENGTH)
        with torch.no_grad():
            return dict(self.bridge.run_with_cache(tokens)[1].items())

    @property
    def read_by_unembedding(self) -> torch.Tensor:
        """What the unembedding reads at the tokens of two short prompts, ``[n, d_model]``, on the model's device."""
        return self._probe["unembed.hook_in"].flatten(0, -2)

    def factor_behind(self, block: int, part: Writer) -> float | None:
        """By what a part's output is multiplied before it is added to the residual stream; ``None`` where it is not."""
        return factor_behind(self._probe, block, part)

    def check(self, site: Site) -> None:
        """Makes sure that the model has the site and that it holds one vector per position.

        Raises:
            InputError: If not; the message says what would do.
        """
        if not 0 <= site.block < self.n_blocks:
            raise InputError(f"'{site.name}': the model has blocks 0 to {self.n_blocks - 1}")
        activation = self._probe.get(site.hook)
        if activation is None:
            names = [name.split(".", 2)[2] for name in self._probe if name.startswith(f"blocks.{site.block}.")]
            raise InputError(
                f"'{site.name}': the model has no hook '{site.hook}' that fires; block {site.block} has "
                + ", ".join(name for name in names if name.count(".") < 2)
            )
        if site.readout == ("mlp", "out") and has_experts(self.bridge.blocks[site.block].mlp):
            raise InputError(
                f"'{site.name}': the MLP of block {site.block} is a mixture of experts, whose hidden activations have "
                f"no single matrix behind them; take what it gives, blocks.{site.block}.hook_mlp_out"
            )
        # [prompts, positions, d] or [prompts, positions, heads, d_head]; scores and patterns, for one, are neither.
        if activation.ndim not in (3, 4) or activation.shape[:2] != (2, PROBE_LENGTH):
            raise InputError(f"'{site.name}' does not hold one vector per prompt and position")
        if site.head is not None and not (activation.ndim == 4 and site.head < activation.shape[2]):
            heads = f"heads 0 to {activation.shape[2] - 1}" if activation.ndim == 4 else "no head axis"
            raise InputError(f"'{site.name}': {site.hook} has {heads}")
        if site.head is not None and site.readout and activation.shape[2] != self.n_heads:
            raise InputError(
                f"'{site.name}': transformer_lens divides {site.hook} into {activation.shape[2]} parts, where the model "
                f"has {self.n_heads} heads; take all of them, {site.hook}"
            )

    def width(self, site: Site) -> int:
        """Dimension d of the activation at a site."""
        shape = self._probe[site.hook].shape
        return shape[-1] if site.head is not None or len(shape) == 3 else shape[-2] * shape[-1]

    def adds_straight(self, output: Site) -> bool:
        """Whether what attention or MLP gives is added to the residual stream as it is, without a norm behind it.

        Args:
            output: ``attn.hook_out`` or ``mlp.hook_out`` of a block.
        """
        held = {name: self._probe.get(f"blocks.{output.block}.{name}") for name in _ADDED}
        stream, written = held["hook_resid_post"], held["mlp.hook_out"]
        if self.parallel_blocks:
            before = [held["hook_resid_pre"], held["attn.hook_out"]]
        elif output.point == "mlp.hook_out":
            before = [held["hook_resid_mid"]]
        else:
            stream, written, before = held["hook_resid_mid"], held["attn.hook_out"], [held["hook_resid_pre"]]
        if stream is None or written is None or any(x is None for x in before):
            return False
        return torch.allclose(stream, written + sum(x for x in before if x is not None), rtol=1e-3, atol=1e-3)

    def hands_on_alone(self, site: Site) -> bool:
        """Whether a change at a site changes what enters the next block by what it writes itself and by nothing else:
        no other part of the block reads it, and no norm stands behind it."""
        if site.leaves_block:
            return True
        if site.writer is None or (site.writer == "attn" and not self.parallel_blocks):
            return False
        return self.adds_straight(Site(site.block, f"{site.writer}.hook_out"))

    def centred(self, site: Site, activation: torch.Tensor) -> torch.Tensor:
        """An activation ``[n, d]`` without its mean component, where that can have no effect (see ``centres``)."""
        if site.is_residual_vector and self.centres:
            return activation - activation.mean(-1, keepdim=True)
        return activation

    def readout(self, site: Site) -> torch.Tensor | None:
        """The matrix through which the residual stream sees a site, ``[d, d_model]``, output = activation @ W.

        ``W_out`` for the MLP's hidden activations, the head's (or all heads') ``W_O`` for attention's z, ``None`` for
        sites that are in the residual stream already. Asked again, it is the same tensor.
        """
        if site not in self._readouts:
            self._readouts[site] = self._readout(site)
        return self._readouts[site]

    def _readout(self, site: Site) -> torch.Tensor | None:
        if site.readout is None:
            return None
        part, name = site.readout
        linear = getattr(getattr(self.bridge.blocks[site.block], part), name)
        d = self.width(replace(site, head=None))
        matrix = matrix_of(linear, d, self.device)
        if self.centres:
            matrix = matrix - matrix.mean(1, keepdim=True)
        if site.head is None:
            return matrix
        d_head = d // self.n_heads
        return matrix[site.head * d_head : (site.head + 1) * d_head]
