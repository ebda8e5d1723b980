"""Evaluation (E3, E4, E6): what patching a component along a subspace does to held-out pairs."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import torch

from subspace_illusion.measures import Outcome
from subspace_illusion.models import Model
from subspace_illusion.replay import Tail, replay
from subspace_illusion.sites import Site
from subspace_illusion.subspaces import patch_change

Key = TypeVar("Key")


def patch_outcomes(
    model: Model,
    site: Site,
    base: torch.Tensor,
    source: torch.Tensor,
    frames: Mapping[Key, torch.Tensor | None],
    tail: Callable[[torch.Tensor], Tail],
    io: torch.Tensor,
    s: torch.Tensor,
    *,
    batch: int,
    on_patch: Callable[[int], None] = lambda pairs: None,
) -> dict[Key, Outcome]:
    """Patches subspaces of a component, one after the other, in every pair.

    Args:
        model: The model.
        site: The component.
        base: Activations of the bases at the site, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        frames: The subspaces, each ``[d, k]``, or ``None`` for the whole component.
        tail: Gives the tail of some of the bases by their index.
        io: Token ids of the bases' IO, ``[n]``.
        s: Token ids of the bases' S, ``[n]``.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every subspace.
    """
    parts: dict[Key, list[Outcome]] = {key: [] for key in frames}
    for rows in torch.arange(len(base)).split(batch):
        of_rows = tail(rows)
        for key, frame in frames.items():
            change = patch_change(base[rows], source[rows], frame)
            with torch.no_grad():
                logits = replay(model, of_rows, {site: change}).logits.cpu()
            parts[key].append(Outcome.of(logits, io[rows], s[rows]))
            on_patch(len(rows))
    return {key: Outcome.joined(listed) for key, listed in parts.items()}
