"""The model: a TransformerBridge, and the few facts about it that the rest asks for.

Activations stay in memory, and what runs the model brings them over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch

from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.other_names import our_site
from subspace_illusion.core.parts import (
    factor_behind,
    given_by,
    has_experts,
)
from subspace_illusion.core.placed import placed_on
from subspace_illusion.core.sites import Site, Writer, residual_entering
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line

_IN_NORMS = (".hook_scale", ".hook_normalized")
"""Hooks inside a norm, which the bridge computes in a way of its own once they are changed."""

LEAST_READOUTS = 2**28
"""Bytes of readouts that are kept at least."""

PROBE_LENGTH = 11
"""Tokens of the prompts that tell what the hooks hold; a number that no model has heads or dimensions."""


@dataclass(frozen=True)
class Model:
    """A frozen causal language model whose blocks and hooks are those of a TransformerBridge.

    Attributes:
        bridge: The TransformerBridge.
        tokenizer: Its tokenizer.
        device: Where it runs; of a model on several devices, where it takes its tokens.
        centres: Whether every norm that reads the residual stream takes the mean off it, as layer norm does. Then the
            mean component of a residual vector can have no effect, and it is left out wherever such a vector or a
            matrix that writes one is read (``centred``, ``readout``). It is what centring the writing weights does,
            which is how the paper's GPT-2 was processed; the model's own weights stay as they are.
        returned: What each block gives back, as ``parts.how_blocks_run`` tells it.
        whole_prompts: Whether nothing can be run without the tokens before it, because not every block has attention
            that keeps keys and values. Tails are whole prompts then.
    """

    bridge: Any
    tokenizer: Tokenizer
    device: torch.device
    centres: bool
    returned: tuple[int | None, ...]
    whole_prompts: bool = False
    _readouts: dict[Site, torch.Tensor | None] = field(default_factory=dict, repr=False, compare=False)

    @property
    def dtype(self) -> torch.dtype:
        """What its weights are kept in; what is read of it, and the logits, are float32 whatever it is."""
        dtype: torch.dtype = next(self.bridge.parameters()).dtype
        return dtype

    @property
    def is_spread(self) -> bool:
        """Whether its modules are on several devices."""
        return len({*placed_on(self.bridge.original_model).values()}) > 1

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

    @property
    def _probed(self) -> torch.Tensor:
        """Token ids of two short prompts."""
        return torch.arange(2 * PROBE_LENGTH, device=self.device).view(2, PROBE_LENGTH)

    @cached_property
    def _probe(self) -> dict[str, torch.Tensor]:
        """Every hook's activation on two short prompts, by hook name."""
        try:
            with torch.no_grad():
                found = self.bridge.run_with_cache(self._probed)[1].items()
                return {name: x.to(self.device) for name, x in found}
        except Exception as error:  # the bridge raises whatever an architecture makes it raise
            name = type(self.bridge.original_model).__name__
            raise InputError(f"transformer_lens cannot run the {name} with its hooks: {first_line(error)}") from error

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
            here = our_site(site.hook)
            raise InputError(
                f"'{site.name}': the model has no hook '{site.hook}' that fires; "
                + (f"what other libraries call so is {here}; " if here else "")
                + f"block {site.block} has "
                + ", ".join(name for name in names if name.count(".") < 2)
            )
        if site.write_hook not in self._probe:
            raise InputError(
                f"'{site.name}' can be read and not changed: that takes {site.write_hook}, which block {site.block} "
                "does not have"
            )
        if site.write_hook != site.hook and not self._moves_as_asked(site):
            raise InputError(
                f"'{site.name}' can be read and not changed: what is added at {site.write_hook} does not arrive there "
                "as it is"
            )
        entering = self._probe.get(residual_entering(site.block).hook, activation)
        if site.enters_block and not site.leaves_block and not torch.equal(activation, entering):
            raise InputError(
                f"'{site.name}' is not what the block before gives, which a replay begins with; take "
                f"{residual_entering(site.block).name}"
            )
        if site.is_mlp_hidden and has_experts(self.bridge.blocks[site.block].mlp):
            raise InputError(
                f"'{site.name}': the MLP of block {site.block} is a mixture of experts, whose hidden activations have "
                f"no single matrix behind them; take what it gives, blocks.{site.block}.hook_mlp_out"
            )
        # [prompts, positions, d] or [prompts, positions, heads, d_head]; scores, patterns and choices are neither.
        of_tokens = activation.ndim in (3, 4) and activation.shape[:2] == (2, PROBE_LENGTH)
        if not of_tokens or PROBE_LENGTH in activation.shape[2:] or not activation.is_floating_point():
            raise InputError(f"'{site.name}' does not hold one vector per prompt and position")
        if site.head is not None and not (activation.ndim == 4 and site.head < activation.shape[2]):
            heads = f"heads 0 to {activation.shape[2] - 1}" if activation.ndim == 4 else "no head axis"
            raise InputError(f"'{site.name}': {site.hook} has {heads}")
        if site.head is not None and site.readout and activation.shape[2] != self.n_heads:
            raise InputError(
                f"'{site.name}': transformer_lens divides {site.hook} into {activation.shape[2]} parts, where there "
                f"are {self.n_heads} heads; take all of them, {site.hook}"
            )

        if site.point.endswith(_IN_NORMS):
            try:
                with torch.no_grad():
                    self.bridge.run_with_hooks(self._probed, fwd_hooks=[(site.write_hook, lambda x, hook: x.clone())])
            except Exception as error:  # the bridge raises whatever its arithmetic makes it raise
                norm = site.hook.rpartition(".")[0]
                raise InputError(
                    f"'{site.name}': transformer_lens cannot change it in this model ({first_line(error)}); take "
                    f"{norm}.hook_in or {norm}.hook_out"
                ) from error

    def _moves_as_asked(self, site: Site) -> bool:
        """Whether what is added where a site is written moves as much where it is read; some models multiply what
        attention gives before it is added."""
        stream, read = self._probe[site.hook], []
        with torch.no_grad():
            self.bridge.run_with_hooks(
                self._probed,
                fwd_hooks=[
                    (site.write_hook, lambda x, hook: x + stream.to(x.device)),
                    (site.hook, lambda x, hook: read.append(x.to(self.device))),
                ],
            )
        return bool((read[0] - 2 * stream).float().norm() <= 0.02 * stream.float().norm())

    def has(self, site: Site) -> bool:
        """Whether the model has the site, as ``check`` asks it."""
        try:
            self.check(site)
        except InputError:
            return False
        return True

    def width(self, site: Site) -> int:
        """Dimension d of the activation at a site."""
        shape = self._probe[site.hook].shape
        return shape[-1] if site.head is not None or len(shape) == 3 else shape[-2] * shape[-1]

    def adds_straight(self, block: int, part: Writer) -> bool:
        """Whether what attention or MLP of a block gives is added to the residual stream as it is, without a norm or a
        factor behind it."""
        attention, mlp = given_by(self._probe, block, "attn"), given_by(self._probe, block, "mlp")
        before, between, after = (
            self._probe.get(f"blocks.{block}.hook_resid_{place}") for place in ("pre", "mid", "post")
        )
        if self.parallel_blocks:
            stream, written, others = after, mlp, [before, attention]
        elif part == "mlp":
            stream, written, others = after, mlp, [between]
        else:
            stream, written, others = between, attention, [before]
        if stream is None or written is None or any(x is None for x in others):
            return False
        parts = torch.stack([written, *(x for x in others if x is not None)]).float()
        # The stream was rounded to the model's dtype after every sum.
        rounding = torch.finfo(stream.dtype).eps * parts.abs().sum(0)
        return bool(((stream - parts.sum(0)).abs() <= 1e-3 + 1e-3 * stream.abs() + rounding).all())

    def hands_on_alone(self, site: Site) -> bool:
        """Whether a change at a site changes what enters the next block by what it writes itself and by nothing else:
        no other part of the block reads it, and no norm stands behind it."""
        if site.leaves_block:
            return True
        if site.writer is None or (site.writer == "attn" and not self.parallel_blocks):
            return False
        return self.adds_straight(site.block, site.writer)

    def centred(self, site: Site, activation: torch.Tensor) -> torch.Tensor:
        """An activation ``[n, d]`` without its mean component, where that can have no effect (see ``centres``)."""
        if site.is_residual_vector and self.centres:
            return activation - activation.mean(-1, keepdim=True)
        return activation

    def readout(self, site: Site) -> torch.Tensor | None:
        """The matrix through which the residual stream sees a site, ``[d, d_model]``, output = activation @ W.

        ``W_out`` for the MLP's hidden activations, the head's (or all heads') ``W_O`` for attention's z, ``None`` for
        sites that are in the residual stream already. Asked again, it is the same tensor, unless so many others were
        asked for in between that all of them take more than a sixth of what the weights do.
        """
        self._readouts[site] = self._readouts.pop(site) if site in self._readouts else self._readout(site)
        most = max(LEAST_READOUTS, sum(x.nbytes for x in self.bridge.parameters()) // 6)
        while sum(0 if x is None else x.nbytes for x in self._readouts.values()) > most and len(self._readouts) > 1:
            del self._readouts[next(iter(self._readouts))]
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
