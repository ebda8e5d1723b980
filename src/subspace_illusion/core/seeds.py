"""The one rule by which every random number of the project gets its seed."""

import hashlib

import numpy as np
import torch


def derive(seed: int, *labels: object) -> int:
    """A seed for one purpose: the hash of the user's seed and the words that name the purpose.

    Streams with different labels are independent, so adding a component or a draw never shifts the numbers of another.
    """
    digest = hashlib.sha256(repr((seed, *map(str, labels))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def torch_generator(seed: int, *labels: object) -> torch.Generator:
    """A CPU generator seeded by ``derive``; torch's global stream is never touched."""
    return torch.Generator().manual_seed(derive(seed, *labels))


def numpy_generator(seed: int, *labels: object) -> np.random.Generator:
    """A numpy generator seeded by ``derive``."""
    return np.random.default_rng(derive(seed, *labels))
