"""Distributed alignment search (DAS): the subspace whose patching moves the answer, found by gradient descent (E3, E4).

A frame is trained through the tail replay. Seeds are independent runs, but they go through the model as one batch:
small matrix products are far from a machine's best rate, so three seeds cost little more than one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.measures import logit_difference
from subspace_illusion.models import Model
from subspace_illusion.replay import Tail, replay
from subspace_illusion.seeds import torch_generator
from subspace_illusion.sites import Site
from subspace_illusion.subspaces import orthonormal, patch_change

Loss = Literal["cross_entropy", "logit_difference"]


@dataclass(frozen=True)
class Examples:
    """What DAS learns from: pairs, and the token that each should give under the patch.

    Attributes:
        base: Activations of the bases at the site, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        target_id: The token wanted under the patch, ``[n]``: S from the opposite position, IO from the same.
        other_id: The other name of the base, ``[n]``.
        tail: Gives the tail of the bases of some of the pairs, by their index ``[m]``.
    """

    base: torch.Tensor
    source: torch.Tensor
    target_id: torch.Tensor
    other_id: torch.Tensor
    tail: Callable[[torch.Tensor], Tail]

    def __len__(self) -> int:
        return len(self.target_id)


@dataclass(frozen=True)
class Trained:
    """Trained subspaces: frames ``[seeds, d, k]`` and the training curve (columns ``seed, step, loss, accuracy``)."""

    frames: torch.Tensor
    curve: pd.DataFrame


def train_das(
    model: Model,
    site: Site,
    examples: Examples,
    *,
    rank: int,
    seeds: list[int],
    steps: int,
    batch: int,
    lr: float,
    loss: Loss,
    on_step: Callable[[float], None] = lambda loss: None,
) -> Trained:
    """Trains one subspace per seed with Adam, the learning rate falling to zero along a half cosine.

    Args:
        model: The model.
        site: Where the subspace lives.
        examples: Pairs and their targets.
        rank: Dimension k of the subspace.
        seeds: Each seeds the first frame and the order of the examples of one run.
        steps: Number of steps.
        batch: Pairs per step and seed.
        lr: Learning rate at the start.
        loss: ``cross_entropy`` of the target over the vocabulary, or ``logit_difference`` between the other name and
            the target.
        on_step: Told the mean loss after every step.

    Raises:
        InputError: If the rank does not fit the site, or the loss stops being a number.
    """
    d = examples.base.shape[1]
    if not 1 <= rank <= d:
        raise InputError(f"rank is {rank}, but {site.name} has {d} dimensions: take a rank from 1 to {d}")
    start = [torch.randn(d, rank, generator=torch_generator(seed, "frame", site.name)) for seed in seeds]
    raw = orthonormal(torch.stack(start)).requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = [_batches(len(examples), batch, torch_generator(seed, "order", site.name)) for seed in seeds]
    curve = []
    for step in range(steps):
        index = torch.stack([next(batches) for batches in order])  # [seeds, batch]
        change = patch_change(examples.base[index], examples.source[index], orthonormal(raw)).flatten(0, 1)
        rows = index.flatten()
        logits = replay(model, examples.tail(rows), {site: change}).logits
        target = examples.target_id[rows].to(logits.device)
        other = examples.other_id[rows].to(logits.device)
        if loss == "cross_entropy":
            losses = torch.nn.functional.cross_entropy(logits, target, reduction="none")
        else:
            losses = logit_difference(logits, other, target)
        by_seed = losses.view(len(seeds), -1).mean(1)
        if not by_seed.isfinite().all():
            raise InputError(f"the loss at {site.name} stopped being a number in step {step}: lower das.lr (now {lr})")
        optimizer.zero_grad()
        by_seed.sum().backward()
        optimizer.step()
        schedule.step()
        right = (logits.detach().argmax(-1) == target).view(len(seeds), -1).float().mean(1)
        curve += [
            dict(seed=seed, step=step, loss=float(value), accuracy=float(share))
            for seed, value, share in zip(seeds, by_seed.detach(), right, strict=True)
        ]
        on_step(float(by_seed.detach().mean()))
    frames = orthonormal(raw.detach())
    if not frames.isfinite().all():
        raise InputError(
            f"the subspaces at {site.name} stopped being numbers in the last step: lower das.lr (now {lr})"
        )
    return Trained(frames, pd.DataFrame(curve))


def _batches(n: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches: pass after pass over all examples, each in a new order, a batch running over into the next."""
    left = torch.empty(0, dtype=torch.long)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(n, generator=generator)])
        yield left[:batch]
        left = left[batch:]
