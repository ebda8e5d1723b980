"""Tail replay: run the tokens from the position on, from one block on, against what the earlier tokens left behind.

In a causal model a change at one token, the position, at block L reaches nothing but that token and those after it,
from block L on. So each prompt is run once (``record``), which keeps its ``Tail``: the residual stream of the tokens
from the position to END entering the blocks of interest, and the keys and values of the earlier ones. ``replay`` then
runs the tail through blocks L..n, forward and, by autograd, backward. Where the position is END, the tail is one token.

There is no code per architecture: a replay is the model's own forward pass of a few tokens against a cache, with the
blocks before L skipped and the residual stream put in at L. Masks, rotary angles, norms, heads and caps are the
model's. Prompts share a batch by padding the earlier tokens on the left, where the model's own mask hides them, and the
tail on the right, where no token before can see them; so distances between tokens stay what they were.

The position may be a span of several tokens: then the tail begins with the first of them, a change is made at each, and
what is read is their mean.

Not every block has attention that keeps keys and values: recurrent ones, for one, do not. The tails of such a model are
whole prompts (``Model.whole_prompts``): every token is run again, from the block on, and the position is one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from subspace_illusion.core.caches import every_position, of_earlier
from subspace_illusion.core.forwards import forwards
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import passing_on
from subspace_illusion.core.sites import Site, residual_entering
from subspace_illusion.core.tail import Tail, padded
from subspace_illusion.errors import InputError

TOKENS = 2048
"""Tokens in one full forward pass: what a block makes of more takes memory, and no device runs them much faster."""


@dataclass(frozen=True)
class Recording:
    """What a run leaves: activations by site, ``[n, d]``; logits at END; from a full forward pass the tail if asked;
    from a replay the residual stream of the whole tail ``[n, longest tail, d_model]`` entering the blocks asked for.
    Where the position is a span, activations are the means over it, and ``tokens`` has those of each token of it,
    ``[n, longest span, d]``, zeros where there is none."""

    activations: Mapping[Site, torch.Tensor]
    logits: torch.Tensor
    tail: Tail | None = None
    entering: Mapping[int, torch.Tensor] = field(default_factory=dict)
    tokens: Mapping[Site, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Places:
    """Where in a run the tokens stand that are read and changed.

    Attributes:
        position: The task's position, ``[n]``; of a span its first token, the same in all.
        end: END, ``[n]``.
        first: Where every span begins.
        span: Which tokens from there on are of the span, ``[n, longest span]``; ``None`` for the position alone.
    """

    position: torch.Tensor
    end: torch.Tensor
    first: int = 0
    span: torch.Tensor | None = None

    def at(self, site: Site, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows and tokens at which a site is read, each ``[n]``, on a device."""
        tokens = (self.end if site.at_end else self.position).to(device)
        return torch.arange(len(tokens), device=device), tokens


def record(
    model: Model,
    tokens: torch.Tensor,
    sites: Sequence[Site] = (),
    tail_from: int | None = None,
    changes: Mapping[Site, torch.Tensor] | None = None,
    position: int | None = None,
    span: int | None = None,
    starts: Sequence[int] | None = None,
) -> Recording:
    """Runs prompts of one length and position in full, without gradients, and keeps what is asked for, on the CPU.

    Args:
        model: The model.
        tokens: Token ids, ``[n, length]``.
        sites: Where to read.
        tail_from: The first block whose keys, values and entering residual stream the tail holds; ``None`` for none.
        changes: Changes ``[n, d]`` to add, by site. Replays are tested against this.
        position: Index of the token that is read and changed; END by default.
        span: How many tokens are, the last of them at the position; ``None`` for it alone.
        starts: The blocks whose entering residual stream the tail holds; by default all from ``tail_from`` on.
    """
    n_blocks, (n, length) = model.n_blocks, tokens.shape
    last = length - 1 if position is None else position
    at = last - (0 if span is None else span - 1)
    of_span = None if span is None else torch.ones(n, span, dtype=torch.bool)
    if model.whole_prompts:
        of_span, at = (torch.arange(last + 1) >= at).expand(n, -1), 0
    kept = [] if tail_from is None else list(range(tail_from, n_blocks + 1)) if starts is None else starts
    cache = every_position()
    first, end = (torch.full((n,), token, device=model.device) for token in (at, length - 1))
    places = Places(first, end, at, None if of_span is None else of_span.to(model.device))
    with torch.no_grad(), _hooked(model, places, changes or {}, sites, kept, first=at) as read:
        output = (
            _without_cache(model, tokens.to(model.device), end)
            if model.whole_prompts
            else model.bridge.original_model(
                input_ids=tokens.to(model.device), past_key_values=cache, use_cache=True, logits_to_keep=1
            )
        )
    tail = None
    if tail_from is not None:
        blocks = () if model.whole_prompts else range(tail_from, n_blocks)
        tail = Tail(
            torch.full((n,), length),
            torch.full((n,), at),
            tokens[:, at:].cpu(),
            read.entering,
            # Copies, because a view would hold those of all tokens.
            {block: cache.layers[block].keys[:, :, :at].cpu().contiguous() for block in blocks},
            {block: cache.layers[block].values[:, :, :at].cpu().contiguous() for block in blocks},
            span=of_span,
        )
    by_token = {} if span is None else read.tokens
    return Recording(read.activations, output.logits[:, -1].float().cpu(), tail, tokens=by_token)


def record_in_batches(
    model: Model,
    prompts: Sequence[Sequence[int]],
    positions: Sequence[int],
    sites: Sequence[Site],
    tail_from: int,
    batch: int,
    starts: Sequence[int] | None = None,
    spans: Sequence[int] | None = None,
) -> Iterator[tuple[torch.Tensor, Recording]]:
    """``record`` for prompts of any lengths and positions, batch by batch, those of one length and position together.

    Args:
        model: The model.
        prompts: Token ids of each prompt.
        positions: Index of the token of each at which it is read.
        sites: Where to read.
        tail_from: The first block that the tail holds.
        batch: Prompts at a time; fewer where they have more than ``TOKENS`` tokens.
        starts: As for ``record``.
        spans: How many tokens of each are read, the last of them at its position; ``None`` for that alone.

    Returns:
        Which prompts a batch has, ``[m]``, and what was recorded of them.
    """
    lengths = (len(prompt) for prompt in prompts)
    layouts = torch.tensor(list(zip(lengths, positions, *([] if spans is None else [spans]), strict=True)))
    for layout in layouts.unique(dim=0):
        length, position, *of_span = layout.tolist()
        span = of_span[0] if of_span else None
        for rows in (layouts == layout).all(1).nonzero().flatten().split(min(batch, max(1, TOKENS // length))):
            tokens = torch.tensor([list(prompts[row]) for row in rows.tolist()])
            yield rows, record(model, tokens, sites, tail_from, position=position, starts=starts, span=span)


def record_all(
    model: Model,
    prompts: Sequence[Sequence[int]],
    positions: Sequence[int],
    sites: Sequence[Site],
    tail_from: int,
    batch: int,
    spans: Sequence[int] | None = None,
) -> Recording:
    """What ``record_in_batches`` records, all of it at once, in the order given; arguments likewise."""
    in_batches = record_in_batches(model, prompts, positions, sites, tail_from, batch, spans=spans)
    order, parts = zip(*in_batches, strict=True)
    back = torch.cat(order).argsort()
    tails = [part.tail for part in parts if part.tail is not None]
    return Recording(
        {site: torch.cat([part.activations[site] for part in parts])[back] for site in sites},
        torch.cat([part.logits for part in parts])[back],
        Tail.cat(tails).rows(back),
        tokens={site: padded([part.tokens[site] for part in parts])[back] for site in parts[0].tokens},
    )


def replay(
    model: Model,
    tail: Tail,
    changes: Mapping[Site, torch.Tensor],
    read: Sequence[Site] = (),
    start: int | None = None,
    entering: Sequence[int] = (),
    until: int | None = None,
) -> Recording:
    """Runs the tail again with changed activations, from the first block that they touch.

    Differentiable with respect to the changes. Sites that are read must not lie before ``start``.

    Args:
        model: The model.
        tail: The tail of the base prompts, holding the blocks from ``start`` on.
        changes: What to add to the activation, ``[n, d]`` by site; at each token of a span the same, or what is for
            each, ``[n, longest span, d]``.
        read: Sites whose activation in this run to return.
        start: The first block to run; by default the earliest that a change or a read needs.
        entering: Blocks behind ``start`` whose entering residual stream to return, of the whole tail.
        until: The first block that is not run any more, for runs of which only activations are asked.

    Returns:
        The logits at END ``[n, vocabulary]``, on the model's device (of nothing, with ``until``), and what was read.

    Raises:
        InputError: If the tail lacks a block that is needed, or a change has the wrong shape.
    """
    if start is None:
        start = min([site.start for site in changes] + [site.block for site in read], default=0)
    kept = () if model.whole_prompts else range(start, model.n_blocks)
    missing = [block for block in kept if block not in tail.keys]
    if start not in tail.residual or missing:
        raise InputError(f"the tail does not hold block {start} and all after it, so it cannot be replayed from there")

    tail = tail.since(start).to(model.device)
    if tail.planted is not None and tail.planted.site.start >= start:
        changes = tail.planted.beside(changes)
    residual = tail.residual[start]
    places = Places(torch.zeros_like(tail.ends), tail.ends, span=tail.span)
    inside = {}
    for site, change in changes.items():
        if len(change) != len(tail):
            raise InputError(f"the change at {site.name} has {len(change)} rows for {len(tail)} prompts")
        if site.enters_block and site.start == start:
            residual = _changed(residual, places, site, change)
        else:
            inside[site] = change
    if skipped := [site.name for site in [*inside, *read] if site.block < start]:
        raise InputError(f"{', '.join(skipped)} cannot be changed or read in a replay that starts at block {start}")
    earlier, steps = tail.earlier, torch.arange(residual.shape[1], device=model.device)
    hidden = torch.arange(earlier + len(steps), device=model.device)[None] < earlier - tail.positions[:, None]
    with _entering(model, start, residual, until), _hooked(model, places, inside, read, entering) as found:
        if model.whole_prompts:
            output = _without_cache(model, tail.tokens, tail.ends)
        else:
            seen = {site.block for site in [*inside, *read]} | {block - 1 for block in entering}
            with _at_end(model, tail.ends, len(steps), last_mlp=model.n_blocks - 1 not in seen):
                output = model.bridge.original_model(
                    # Their embedding is thrown away with the blocks before `start`; but some blocks read them again.
                    input_ids=tail.tokens,
                    attention_mask=(~hidden).long(),
                    # What pads a tail on the right stands where END does, so that no model runs out of positions.
                    position_ids=tail.positions[:, None] + torch.minimum(steps[None], tail.ends[:, None]),
                    past_key_values=of_earlier(earlier, tail.keys, tail.values, model.n_blocks),
                    use_cache=True,
                )
    # END alone was unembedded; a view of it, because the gradient of a selection is as large a copy.
    return Recording(found.activations, output.logits.squeeze(1).float(), entering=found.entering)


def _without_cache(model: Model, tokens: torch.Tensor, ends: torch.Tensor) -> Any:
    """Runs whole prompts ``[n, longest]``; what pads them stands behind END, where no token before can see it."""
    with _at_end(model, ends, tokens.shape[1]):
        return model.bridge.original_model(input_ids=tokens, use_cache=False)


@contextmanager
def _entering(model: Model, start: int, residual: torch.Tensor, until: int | None = None) -> Iterator[None]:
    """Skips the blocks before ``start``, and those from ``until`` on, and hands ``residual`` ``[n, tail, d_model]`` to
    the first that is run.

    Of whole prompts the blocks before are run too: some models hand on more than the stream, such as keys and values
    that later blocks share.
    """
    blocks = list(zip(model.bridge.blocks, model.returned, strict=True))
    # Which stream a skipped block passes on no longer matters but for the last before `start`.
    skipped = blocks[model.n_blocks if until is None else until :]
    skipped += [] if model.whole_prompts else blocks[:start]
    with ExitStack() as stack:
        stack.enter_context(forwards({block: passing_on(residual, others) for block, others in skipped}))
        if start == 0:
            first = blocks[0][0].register_forward_pre_hook(
                lambda _, args, kwargs: ((residual, *args[1:]), kwargs), with_kwargs=True
            )
            stack.callback(first.remove)
        elif model.whole_prompts:
            last = blocks[start - 1][0].register_forward_hook(
                lambda _, args, output: (residual, *output[1:]) if isinstance(output, tuple) else residual
            )
            stack.callback(last.remove)
        yield


@contextmanager
def _at_end(model: Model, ends: torch.Tensor, longest: int, last_mlp: bool = False) -> Iterator[None]:
    """Lets only END of each tail be unembedded, for which a vocabulary is too large to be multiplied with all of it.

    With ``last_mlp`` the last block's MLP is given END alone too: what it adds to other tokens nobody reads, and its
    answer for END stands for all.
    """
    if longest == 1:
        yield
        return
    rows = torch.arange(len(ends), device=ends.device)

    def of_end(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or x.shape[:2] != (len(ends), longest):
            return x
        return x[rows.to(x.device), ends.to(x.device)][:, None]

    def at_end(_: Any, args: Any, kwargs: Any) -> Any:
        return tuple(of_end(x) for x in args), {name: of_end(x) for name, x in kwargs.items()}

    def of_all(x: Any) -> Any:
        # Experts may give the tokens of all prompts in one row. A copy, as some blocks add to it in place.
        if not isinstance(x, torch.Tensor) or x.shape[:-1] not in ((len(ends),), (len(ends), 1)):
            return x
        return x.repeat_interleave(longest, dim=x.ndim - 2)

    def for_all(_: Any, args: Any, output: Any) -> Any:
        return tuple(of_all(x) for x in output) if isinstance(output, tuple) else of_all(output)

    with ExitStack() as stack:
        alone = [model.bridge.unembed]
        if last_mlp and hasattr(model.bridge.blocks[-1], "mlp"):
            alone.append(model.bridge.blocks[-1].mlp)
            stack.callback(alone[-1].register_forward_hook(for_all).remove)
        for module in alone:
            stack.callback(module.register_forward_pre_hook(at_end, with_kwargs=True).remove)
        yield


def _with_added(activation: torch.Tensor, where: tuple[torch.Tensor, ...], change: torch.Tensor) -> torch.Tensor:
    """An activation with a change at some places, each of which comes once: added in the change's dtype, float32, and
    rounded to the activation's own once, so that a patch of the whole component leaves what the source holds."""
    return activation.index_put(where, (activation[where] + change).to(activation.dtype))


def _changed(activation: torch.Tensor, places: Places, site: Site, change: torch.Tensor) -> torch.Tensor:
    """An activation with a change ``[n, d]``, or ``[n, longest span, d]``, where a site is read."""
    added = change.to(activation.device)
    if places.span is not None and not site.at_end:
        # All of the longest span is one slice, whose shape no prompt changes; what is not of a span is left alone.
        place = slice(places.first, places.first + places.span.shape[1])
        here = activation[:, place] if site.head is None else activation[:, place, site.head]
        of_span = places.span[:, : here.shape[1]].to(activation.device)
        added = added[:, : here.shape[1]] if added.ndim > 2 else added[:, None]
        added = (added * of_span[..., None]).view_as(here)
        changed = activation.clone()
        (changed if site.head is None else changed[:, :, site.head])[:, place] = (here + added).to(activation.dtype)
        return changed
    where: tuple[torch.Tensor, ...] = places.at(site, activation.device)
    if site.head is not None:
        where = (*where, torch.full_like(where[0], site.head))
    else:
        added = added.view(len(added), *activation.shape[2:])
    return _with_added(activation, where, added)


@dataclass(frozen=True)
class _Read:
    """What hooks collect while the model runs, on the CPU: activations by site, of each token of a span too, residual
    streams by block."""

    activations: dict[Site, torch.Tensor]
    entering: dict[int, torch.Tensor]
    tokens: dict[Site, torch.Tensor]


@contextmanager
def _hooked(
    model: Model,
    places: Places,
    changes: Mapping[Site, torch.Tensor],
    read: Sequence[Site],
    entering: Sequence[int] = (),
    first: int = 0,
) -> Iterator[_Read]:
    """Adds changes ``[n, d]`` while the model runs, and collects activations ``[n, d]`` at sites, and the residual
    stream ``[n, tokens, d_model]`` that enters blocks, of the tokens from ``first`` on."""
    found = _Read({}, {}, {})

    def writer(site: Site, change: torch.Tensor) -> Callable[..., torch.Tensor]:
        return lambda activation, hook: _changed(activation, places, site, change)

    def reader(site: Site) -> Callable[..., None]:
        def read_site(activation: torch.Tensor, hook: Any) -> None:
            of_token = activation.detach()[places.at(site, activation.device)]
            x = of_token if site.head is None else of_token[:, site.head]
            # A copy, because later hooks and modules go on to use the buffer.
            found.activations[site] = model.centred(site, x.flatten(1).cpu().clone().float())

        def read_span(activation: torch.Tensor, hook: Any) -> None:
            assert places.span is not None
            of_tokens = activation.detach()[:, places.first : places.first + places.span.shape[1]]
            x = of_tokens if site.head is None else of_tokens[:, :, site.head]
            of_span = places.span[:, : x.shape[1], None].cpu()
            tokens = model.centred(site, x.flatten(2).cpu().float()) * of_span
            found.activations[site], found.tokens[site] = tokens.sum(1) / of_span.sum(1), tokens

        return read_site if places.span is None or site.at_end else read_span

    def stream(block: int) -> Callable[..., None]:
        def read_stream(activation: torch.Tensor, hook: Any) -> None:
            x = activation.detach()[:, first:].cpu().clone()
            # Rounded again, a centred stream would be another one.
            found.entering[block] = model.centred(residual_entering(block), x) if x.dtype == torch.float32 else x

        return read_stream

    hooks: list[tuple[str, Callable[..., Any]]] = [
        (site.write_hook, writer(site, change)) for site, change in changes.items()
    ]
    hooks += [(site.hook, reader(site)) for site in dict.fromkeys(read)]
    hooks += [(residual_entering(block).hook, stream(block)) for block in entering]
    with model.bridge.hooks(fwd_hooks=hooks):
        yield found
