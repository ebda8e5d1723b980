"""Readers (E3): the heads downstream that turn the position signal into the answer, and what their queries look for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from subspace_illusion.attribution import FrozenNorm
from subspace_illusion.errors import InputError
from subspace_illusion.models import Model
from subspace_illusion.replay import Tail, replay
from subspace_illusion.sites import Site
from subspace_illusion.subspaces import orthonormal, split

NAME_MOVER = "name mover"
BACKUP = "backup name mover"
NEGATIVE = "negative name mover"
OTHER = "other"
ROLES = (NAME_MOVER, BACKUP, NEGATIVE, OTHER)

DAS, GRADIENT, MEAN = "DAS", "gradient", "mean difference"
WHOLE, SEEN, UNSEEN = "whole", "along name movers", "along nullspace"
"""The directions of the paper's table 1, and their parts by what the name movers' queries see."""


@dataclass(frozen=True)
class Rule:
    """How heads are told apart by their mean direct attribution to LD on clean prompts, as a share of the mean LD.

    Attributes:
        name_mover: From this share on a head is a name mover; from its negative down a negative name mover.
        backup: From this share on a head that is no name mover is a backup.
    """

    name_mover: float
    backup: float

    def __str__(self) -> str:
        return (
            "Mean direct attribution to LD on clean training prompts, as a share of the mean LD: "
            f"{NAME_MOVER} from {self.name_mover:.0%} on, {BACKUP} from {self.backup:.0%} on, "
            f"{NEGATIVE} from -{self.name_mover:.0%} down."
        )

    def role(self, attribution: float, ld_clean: float) -> str:
        """The role of a head with this mean attribution where the mean LD is ``ld_clean``."""
        share = attribution / ld_clean
        if share >= self.name_mover:
            return NAME_MOVER
        if share >= self.backup:
            return BACKUP
        return NEGATIVE if share <= -self.name_mover else OTHER


def query_readout(model: Model, heads: Sequence[Site]) -> torch.Tensor:
    """What the queries of some heads see of the residual stream: their W_Q, columns side by side, behind their norm.

    Query heads that share keys (grouped queries) have a W_Q each, so nothing has to be done for them.

    Args:
        model: The model.
        heads: At least one head.

    Returns:
        ``[d_model, heads * d_head]``.

    Raises:
        InputError: If there is no head.
    """
    if not heads:
        raise InputError("there are no name movers whose queries could be looked at: lower name_movers.share")
    d = model.bridge.cfg.d_model
    of_blocks = {}
    for number in {head.block for head in heads}:
        block = model.bridge.blocks[number]
        norm = FrozenNorm.of(block.ln1, d, model.device)
        with torch.no_grad():
            start = block.attn.q(torch.zeros(1, d, device=model.device))
            weights = (block.attn.q(torch.eye(d, device=model.device)) - start).flatten(1).cpu()
        of_blocks[number] = (norm.linear @ weights).unflatten(1, (model.n_heads, -1))
    return torch.cat([of_blocks[head.block][:, head.head] for head in heads], 1)


@dataclass(frozen=True)
class Part:
    """A part of a direction.

    Attributes:
        frame: Frame of the part, ``[d_model, k]``.
        norm: How much of the direction it is: root mean square norm of the columns' parts.
        chance_norm: The same expected of a random direction.
    """

    frame: torch.Tensor
    norm: float
    chance_norm: float


def split_by_queries(
    model: Model, frames: Mapping[str, torch.Tensor], heads: Sequence[Site], tolerance: float
) -> dict[tuple[str, str], Part]:
    """Divides directions of the residual stream into what the heads' queries see and what they do not.

    Args:
        model: The model.
        frames: Frames ``[d_model, k]`` by name.
        heads: The name movers.
        tolerance: Singular values below this share of the largest count as zero.

    Returns:
        The parts by direction and kind, without those that are empty.
    """
    readout = query_readout(model, heads)
    divided = {}
    for way, frame in frames.items():
        parts = split(frame, readout, tolerance)
        share = parts.rank / len(frame)
        for part, of_part, vectors, expected in (
            (WHOLE, frame, frame, 1.0),
            (SEEN, parts.row, parts.row_vectors, share),
            (UNSEEN, parts.null, parts.null_vectors, 1 - share),
        ):
            if of_part is not None:
                divided[way, part] = Part(of_part, float(vectors.square().sum(0).mean().sqrt()), expected**0.5)
    return divided


def score_gradient(
    model: Model,
    site: Site,
    tail: Tail,
    heads: Sequence[Site],
    first: torch.Tensor,
    second: torch.Tensor,
) -> torch.Tensor:
    """The mean gradient, at a site, of the name movers' attention from END to the first name over the second (E3 d).

    The first minus the second rather than IO minus S, because that is what the position signal must set, with one sign
    for both patterns: where S is second, attention goes to the first.

    Args:
        model: The model.
        site: Where the gradient is taken, ``d`` wide.
        tail: The tail of clean prompts, from the site's block on.
        heads: The name movers; those before the site do not count.
        first: Position of the first name in each prompt, ``[n]``.
        second: Position of the second, ``[n]``.

    Returns:
        A frame ``[d, 1]``.

    Raises:
        InputError: If no name mover lies downstream of the site, or the scores do not depend on it.
    """
    heads = [head for head in heads if head.block >= site.start]
    if not heads:
        raise InputError(f"no name mover lies downstream of {site.name}")
    # Prompts are padded on the left to the longest, and so are the keys.
    shift = int(tail.lengths.max()) - tail.lengths
    rows = torch.arange(len(tail))
    change = torch.zeros(len(tail), model.width(site), requires_grad=True)
    preferences = []

    def collect(of_block: Sequence[int]) -> Any:
        def read(scores: torch.Tensor, hook: Any) -> None:
            end = scores[:, of_block, -1]  # [n, heads, keys]
            preferences.append((end[rows, :, first + shift] - end[rows, :, second + shift]).sum())

        return read

    by_block: Mapping[int, list[int]] = {
        block: [int(head.head or 0) for head in heads if head.block == block]
        for block in {head.block for head in heads}
    }
    hooks = [(Site(block, "attn.hook_attn_scores").hook, collect(listed)) for block, listed in by_block.items()]
    with model.bridge.hooks(fwd_hooks=hooks):
        replay(model, tail, {site: change})
    (gradient,) = torch.autograd.grad(torch.stack(preferences).sum(), change)
    mean = model.centred(site, gradient).mean(0)[:, None]
    if not mean.norm() > 0:
        raise InputError(f"the name movers' attention scores do not depend on {site.name}")
    return orthonormal(mean)
