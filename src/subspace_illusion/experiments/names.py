"""Probes (E3 c): can the names be read off a projection?"""

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.seeds import derive, numpy_generator
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import table

MOST_COMPONENTS = 100
"""Principal components that a probe looks at, where the activation has more dimensions."""


def name_probe(
    x: torch.Tensor, names: list[str], cases: list[str], *, folds: int, permutations: int, seed: int
) -> dict[str, float]:
    """How well the nearest class mean tells the names from activations, cross-validated.

    The activations' principal components are scaled to one variance, which makes this a linear discriminant.

    Prompts of one case share words, so they stay in one fold, and names are shuffled by case.

    Args:
        x: Activations, or their projections on a subspace, ``[n, d]``.
        names: The name to tell in each prompt, one name a case.
        cases: The case of each prompt.
        folds: Number of folds.
        permutations: How often the names are shuffled, to see what chance gives.
        seed: Seed of folds and shuffling.

    Returns:
        ``accuracy``; ``chance``, the mean accuracy with shuffled names; ``p``, the share of shufflings, the real
        names counted among them, that do at least as well.

    Raises:
        InputError: If there are fewer cases than folds, or only one name.
    """
    from sklearn.decomposition import PCA
    from sklearn.model_selection import GroupKFold

    units, case = np.unique(cases, return_inverse=True)
    if len(units) < folds or len(set(names)) < 2:
        raise InputError(f"a probe of names needs at least {folds} cases and two names: raise prompts.test_cases")
    kinds, number = np.unique(names, return_inverse=True)
    name_of = np.empty(len(units), dtype=int)
    name_of[case] = number
    # Fewer components than the smallest training fold has prompts. They see no names, so once for all folds will do.
    components = min(MOST_COMPONENTS, x.shape[1], len(x) * (folds - 1) // folds - 1)
    rows = PCA(components, whiten=True, random_state=0).fit_transform(x.double().numpy())
    cv = GroupKFold(folds, shuffle=True, random_state=derive(seed, "folds") % 2**32)
    splits = list(cv.split(rows, groups=case))

    def accuracy(of_cases: np.ndarray) -> float:
        right = []
        for train, held_out in splits:
            # Nearest mean by matrix products: scikit-learn's loops over the names, a hundred times slower.
            of_train = np.eye(len(kinds))[of_cases[case[train]]]
            counts = of_train.sum(0)[:, None]
            means = of_train.T @ rows[train] / np.maximum(counts, 1)
            distances = (means**2).sum(1) - 2 * rows[held_out] @ means.T
            distances[:, counts[:, 0] == 0] = np.inf  # a name that the fold's training part lacks
            right.append(distances.argmin(1) == of_cases[case[held_out]])
        return float(np.concatenate(right).mean())

    rng = numpy_generator(seed, "shuffled names")
    real = accuracy(name_of)
    shuffled = [accuracy(rng.permutation(name_of)) for _ in range(permutations)]
    at_least = sum(value >= real for value in shuffled)
    return dict(accuracy=real, chance=float(np.mean(shuffled)), p=(1 + at_least) / (1 + permutations))


def probe_table(
    x: torch.Tensor, frame: torch.Tensor, prompts: pd.DataFrame, *, folds: int, permutations: int, seed: int
) -> pd.DataFrame:
    """Probes of IO and S on the projection on a subspace, and on the whole component, which shows what could be read.

    Args:
        x: Activations of the component, ``[n, d]``.
        frame: ``[d, k]``.
        prompts: The prompts, columns ``case, pattern, io, s``.
        folds: As in ``name_probe``.
        permutations: Likewise.
        seed: Likewise.
    """
    # ABB and BAB of a case have the same names, CDD and DCD have others.
    cases = (prompts["case"] + prompts["pattern"].isin(["ABB", "BAB"]).map({True: " AB", False: " CD"})).tolist()
    rows = []
    for what, values in {"projection": x @ frame, "whole component": x}.items():
        for name in ("io", "s"):
            listed = prompts[name].tolist()
            about = dict(what=what, name=name.upper(), names=len(set(listed)), prompts=len(listed))
            found = name_probe(values, listed, cases, folds=folds, permutations=permutations, seed=seed)
            rows.append(about | found)
    return table(rows)
