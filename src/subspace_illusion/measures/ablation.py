"""Ablating and steering along a subspace: what is expected beside a patch, and tells neither variable from illusion.

Mean ablation puts the mean coordinates of all prompts in the place of the prompt's own. Steering adds the mean change
from one value to the other, whatever the source.
"""

import torch

from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.patching import Change


def mean_held(train: Component) -> torch.Tensor:
    """The mean of what a component holds in training prompts, ``[d]``."""
    return torch.cat([train.base, train.source]).mean(0)


def ablated(component: Component, basis: torch.Tensor, mean: torch.Tensor) -> Change:
    """Mean ablation along a subspace.

    Args:
        component: The component.
        basis: ``[d, k]``.
        mean: Of ``mean_held``.
    """
    base, _ = component.ends
    return lambda rows: (mean - base[rows]) @ basis @ basis.mT


def steered(component: Component, basis: torch.Tensor) -> Change:
    """Adding the mean change along a subspace ``[d, k]``, towards the source's value."""
    turned = which_way(component)
    step = (turned * (component.change @ basis)).mean(0)
    return lambda rows: (turned[rows] * step) @ basis.mT


def which_way(component: Component) -> torch.Tensor:
    """Which way each pair goes, from an earlier value to a later one or back, ``[n, 1]`` of ones and minus ones."""
    base, source = component.pairs.values
    return torch.sign((source - base).float())[:, None]
