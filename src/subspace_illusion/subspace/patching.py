"""What changes at a site, such as patching along a subspace, do to pairs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import torch

from subspace_illusion.core.answers import answers_alone
from subspace_illusion.core.basis import patch_change
from subspace_illusion.core.model import Model
from subspace_illusion.core.on_device import at_once, groups
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import TOKENS, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import TailOf

Key = TypeVar("Key")
Change = Callable[[torch.Tensor], torch.Tensor]
"""Gives what to add to the base prompts of some of the pairs, ``[m, d]``, by the pairs' index ``[m]``; at the tokens of
spans ``[m, longest span, d]``, or the same at each."""


class Rows(Protocol):
    """Activations by the index of pairs: a tensor ``[n, d]``, or something that reads rows as they are asked for."""

    def __getitem__(self, rows: torch.Tensor, /) -> torch.Tensor:
        """The rows ``[m, d]`` of an index ``[m]``."""


def along(base: Rows, source: Rows, basis: torch.Tensor | None) -> Change:
    """Patching along a subspace, or of the whole component where the basis is ``None``.

    Args:
        base: Activations of the base prompts, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        basis: ``[d, k]``.
    """
    return lambda rows: patch_change(base[rows], source[rows], basis)


def patch_outcomes(
    model: Model,
    site: Site,
    changes: Mapping[Key, Change],
    tail: TailOf,
    lengths: torch.Tensor,
    answer: torch.Tensor,
    foil: torch.Tensor,
    *,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
    top1: bool = True,
) -> dict[Key, Outcome]:
    """Makes every change, alone, in every pair.

    Args:
        model: The model.
        site: The component.
        changes: The changes by name.
        tail: Gives the tail of some of the base prompts by their index.
        lengths: How many tokens each base's tail has, ``[n]``: those of like length go together, so that little is
            spent on padding.
        answer: Token ids of the base prompts' answers, ``[n]`` or ``[n, k]``.
        foil: Token ids of the base prompts' foils, the same shape.
        batch: Pairs at a time; fewer where their tails have more than ``TOKENS`` tokens.
        on_patch: Told the number of pairs after every batch of every change.
        top1: Whether to ask which token is the likeliest of all, for which some are multiplied with the whole
            vocabulary. Without, ``top1_foil`` is never true.
    """
    parts: dict[Key, list[Outcome]] = {key: [] for key in changes}
    keys, order = list(changes), list[torch.Tensor]()
    for rows in (part for group in groups(model, lengths) for part in group.split(_at_most(batch, lengths[group]))):
        order.append(rows)
        of_rows = tail(rows).to(model.device)
        most = at_once(model, of_rows)
        for first in range(0, len(keys), most):
            together = keys[first : first + most]
            change = _joined([changes[key](rows) for key in together])
            with answers_alone(model, *(torch.cat([ids[rows]] * len(together)) for ids in (answer, foil)), best=top1):
                logits = replay(model, of_rows.repeat(len(together)), {site: change}).logits.cpu()
            for key, of_key in zip(together, logits.split(len(rows)), strict=True):
                parts[key].append(Outcome.of_answers(of_key))
                on_patch(len(rows))
    back = torch.cat(order).argsort()
    return {key: Outcome.joined(listed).rows(back) for key, listed in parts.items()}


def _at_most(batch: int, lengths: torch.Tensor) -> int:
    """How many pairs at a time, for tails of such lengths."""
    return min(batch, max(1, TOKENS // int(lengths.max())))


def _joined(changes: Sequence[torch.Tensor]) -> torch.Tensor:
    """Changes of the same pairs one behind the other; where one has its own for each token of a span, all have."""
    of_tokens = next((change.shape[1] for change in changes if change.ndim > 2), None)
    if of_tokens is None:
        return torch.cat([*changes])
    return torch.cat([x if x.ndim > 2 else x[:, None].expand(-1, of_tokens, -1) for x in changes])
