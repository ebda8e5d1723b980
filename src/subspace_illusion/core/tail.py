"""What it takes to replay a prompt from its position on: its tail, and what is planted in it (E14)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch.nn.functional import pad

from subspace_illusion.core.sites import Site


@dataclass(frozen=True)
class Planted:
    """What a component holds besides its own, and what is given back behind it, so that the run stays the same (E14).

    Attributes:
        site: The component.
        added: What it holds more than it does by itself, ``[n, d]``.
        behind: The residual stream behind it.
        returned: What that lacks once the component holds more, ``[n, d_model]``.
    """

    site: Site
    added: torch.Tensor
    behind: Site
    returned: torch.Tensor

    def rows(self, index: torch.Tensor) -> Planted:
        """That of some of the prompts."""
        return replace(self, added=self.added[index], returned=self.returned[index])

    def to(self, device: torch.device) -> Planted:
        """The same on a device."""
        return replace(self, added=self.added.to(device), returned=self.returned.to(device))

    @staticmethod
    def cat(parts: Sequence[Planted]) -> Planted:
        """That of several prompts, planted in one component."""
        added, returned = (torch.cat([getattr(part, name) for part in parts]) for name in ("added", "returned"))
        return replace(parts[0], added=added, returned=returned)

    def beside(self, changes: Mapping[Site, torch.Tensor]) -> dict[Site, torch.Tensor]:
        """Changes by site, what is planted among them."""
        if self.site == self.behind:  # what is given back at once is no change
            return dict(changes)
        own = {self.site: self.added, self.behind: self.returned}
        return {**own, **{site: x + own[site].to(x.device) if site in own else x for site, x in changes.items()}}


@dataclass(frozen=True)
class Tail:
    """What it takes to replay prompts from their position on.

    Attributes:
        lengths: Number of tokens of each prompt, ``[n]``.
        positions: Index of the token that each tail begins with, ``[n]``: the one that is read and patched, of a span
            the first, or the first of the prompt.
        tokens: Token ids of the tail, ``[n, longest tail]``, zeros where a tail is shorter.
        residual: Residual stream of the tail entering a block, by block, each ``[n, longest tail, d_model]``, shorter
            tails padded with zeros on the right.
        keys: Keys of the earlier tokens (rotated, as the model caches them), by block, each
            ``[n, kv_heads, most earlier tokens, d_head]``, fewer padded with zeros on the left.
        values: Values, likewise.
        planted: What every replay from before the component on changes beside what it is asked to.
        span: Which tokens of the tail are read and patched, ``[n, longest span]`` booleans, from the first on; ``None``
            where the first alone is.
    """

    lengths: torch.Tensor
    positions: torch.Tensor
    tokens: torch.Tensor
    residual: Mapping[int, torch.Tensor]
    keys: Mapping[int, torch.Tensor]
    values: Mapping[int, torch.Tensor]
    planted: Planted | None = None
    span: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def earlier(self) -> int:
        """How many tokens before the position there are keys for; behind the last block none."""
        return next((keys.shape[2] for keys in self.keys.values()), 0)

    @property
    def read_at(self) -> torch.Tensor:
        """Index of the first token of each prompt that is read and patched, ``[n]``."""
        return self.positions if self.span is None else self.positions + self.span.int().argmax(1)

    @property
    def nbytes(self) -> int:
        """Bytes of keys, values and residual streams."""
        return sum(x.nbytes for part in (self.residual, self.keys, self.values) for x in part.values())

    @property
    def ends(self) -> torch.Tensor:
        """Where END stands in each tail, ``[n]``."""
        return self.lengths - 1 - self.positions

    def since(self, start: int) -> Tail:
        """The tail without what lies before a block."""
        kept = self._parts(lambda part, block, x: x, start)
        return replace(self, **kept)

    def rows(self, index: torch.Tensor, trim: bool = True) -> Tail:
        """The tail of some of the prompts, in the order of ``index`` ``[m]``; an index may come twice.

        Args:
            index: Which prompts.
            trim: Whether padding is cut to what the longest of them needs. Without, the shape depends on their number
                alone.
        """
        index = index.to(self.lengths.device)
        lengths, positions = self.lengths[index], self.positions[index]
        earlier, longest = (int(positions.max()), int((lengths - positions).max())) if trim else (self.earlier, None)

        def chosen(part: str, block: int, x: torch.Tensor) -> torch.Tensor:
            return x[index][:, :longest] if part == "residual" else x[index][:, :, x.shape[2] - earlier :]

        planted = None if self.planted is None else self.planted.rows(index)
        span = None if self.span is None else self.span[index]
        tokens = self.tokens[index][:, :longest]
        return Tail(lengths, positions, tokens, **self._parts(chosen), planted=planted, span=span)

    def repeat(self, times: int) -> Tail:
        """The tail of the prompts, all of them, ``times`` times over."""
        return self if times == 1 else self.rows(torch.arange(len(self)).repeat(times))

    def to(self, device: torch.device) -> Tail:
        """The tail on a device; itself where it is there."""
        if self.lengths.device == device:
            return self

        def moved(x: torch.Tensor) -> torch.Tensor:
            # From pinned memory a GPU fetches three times as fast, the copy into it included.
            pinned = device.type == "cuda" and x.device.type == "cpu"
            return (x.contiguous().pin_memory() if pinned else x).to(device, non_blocking=pinned)

        parts = self._parts(lambda part, block, x: moved(x))
        planted = None if self.planted is None else self.planted.to(device)
        span = None if self.span is None else moved(self.span)
        lengths, positions, tokens = (moved(x) for x in (self.lengths, self.positions, self.tokens))
        return Tail(lengths, positions, tokens, **parts, planted=planted, span=span)

    @staticmethod
    def cat(tails: Sequence[Tail]) -> Tail:
        """One tail of several, padded to the longest."""
        earlier = max(tail.earlier for tail in tails)
        longest = max(int(tail.ends.max()) + 1 for tail in tails)

        def joined(part: str, block: int, first: torch.Tensor) -> torch.Tensor:
            listed = [getattr(tail, part)[block] for tail in tails]
            if part == "residual":
                return torch.cat([pad(x, (0, 0, 0, longest - x.shape[1])) for x in listed])
            return torch.cat([pad(x, (0, 0, earlier - x.shape[2], 0)) for x in listed])

        lengths, positions = (torch.cat([getattr(tail, name) for tail in tails]) for name in ("lengths", "positions"))
        planted = [tail.planted for tail in tails if tail.planted is not None]
        spans = [tail.span for tail in tails if tail.span is not None]
        return Tail(
            lengths,
            positions,
            torch.cat([pad(tail.tokens, (0, longest - tail.tokens.shape[1])) for tail in tails]),
            **tails[0]._parts(joined),
            planted=Planted.cat(planted) if planted else None,
            span=padded(spans) if spans else None,
        )

    def _parts(
        self, function: Callable[[str, int, torch.Tensor], torch.Tensor], start: int = 0
    ) -> dict[str, dict[int, torch.Tensor]]:
        """What a function gives of residual stream, keys and values by block, told the part's name and the block, from
        block ``start`` on; named as ``Tail`` takes them."""
        return {
            part: {block: function(part, block, x) for block, x in getattr(self, part).items() if block >= start}
            for part in ("residual", "keys", "values")
        }


def padded(parts: Sequence[torch.Tensor], longest: int = 0) -> torch.Tensor:
    """What is known of the tokens of spans, ``[n, tokens, ...]``, padded with zeros to the longest of them, or to a
    length beyond that, and joined."""
    longest = max(longest, *(part.shape[1] for part in parts))
    return torch.cat([pad(part, (0, 0) * (part.ndim - 2) + (0, longest - part.shape[1])) for part in parts])


TailOf = Callable[[torch.Tensor], Tail]
"""Gives the tail of some prompts by their index ``[m]``."""
PADDED = 1.25
"""How many times as long as the shortest the longest of some tails that are replayed together may be."""


def alike(lengths: torch.Tensor) -> list[torch.Tensor]:
    """Tails by their lengths ``[n]``, in groups of which little is padding: the index of each group, shortest first."""
    order = lengths.argsort(stable=True)
    cuts, shortest = list[int](), 0
    for place, length in enumerate(lengths[order].tolist()):
        if place == 0 or length > PADDED * shortest:
            cuts.append(place)
            shortest = length
    return list(order.tensor_split(cuts[1:]))
