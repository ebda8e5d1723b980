"""The own-difference share (E13): of a patch's effect, what the component's own difference gives, moved as far as the
patch moves it and no further than it really moves.

With h the direction of what acts of the component's mean difference between the values, a patch moves h by
``gamma = ((x_source - x_base) V V^T) h`` and the component really moves it by ``delta = (x_source - x_base) h``.
Moving it alone by ``min(|gamma|, |delta|)``, by nothing where the signs differ, has an effect of its own; the share is
that effect over the patch's. It takes one more patch, and nothing is fitted.

What acts: of what is read through a matrix, its row space; of the residual stream, where everything can act, the
directions in which the gradient of LD lies most. What attention or MLP add to the stream acts as it is.
"""

from dataclasses import dataclass

import numpy as np
import torch

from subspace_illusion.core.basis import SMALLEST_PART, mean_difference, orthonormal, row_space
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import replay
from subspace_illusion.measures.ablation import mean_held
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.patching import Change

SPANNED = 16
"""How many directions of the gradients over the pairs count as acting in the residual stream."""


def moved_alone(component: Component, basis: torch.Tensor, direction: torch.Tensor, really: torch.Tensor) -> Change:
    """Moving one direction as far as the patch along a subspace moves it, and no further than it really moves.

    Args:
        component: The component.
        basis: The subspace V, ``[d, k]``.
        direction: A unit vector, ``[d, 1]``.
        really: How far the direction moves from base to source, ``[n]``; token by token, ``[n, longest span]``.
    """
    by_patch = (component.moves @ basis @ (basis.mT @ direction)).squeeze(-1)
    moved = torch.minimum(by_patch.abs(), really.abs()) * really.sign() * (by_patch * really > 0)
    return lambda rows: moved[rows][..., None] * direction.squeeze(1)


def own_difference(train: Component, acts: torch.Tensor | None) -> torch.Tensor:
    """The direction h of what acts of the mean difference, ``[d, 1]``; zeros where nothing of it does.

    Args:
        train: The component in training pairs.
        acts: Orthonormal basis of what acts, ``[d, r]``; ``None`` for everything.
    """
    difference = mean_difference(torch.cat([train.base, train.source]), torch.cat(train.pairs.values))
    if acts is None:
        return difference
    acting = acts @ (acts.mT @ difference)
    return orthonormal(acting) if acting.norm() > SMALLEST_PART else torch.zeros_like(acting)


@dataclass(frozen=True)
class Natural:
    """What a component does by itself, as training pairs show it.

    Attributes:
        own: The direction h of its own difference, ``[d, 1]``; zeros where nothing of it acts.
        mean: The mean of what it holds, ``[d]``.
    """

    own: torch.Tensor
    mean: torch.Tensor

    @classmethod
    def of(cls, train: Component, tolerance: float, batch: int) -> "Natural":
        """That of a component in training pairs of different values; see ``what_acts``."""
        return cls(own_difference(train, what_acts(train, tolerance, batch)), mean_held(train))


def what_acts(train: Component, tolerance: float, batch: int, pulls: torch.Tensor | None = None) -> torch.Tensor | None:
    """Orthonormal basis of what acts of a component, ``[d, r]``; ``None`` where everything does.

    Args:
        train: The component in training pairs.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        batch: Pairs at a time.
        pulls: Its ``gradients``, where they are known already.
    """
    if train.readout is not None:
        seen = row_space(train.readout, tolerance).float()
        return seen if seen.shape[1] < len(seen) else None
    if not train.site.in_residual:
        return None
    pulls = gradients(train, batch) if pulls is None else pulls
    spanned = torch.linalg.svd(pulls.mT, full_matrices=False)[0]
    return spanned[:, :SPANNED]


def gradients(component: Component, batch: int) -> torch.Tensor:
    """The gradient of LD with respect to what a component holds, in every base prompt, from an earlier value to a later
    one, ``[n, d]``."""
    pairs, found = component.pairs, []
    later = (pairs.table["source_value"] > pairs.table["base_value"]).to_numpy()
    turned = torch.tensor(np.where(later, 1.0, -1.0), dtype=torch.float32)
    tail, through = pairs.tail(component.site.start), component.through
    width = component.base.shape[1] if through is None else through.shape[1]
    for rows in torch.arange(len(pairs)).split(batch):
        change = torch.zeros(len(rows), width, requires_grad=True)
        logits = replay(pairs.model, tail(rows), {component.site: change}).logits.cpu()
        ld = logit_difference(logits, pairs.answer[rows], pairs.foil[rows])
        (gradient,) = torch.autograd.grad((ld * turned[rows]).sum(), change)
        found.append(gradient if through is None else gradient @ through.mT)
    return torch.cat(found)
