"""Signs written along random directions of the residual stream, read from an MLP's hidden activations (E10).

The post's appendix "MLPs can recover arbitrary directions in the residual stream", its second half.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.mlps import hidden_from_residual
from subspace_illusion.core.model import Model
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.threads import on_all_cores
from subspace_illusion.experiments.text import Text
from subspace_illusion.statistics import table

MOST_ITERATIONS = 1000
"""Of the solver of one logistic regression; most need 10 to 100."""


def read_signs(
    model: Model,
    text: Text,
    *,
    z: Sequence[float],
    directions: int,
    inverse_penalty: float,
    seed: int,
    on_block: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """E10 at every block: a row for each size of the step and each random direction, with signs of its own.

    Args:
        model: The model.
        text: The residual stream before every MLP.
        z: The sizes of the step.
        directions: How many for each size.
        inverse_penalty: C, the inverse strength of the logistic regression's regularisation.
        seed: Seed of directions and signs.
        on_block: Called after every block.

    Returns:
        ``block``, ``z``, ``direction``, ``accuracy`` on the sequences that are held out, and whether the solver
        ``converged``.
    """

    def of_block(block: int) -> list[dict]:
        hidden_at = partial(hidden_from_residual, model, block)
        rows = []
        for about, residual, signs in written(text.residuals[block], block, z, directions, seed):
            right, converged = tell_signs(hidden_at(residual), signs, text.rows.training, inverse_penalty)
            rows.append(about | dict(accuracy=float(right.double().mean()), converged=converged))
        return rows

    with silent_solver():
        by_block = on_all_cores(of_block, range(model.n_blocks), on_block)
    return table([row for rows in by_block for row in rows])


def written(
    residual: torch.Tensor, block: int, z: Sequence[float], directions: int, seed: int
) -> Iterator[tuple[dict, torch.Tensor, torch.Tensor]]:
    """For each size and direction: what tells it from others, the residual stream with the signs in it, the signs."""
    for about in (dict(block=block, z=size, direction=i) for size in z for i in range(directions)):
        labels = about.values()
        direction = random_basis(residual.shape[1], 1, seed, "written", *labels)[:, 0]
        coins = torch.randint(2, (len(residual),), generator=torch_generator(seed, "signs", *labels))
        signs = 2.0 * coins - 1
        yield about, displaced(residual, direction, signs, about["z"]), signs


def displaced(residual: torch.Tensor, direction: torch.Tensor, signs: torch.Tensor, z: float) -> torch.Tensor:
    """The residual stream with a sign written along a direction: ``resid + y z v |resid|`` (E10).

    Args:
        residual: ``[n, d_model]``; its mean norm is the post's ``|resid|``.
        direction: The unit vector v, ``[d_model]``.
        signs: y, plus or minus one, ``[n]``.
        z: The size of the step.
    """
    return residual + z * residual.norm(dim=1).mean() * signs[:, None] * direction


def tell_signs(
    hidden: torch.Tensor, signs: torch.Tensor, training: torch.Tensor, inverse_penalty: float
) -> tuple[torch.Tensor, bool]:
    """Tells the signs from hidden activations by logistic regression (E10).

    The hidden activations are standardised, which the post does not mention: without it the solver has not converged
    after a hundred iterations in some blocks. The accuracy hardly depends on it.

    Args:
        hidden: ``[n, d_mlp]``.
        signs: ``[n]``.
        training: The rows to fit, booleans ``[n]``.
        inverse_penalty: C, the inverse strength of the regularisation.

    Returns:
        Whether each of the other rows is told right, and whether the solver converged.
    """
    regression = LogisticRegression(C=inverse_penalty, max_iter=MOST_ITERATIONS)
    classifier = make_pipeline(StandardScaler(), regression)
    classifier.fit(hidden[training].numpy(), signs[training].numpy())
    right = classifier.predict(hidden[~training].numpy()) == signs[~training].numpy()
    return torch.from_numpy(right), bool(regression.n_iter_[0] < MOST_ITERATIONS)


@contextmanager
def silent_solver() -> Iterator[None]:
    """No warnings of a solver that stops early, which is in the table; around threads, which share their filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
