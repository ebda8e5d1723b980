"""Controls (E12): what patching and training do where there is nothing to find."""

from dataclasses import replace

import torch

from subspace_illusion.core.frames import random_frame
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.subspace.das import Examples
from subspace_illusion.subspace.patching import Change

RANDOM_DIRECTION = "random direction"
PLACEBO = "norm-matched placebo"
ARBITRARY = "DAS on arbitrary labels"
SELF = "patch from itself"
SAME = "same position, unrelated names"
UNRELATED = "opposite position, unrelated names"
RANDOM_MODEL = "DAS on a random model"
RANDOM_MODEL_WHOLE = "whole residual stream of that model"


def placebo(base: torch.Tensor, source: torch.Tensor, frame: torch.Tensor, elsewhere: torch.Tensor) -> Change:
    """A change as large as patching along a subspace, pair for pair, but along another one.

    Args:
        base: Activations of the bases, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        frame: The subspace, ``[d, k]``.
        elsewhere: The other subspace, ``[d, k]``.
    """
    coordinates = (source - base) @ frame
    return lambda rows: coordinates[rows] @ elsewhere.mT


def random_frames(d: int, k: int, count: int, seed: int, purpose: str) -> list[torch.Tensor]:
    """Frames of ``count`` random subspaces, each ``[d, k]``."""
    return [random_frame(d, k, seed, purpose, draw) for draw in range(count)]


def arbitrary_labels(examples: Examples, seeds: list[int]) -> Examples:
    """The same pairs, but which of the two names each should give is tossed up, once for each seed.

    Nothing tells the pairs that should change from those that should not, so what is learnt is learnt by heart.
    """
    tosses = [torch.rand(len(examples), generator=torch_generator(seed, "arbitrary labels")) for seed in seeds]
    swap = torch.stack(tosses) < 0.5
    target = torch.where(swap, examples.other_id, examples.target_id)
    other = torch.where(swap, examples.target_id, examples.other_id)
    return replace(examples, target_id=target, other_id=other)
