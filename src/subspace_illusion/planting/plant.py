"""Planting (E14): a component of the real model holds more or less of a signal, and the model computes what it did.

With ``a`` the component's activation in a prompt, ``f(a)`` what the rest of the model gets from it, v a direction of
the residual stream and ``s = x.v`` the signal's coordinate in it, the hook holds ``a' = a + planted``, and
``f(a) - f(a')`` of the base prompt is given back behind it, whatever is patched. So every run is the model's own, and a
patch moves what the planted component would move. ``f`` is never written down: what has to be given back is read off a
replay.

| where | planted | the mediator, which carries it |
| --- | --- | --- |
| an MLP, a random one, attention, one head | ``lambda (s - mean s) u`` | u, the shortest vector that is written as v |
| the residual stream, what attention or MLP adds to it | ``(lambda s - a.v) v`` | v |
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from subspace_illusion.core.answers import answers_alone
from subspace_illusion.core.basis import SMALLEST_PART, random_basis, row_space
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site, residual_after, residual_entering
from subspace_illusion.core.tail import Planted, Tail
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.pairs import Pairs, Prompts

WELL = 0.1
"""Singular values of the readout below this share of the median write too little for their length: a signal carried
along them would be many times as long as the activation that it is added to, and what a direction then borrows of it is
no null part's doing. Attention's W_O has such; an MLP's W_out hardly any. It is the median and not the largest, because
a norm behind (Gemma's) can write a few coordinates forty times as large as all others."""


@dataclass(frozen=True)
class Signal:
    """A direction of the residual stream, and where its coordinate is read.

    Attributes:
        direction: The unit vector v, ``[d_model]``.
        stream: The residual stream.
        mean: The coordinate's mean. What is the same in every prompt is no signal, and can be many times as large: a
            norm behind would then see little else.
    """

    direction: torch.Tensor
    stream: Site
    mean: float = 0.0

    def at(self, prompts: Prompts, numbers: Sequence[int]) -> torch.Tensor:
        """Its coordinate s in prompts, less its mean, by their numbers, ``[n]``."""
        return prompts.at(self.stream, numbers) @ self.direction - self.mean


@dataclass(frozen=True)
class Mediator:
    """The vector of a component that carries a signal.

    Attributes:
        vector: u, or v where the component is a vector of the residual stream, ``[d]``.
        instead: Whether the signal takes the place of the component's own coordinate along it.
    """

    vector: torch.Tensor
    instead: bool

    @property
    def unit(self) -> torch.Tensor:
        """Its direction, ``[d, 1]``."""
        return (self.vector / self.vector.norm())[:, None]

    def added(self, held: torch.Tensor, coordinate: torch.Tensor, dose: float) -> torch.Tensor:
        """What a component holds more than by itself, ``[n, d]``.

        Args:
            held: What it holds by itself, ``[n, d]``.
            coordinate: The signal's, ``[n]``.
            dose: lambda.
        """
        carried = dose * coordinate
        if self.instead:
            carried = carried - held @ self.vector
        return carried[:, None] * self.vector


def writes_as(direction: torch.Tensor, readout: torch.Tensor) -> torch.Tensor:
    """The shortest vector that a component writes as a direction, ``[d]``.

    A component that cannot write all of it, such as one head, writes the part that it writes well, as a unit vector: a
    dose is then one of that direction.

    Args:
        direction: A unit vector of the residual stream, ``[d_model]``.
        readout: What the stream sees the component through, ``[d, d_model]``.

    Raises:
        InputError: If the component does not write along the direction.
    """
    u, s, vh = torch.linalg.svd(readout.double(), full_matrices=False)
    kept = s > WELL * s.median()
    written = vh[kept] @ direction.double()
    if written.norm() < SMALLEST_PART:
        raise InputError("the component does not write along the direction, so that it can carry no signal there")
    return (u[:, kept] @ (written / written.norm() / s[kept])).float()


def unread(readout: torch.Tensor, seed: int, tolerance: float) -> torch.Tensor | None:
    """A random unit vector that a readout ``[d, d_model]`` maps to zero, ``[d]``; ``None`` where it maps nothing so."""
    seen = row_space(readout, tolerance)
    if seen.shape[1] == len(readout):
        return None
    random = random_basis(len(readout), 1, seed, "unread").double()
    random = random - seen @ (seen.mT @ random)
    return (random / random.norm()).float().squeeze(1)


def gain(pairs: Pairs, site: Site) -> torch.Tensor:
    """By what each coordinate of what a component writes is multiplied on its way into the residual stream,
    ``[d_model]``: one, but for a norm that stands behind, whose factor is fitted to the base prompts.

    Args:
        pairs: Pairs that have both sites of ``behind_norm``.
        site: The component.
    """
    before, after = (pairs.base(at) for at in behind_norm(site))
    return (before * after).sum(0) / (before**2).sum(0)


def behind_norm(site: Site) -> tuple[Site, Site]:
    """What the matrix behind a site gives, and what of that is added to the residual stream."""
    assert site.readout is not None
    part, matrix = site.readout
    return Site(site.block, f"{part}.{matrix}.hook_out"), Site(site.block, f"hook_{part}_out")


def stream_before(model: Model, site: Site) -> Site:
    """The residual stream that a component's block holds before it; itself where the site is in the stream."""
    if site.in_residual:
        return site
    between = site.writer == "mlp" and not model.parallel_blocks
    return Site(site.block, "hook_resid_mid") if between else residual_entering(site.block)


def stream_behind(model: Model, site: Site) -> Site:
    """The residual stream that a component writes to."""
    if site.in_residual:
        return site
    between = site.writer == "attn" and not model.parallel_blocks
    return Site(site.block, "hook_resid_mid") if between else residual_after(site.block)


@dataclass(frozen=True)
class PromptsWithSignal:
    """Prompts in which a component holds what was planted there.

    Attributes:
        prompts: The prompts as the model has them.
        place: Where each stands in what was planted, by its number.
        planted: What was.
    """

    prompts: Prompts
    place: dict[int, int]
    planted: Planted

    def planted_in(self, prompts: Sequence[int]) -> Planted:
        """What was planted in some of them, in the order given."""
        return self.planted.rows(torch.tensor([self.place[int(prompt)] for prompt in prompts]))

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        held = self.prompts.at(site, prompts)
        return held + self.planted_in(prompts).added if site == self.planted.site else held

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        return replace(self.prompts.tail(start, prompts), planted=self.planted_in(prompts))

    def tail_lengths(self, prompts: Sequence[int]) -> torch.Tensor:
        return self.prompts.tail_lengths(prompts)


def plant(pairs: Pairs, site: Site, signal: Signal, mediator: Mediator, dose: float, batch: int) -> Pairs:
    """The pairs with a signal planted in a component.

    Args:
        pairs: The pairs.
        site: The component.
        signal: The signal.
        mediator: What carries it.
        dose: lambda.
        batch: Prompts at a time.
    """
    numbers = sorted({*pairs.base_prompts.tolist(), *pairs.source_prompts.tolist()})
    added = mediator.added(pairs.prompts.at(site, numbers), signal.at(pairs.prompts, numbers), dose)
    behind = stream_behind(pairs.model, site)
    returned = torch.cat([
        _lacks(pairs.model, pairs.prompts.tail(site.start, numbers[first : first + batch]), site, rows, behind)
        for first, rows in zip(range(0, len(numbers), batch), added.split(batch), strict=True)
    ])  # fmt: skip
    place = {number: row for row, number in enumerate(numbers)}
    return replace(pairs, prompts=PromptsWithSignal(pairs.prompts, place, Planted(site, added, behind, returned)))


def _lacks(model: Model, tail: Tail, site: Site, added: torch.Tensor, behind: Site) -> torch.Tensor:
    """What the stream behind a component lacks once it holds more, ``[n, d_model]``."""
    if behind.write_hook == site.write_hook:
        return -added
    nobody = torch.zeros(len(tail), dtype=torch.long)
    with answers_alone(model, nobody, nobody, best=False):  # nothing has to be unembedded
        without, planted = (
            replay(model, tail, {site: x}, [behind], site.start, until=behind.block + 1).activations[behind]
            for x in (torch.zeros_like(added), added)
        )
    return without - planted
