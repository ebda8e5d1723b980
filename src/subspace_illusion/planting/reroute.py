"""Rerouting (E14): a component of the real model carries a signal that its skip connection carried, to a known dose.

With x the residual stream that the component's block holds before it, v a direction of it and u the shortest vector
with ``W^T u = v``, the component's activation becomes ``h + lambda (x.v) u`` and the skip connection carries
``x - lambda (x.v) v``. What the model computes is the same for every lambda, so its weights, tails and clean runs stay;
what a patch of the component moves is not. At 0 the component is the model's own, at 1 it carries all of the signal.
"""

from dataclasses import dataclass

import torch

from subspace_illusion.core.basis import SMALLEST_PART, random_basis
from subspace_illusion.errors import InputError

WELL = 0.1
"""Singular values of the readout below this share of the largest write too little for their length: a signal carried
along them would be many times as long as the activation that it is added to, and what a direction then borrows of it is
no null part's doing. Attention's W_O has such; an MLP's W_out hardly any."""


@dataclass(frozen=True)
class Route:
    """The way of a signal through a component.

    Attributes:
        direction: The unit vector v of the residual stream, ``[d_model]``.
        hidden: The vector u of the component that writes it, ``[d]``.
        unread: A vector as long as u that the readout maps to zero, ``[d]``; ``None`` where it maps nothing to zero.
    """

    direction: torch.Tensor
    hidden: torch.Tensor
    unread: torch.Tensor | None

    @classmethod
    def of(cls, direction: torch.Tensor, readout: torch.Tensor, seed: int = 0) -> "Route":
        """The route of a direction ``[d_model, 1]``, as far as the component writes it well, through its readout.

        Args:
            direction: A unit vector.
            readout: What the residual stream sees the component through, ``[d, d_model]``.
            seed: Seed of the vector that nothing reads.

        Raises:
            InputError: If the component does not write along the direction.
        """
        u, s, vh = torch.linalg.svd(readout.double(), full_matrices=False)
        kept = s > WELL * s[0]
        written = vh[kept] @ direction.double().squeeze(1)
        if written.norm() < SMALLEST_PART:
            raise InputError("the component does not write along the direction, so no signal can be rerouted there")
        written = written / written.norm()
        hidden = u[:, kept] @ (written / s[kept])
        random = random_basis(len(readout), 1, seed, "unread").double().squeeze(1)
        seen = u[:, s > s[0] * torch.finfo(torch.float32).eps * len(readout)]
        random = random - seen @ (seen.mT @ random)
        unread = None if seen.shape[1] == len(readout) else random / random.norm() * hidden.norm()
        return cls((vh[kept].mT @ written).float(), hidden.float(), None if unread is None else unread.float())

    def carrier(self, null: float) -> torch.Tensor:
        """The vector that carries the signal, ``[d]``: u, and ``null`` times a vector as long that nothing reads.

        Raises:
            InputError: If there is no such vector.
        """
        if null and self.unread is None:
            raise InputError("the component's readout maps nothing to zero, so no part of a signal can go unread")
        return self.hidden if self.unread is None else self.hidden + null * self.unread

    def added(self, stream: torch.Tensor, dose: float, null: float = 0.0) -> torch.Tensor:
        """What the component's activation gains, ``[n, d]``; what that writes, the skip connection loses.

        Args:
            stream: The residual stream before the component, ``[n, d_model]``.
            dose: lambda.
            null: As in ``carrier``.
        """
        return dose * (stream @ self.direction)[:, None] * self.carrier(null)
