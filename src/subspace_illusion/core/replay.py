"""Tail replay: run END alone, from one block on, against what the earlier positions left behind.

In a causal model a change of END at block L reaches nothing but END, from block L on. So each prompt is run once
(``record``), which keeps its ``Tail``: the residual stream at END entering the blocks of interest, and the keys and
values of the earlier positions. ``replay`` then runs END through blocks L..n, forward and, by autograd, backward.

There is no code per architecture: a replay is the model's own forward pass of one token against a cache, with the
blocks before L skipped and the residual stream put in at L. Masks, rotary angles, norms, heads and caps are the
model's. Prompts of different length share a batch by padding the earlier positions on the left, where the model's own
mask hides them and distances to END stay what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import pad

from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_entering
from subspace_illusion.errors import InputError


@dataclass(frozen=True)
class Tail:
    """What END needs of its prompts to be replayed.

    Attributes:
        lengths: Number of tokens of each prompt, ``[n]``.
        residual: Residual stream at END entering a block, by block, each ``[n, d_model]``.
        keys: Keys of the earlier positions (rotated, as the model caches them), by block, each
            ``[n, kv_heads, longest - 1, d_head]``, shorter prompts padded with zeros on the left.
        values: Values, likewise.
    """

    lengths: torch.Tensor
    residual: Mapping[int, torch.Tensor]
    keys: Mapping[int, torch.Tensor]
    values: Mapping[int, torch.Tensor]

    def __len__(self) -> int:
        return len(self.lengths)

    def rows(self, index: torch.Tensor) -> Tail:
        """The tail of some of the prompts, in the order of ``index`` ``[m]``; an index may come twice."""
        lengths = self.lengths[index]
        earlier = int(lengths.max()) - 1  # no more padding than the longest of them needs
        residual = {block: x[index] for block, x in self.residual.items()}
        keys, values = (
            {block: x[index][:, :, x.shape[2] - earlier :] for block, x in part.items()}
            for part in (self.keys, self.values)
        )
        return Tail(lengths, residual, keys, values)

    def repeat(self, times: int) -> Tail:
        """The tail of the prompts, all of them, ``times`` times over."""
        return self.rows(torch.arange(len(self)).repeat(times))

    @staticmethod
    def cat(tails: Sequence[Tail]) -> Tail:
        """One tail of several, padded to the longest prompt."""
        longest = int(max(tail.lengths.max() for tail in tails))

        def padded(x: torch.Tensor) -> torch.Tensor:
            return pad(x, (0, 0, longest - 1 - x.shape[2], 0))

        return Tail(
            torch.cat([tail.lengths for tail in tails]),
            {block: torch.cat([tail.residual[block] for tail in tails]) for block in tails[0].residual},
            {block: torch.cat([padded(tail.keys[block]) for tail in tails]) for block in tails[0].keys},
            {block: torch.cat([padded(tail.values[block]) for tail in tails]) for block in tails[0].values},
        )


@dataclass(frozen=True)
class Recording:
    """What one full forward pass leaves: activations at END by site, ``[n, d]``; logits at END; the tail if asked."""

    activations: Mapping[Site, torch.Tensor]
    logits: torch.Tensor
    tail: Tail | None


def record(
    model: Model,
    tokens: torch.Tensor,
    sites: Sequence[Site] = (),
    tail_from: int | None = None,
    changes: Mapping[Site, torch.Tensor] | None = None,
) -> Recording:
    """Runs prompts of one length in full, without gradients, and keeps what is asked for, on the CPU.

    Args:
        model: The model.
        tokens: Token ids, ``[n, length]``.
        sites: Where to read the activation at END.
        tail_from: The first block whose keys, values and entering residual stream the tail holds; ``None`` for none.
        changes: Changes ``[n, d]`` to add at END, by site. Replays are tested against this.
    """
    from transformers.cache_utils import Cache, DynamicLayer

    n_blocks = model.n_blocks
    kept = [] if tail_from is None else [residual_entering(block) for block in range(tail_from, n_blocks + 1)]
    # Without the model's configuration the cache keeps every position, also where attention slides.
    cache: Any = Cache(layer_class_to_replicate=DynamicLayer)
    with torch.no_grad(), _hooked(model, changes or {}, [*sites, *kept]) as read:
        output = model.bridge.original_model(
            input_ids=tokens.to(model.device), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
    tail = None
    if tail_from is not None:
        blocks = range(tail_from, n_blocks)
        tail = Tail(
            torch.full((len(tokens),), tokens.shape[1]),
            {site.start: read[site] for site in kept},
            {block: cache.layers[block].keys[:, :, :-1].cpu() for block in blocks},
            {block: cache.layers[block].values[:, :, :-1].cpu() for block in blocks},
        )
    return Recording({site: read[site] for site in sites}, output.logits[:, -1].float().cpu(), tail)


def record_all(
    model: Model, prompts: Sequence[Sequence[int]], sites: Sequence[Site], tail_from: int, batch: int
) -> Recording:
    """``record`` for prompts of any lengths, in the order given.

    Args:
        model: The model.
        prompts: Token ids of each prompt.
        sites: Where to read the activation at END.
        tail_from: The first block that the tail holds.
        batch: Prompts at a time.
    """
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    parts, order = [], []
    for length in lengths.unique():
        for rows in (lengths == length).nonzero().flatten().split(batch):
            tokens = torch.tensor([list(prompts[row]) for row in rows.tolist()])
            parts.append(record(model, tokens, sites, tail_from))
            order.append(rows)
    back = torch.cat(order).argsort()
    tails = [part.tail for part in parts if part.tail is not None]
    return Recording(
        {site: torch.cat([part.activations[site] for part in parts])[back] for site in sites},
        torch.cat([part.logits for part in parts])[back],
        Tail.cat(tails).rows(back),
    )


def replay(
    model: Model,
    tail: Tail,
    changes: Mapping[Site, torch.Tensor],
    read: Sequence[Site] = (),
    start: int | None = None,
) -> Recording:
    """Runs END again with changed activations, from the first block that they touch.

    Differentiable with respect to the changes. Sites that are read must not lie before ``start``.

    Args:
        model: The model.
        tail: The tail of the base prompts, holding the blocks from ``start`` on.
        changes: What to add to the activation at END, ``[n, d]`` by site.
        read: Sites whose activation at END in this run to return.
        start: The first block to run; by default the earliest that a change or a read needs.

    Returns:
        The logits at END ``[n, vocabulary]``, on the model's device, and the activations read.

    Raises:
        InputError: If the tail lacks a block that is needed, or a change has the wrong shape.
    """
    from transformers.cache_utils import Cache

    if start is None:
        start = min([site.start for site in changes] + [site.block for site in read], default=0)
    missing = [block for block in range(start, model.n_blocks) if block not in tail.keys]
    if start not in tail.residual or missing:
        raise InputError(f"the tail does not hold block {start} and all after it, so END cannot be replayed from there")

    residual = tail.residual[start].to(model.device)
    inside = {}
    for site, change in changes.items():
        if len(change) != len(tail):
            raise InputError(f"the change at {site.name} has {len(change)} rows for {len(tail)} prompts")
        if site.enters_block and site.start == start:
            residual = residual + change.to(model.device)
        else:
            inside[site] = change
    if skipped := [site.name for site in [*inside, *read] if site.block < start]:
        raise InputError(f"{', '.join(skipped)} cannot be changed or read in a replay that starts at block {start}")
    longest = int(tail.lengths.max())
    earlier = torch.arange(longest)[None] >= longest - tail.lengths[:, None]
    layer = _frozen_layer()
    layers: list[Any] = [
        layer(longest - 1, tail.keys[block].to(model.device), tail.values[block].to(model.device))
        if block >= start
        else layer(longest - 1)
        for block in range(model.n_blocks)
    ]
    with _entering(model, start, residual[:, None]), _hooked(model, inside, read) as activations:
        output = model.bridge.original_model(
            # Which token END is no longer matters: its embedding is thrown away with the blocks before `start`.
            input_ids=torch.zeros(len(tail), 1, dtype=torch.long, device=model.device),
            attention_mask=earlier.long().to(model.device),
            position_ids=(tail.lengths[:, None] - 1).to(model.device),
            past_key_values=Cache(layers=layers),
            use_cache=True,
        )
    return Recording(activations, output.logits[:, -1].float(), None)


def replay_each(model: Model, tail: Tail, changes: Mapping[Site, torch.Tensor], start: int) -> dict[Site, torch.Tensor]:
    """Replays END once for every change alone, all of them in one batch, without gradients.

    Args:
        model: The model.
        tail: The tail of the base prompts.
        changes: Changes, ``[n, d]`` by site.
        start: The first block to run.

    Returns:
        The logits of each, ``[n, vocabulary]``, on the CPU.
    """
    together = {}
    for place, (site, change) in enumerate(changes.items()):
        rows = torch.zeros(len(changes), *change.shape)
        rows[place] = change  # every change has rows of its own and leaves the others' alone
        together[site] = rows.flatten(0, 1)
    with torch.no_grad():
        logits = replay(model, tail.repeat(len(changes)), together, start=start).logits.cpu()
    return dict(zip(changes, logits.split(len(tail)), strict=True))


def _frozen_layer() -> type:
    """The class of a cache layer that hands out the earlier keys and values and keeps nothing of END's own."""
    from transformers.cache_utils import DynamicLayer

    class Frozen(DynamicLayer):
        keys: Any
        values: Any

        def __init__(self, length: int, keys: Any = None, values: Any = None) -> None:
            super().__init__()
            self.length, self.keys, self.values, self.is_initialized = length, keys, values, True

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> Any:
            return torch.cat([self.keys, key_states], -2), torch.cat([self.values, value_states], -2)

        def get_seq_length(self) -> int:
            return self.length

    return Frozen


@contextmanager
def _entering(model: Model, start: int, residual: torch.Tensor) -> Iterator[None]:
    """Skips the blocks before ``start`` and hands ``residual`` ``[n, 1, d_model]`` to what comes next."""
    blocks = list(model.bridge.blocks)
    skipped = blocks[:start]
    # Past the bridge's own attribute setter, which would put the function into the HF block for good.
    for block in skipped:
        block.__dict__["forward"] = lambda hidden_states, *args, **kwargs: hidden_states
    if skipped:
        skipped[-1].__dict__["forward"] = lambda *args, **kwargs: residual
    else:
        first = blocks[0].register_forward_pre_hook(
            lambda _, args, kwargs: ((residual, *args[1:]), kwargs), with_kwargs=True
        )
    try:
        yield
    finally:
        for block in skipped:
            del block.__dict__["forward"]
        if not skipped:
            first.remove()


@contextmanager
def _hooked(
    model: Model, changes: Mapping[Site, torch.Tensor], read: Sequence[Site]
) -> Iterator[dict[Site, torch.Tensor]]:
    """Adds changes ``[n, d]`` at END while the model runs, and collects activations at END, ``[n, d]`` on the CPU."""
    found: dict[Site, torch.Tensor] = {}

    def writer(site: Site, change: torch.Tensor) -> Callable[..., torch.Tensor]:
        def write(activation: torch.Tensor, hook: Any) -> torch.Tensor:
            end = activation[:, -1]
            added = change.to(end.device)
            if site.head is None:
                end = end + added.view_as(end)
            else:
                end = end.index_add(1, torch.tensor([site.head], device=end.device), added[:, None])
            return torch.cat([activation[:, :-1], end[:, None]], 1)

        return write

    def reader(site: Site) -> Callable[..., None]:
        def read_end(activation: torch.Tensor, hook: Any) -> None:
            end = activation[:, -1] if site.head is None else activation[:, -1, site.head]
            # A copy, because later hooks and modules go on to use the buffer.
            found[site] = model.centred(site, end.detach().flatten(1).cpu().clone())

        return read_end

    hooks: list[tuple[str, Callable[..., Any]]] = [
        (site.write_hook, writer(site, change)) for site, change in changes.items()
    ]
    hooks += [(site.hook, reader(site)) for site in dict.fromkeys(read)]
    with model.bridge.hooks(fwd_hooks=hooks):
        yield found
