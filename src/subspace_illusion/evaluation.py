"""Evaluation (E3, E4, E6): what patching a component along a subspace does to held-out pairs."""

from collections.abc import Callable

import torch

from subspace_illusion.measures import Outcome
from subspace_illusion.models import Model
from subspace_illusion.replay import Tail, replay
from subspace_illusion.sites import Site
from subspace_illusion.subspaces import patch_change


def patch_outcome(
    model: Model,
    site: Site,
    base: torch.Tensor,
    source: torch.Tensor,
    frame: torch.Tensor | None,
    tail: Callable[[torch.Tensor], Tail],
    io: torch.Tensor,
    s: torch.Tensor,
    batch: int,
) -> Outcome:
    """Patches one subspace of a component in every pair.

    Args:
        model: The model.
        site: The component.
        base: Activations of the bases at the site, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        frame: ``[d, k]``, or ``None`` for the whole component.
        tail: Gives the tail of some of the bases by their index.
        io: Token ids of the bases' IO, ``[n]``.
        s: Token ids of the bases' S, ``[n]``.
        batch: Pairs at a time.
    """
    outcomes = []
    for rows in torch.arange(len(base)).split(batch):
        change = patch_change(base[rows], source[rows], frame)
        with torch.no_grad():
            logits = replay(model, tail(rows), {site: change}).logits.cpu()
        outcomes.append(Outcome.of(logits, io[rows], s[rows]))
    return Outcome.joined(outcomes)
