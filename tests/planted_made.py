"""Planted cases made by hand, as the stage plant_cases leaves them."""

import numpy as np
import pandas as pd

from subspace_illusion.verdict.estimate import STREAM, WRITES


def cases(seed: int = 0) -> pd.DataFrame:
    """Cases of two models in which match says nothing and own all; some figures are missing in the stream."""
    random = np.random.default_rng(seed)
    n = 800
    truth, effect = random.random(n), random.uniform(0.5, 2, n)
    place = np.array(["MLP", "stream after"])[np.arange(n) % 2]
    return pd.DataFrame(
        dict(
            model=np.array(["one", "other"])[np.arange(n) // 2 % 2],
            task="ioi", block=np.arange(n) // 4 % 10, place=place, hook="blocks.1.mlp.hook_post",
            kind=np.where(place == "MLP", WRITES, STREAM), found="trained", dose=1.0, effect=effect,
            mediated=truth * effect, own=truth * effect, whole=random.uniform(0.2, 2, n),
            kept=np.where(place == "MLP", random.random(n), np.nan), by_itself=0.0, carried=1.0,
            placebo=effect * (1 - truth**2), ablated=random.random(n), steered=random.random(n),
            accuracy=random.random(n), flipped=random.random(n), probe_cosine=random.random(n),
            arbitrary=random.random(n),
        )
    )  # fmt: skip
