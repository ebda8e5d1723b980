"""Where a subspace is illusory: is there another of its kind that is not? DAS is trained again within what acts of the
component, where it can borrow nothing from what nothing reads, and what it finds is patched like everything else.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from subspace_illusion.core.basis import principal_axes
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.ablation import mean_held
from subspace_illusion.measures.effects import Subspaces
from subspace_illusion.measures.own_difference import Natural, own_difference
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.verdict.seen import Seen, patched_and_seen


def trained_within(
    train: Pairs,
    site: Site,
    acts: torch.Tensor,
    *,
    rank: int,
    seeds: Sequence[int],
    on_step: Callable[[float], None],
    **learning: Any,
) -> dict[SubspaceKey, torch.Tensor]:
    """Bases ``[d, k]`` that DAS finds within what acts, one a seed, and the principal axes of those of several
    dimensions; of no more dimensions than act.

    Args:
        train: Training pairs, of every kind that DAS trains on.
        site: The component.
        acts: Orthonormal basis of what acts, ``[d, r]``.
        rank: Of the subspaces.
        seeds: Of the runs.
        on_step: Told the mean loss after every step.
        learning: How DAS trains, as ``train_das`` takes it.
    """
    component = Component.of(train, site)
    base, source = component.ends
    examples = replace(component.examples, base=base @ acts, source=source @ acts)
    found = train_das(
        train.model,
        site,
        examples,
        rank=min(rank, acts.shape[1]),
        seeds=list(seeds),
        readout=acts.mT.expand(len(seeds), -1, -1),
        on_step=on_step,
        **learning,
    )
    bases: dict[SubspaceKey, torch.Tensor] = {}
    for seed, inside in zip(seeds, found.bases, strict=True):
        key, basis = SubspaceKey(TRAINED, seed=seed), acts @ inside
        bases[key] = basis
        if basis.shape[1] > 1:
            axes = principal_axes(basis, torch.cat([component.base, component.source]))
            bases |= {key.of_axis(number + 1): axes[:, [number]] for number in range(axes.shape[1])}
    return bases


def see_repair(
    train: Pairs, test: Pairs, component: Subspaces, acts: torch.Tensor, **settings: Any
) -> dict[SubspaceKey, Seen]:
    """What is seen of repairs, all seeds pooled.

    Args:
        train: Training pairs of different values, which tell what the component does by itself.
        test: Held-out pairs of different values.
        component: The component, with what ``trained_within`` found.
        acts: Orthonormal basis of what acts, ``[d, r]``.
        settings: As ``patched_and_seen`` takes them.
    """
    learnt = Component.of(train, component.site)
    natural = Natural(own_difference(learnt, acts), mean_held(learnt))
    return patched_and_seen(test, component, natural, **settings)[1]
