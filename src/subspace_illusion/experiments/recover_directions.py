"""Random directions of the residual stream, recovered from an MLP's hidden activations (E9), and the weights' ranks.

The post's appendix "MLPs can recover arbitrary directions in the residual stream".
"""

from collections.abc import Callable, Sequence

import pandas as pd
import torch

from subspace_illusion.core.basis import random_basis, rank_of
from subspace_illusion.core.mlps import hidden_from_residual, weight_matrices
from subspace_illusion.core.model import Model
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.core.threads import on_all_cores
from subspace_illusion.experiments.text import Rows, Text
from subspace_illusion.statistics import permutation_p, table


def recover_directions(
    model: Model,
    text: Text,
    *,
    directions: int,
    alphas: Sequence[float],
    permutations: int,
    seed: int,
    on_block: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """E9 at every block: a row for each random direction, its dot products with the residual stream recovered.

    Args:
        model: The model.
        text: The residual stream before every MLP.
        directions: How many at each block.
        alphas: As for ``recover``.
        permutations: How often the targets are permuted.
        seed: Seed of directions and permutations.
        on_block: Called after every block.

    Returns:
        ``block``, ``direction``, what ``recover`` gives, and ``permutations``, below one over which p cannot fall.
    """
    train = int(text.rows.training.sum())
    orders = [torch.randperm(train, generator=torch_generator(seed, "permutation", i)) for i in range(permutations)]

    def of_block(block: int) -> list[dict]:
        residual = text.residuals[block]
        hidden = hidden_from_residual(model, block, residual)
        targets = residual @ random_directions(residual.shape[1], directions, seed, "recovered", block)
        rows = recover(hidden, targets, text.rows, alphas, torch.stack(orders))
        return [dict(block=block, direction=i) | row | dict(permutations=permutations) for i, row in enumerate(rows)]

    by_block = on_all_cores(of_block, range(model.n_blocks), on_block)
    return table([row for rows in by_block for row in rows])


def random_directions(width: int, count: int, seed: int, *labels: object) -> torch.Tensor:
    """Random unit vectors as columns, ``[width, count]``, each with a seed of its own."""
    return torch.cat([random_basis(width, 1, seed, *labels, i) for i in range(count)], 1)


class Ridge:
    """Ridge regressions from the same inputs, which predict the same other inputs' targets.

    Attributes:
        gram: Products of the centred inputs with one another, ``[n, n]``.
        cross: Products of the other inputs with them, ``[m, n]``.
    """

    def __init__(self, x: torch.Tensor, others: torch.Tensor):
        """From inputs ``[n, d]`` that have targets, and others ``[m, d]``."""
        centred = x - x.mean(0)
        self.gram, self.cross = centred @ centred.T, (others - x.mean(0)) @ centred.T

    def predict(self, y: torch.Tensor, alpha: float) -> torch.Tensor:
        """The others' targets ``[m, k]``.

        Args:
            y: Targets, ``[n, k]``.
            alpha: Strength in units of the mean squared norm of a centred input.
        """
        strength = alpha * self.gram.diagonal().mean()
        factor = torch.linalg.cholesky(self.gram + strength * torch.eye(len(self.gram), dtype=self.gram.dtype))
        weights = torch.cholesky_solve(self.cross.T, factor).T
        return weights @ (y - y.mean(0)) + y.mean(0)


def recover(
    hidden: torch.Tensor, targets: torch.Tensor, rows: Rows, alphas: Sequence[float], permutations: torch.Tensor
) -> list[dict[str, float]]:
    """How well ridge regressions from hidden activations recover targets, beside the same with permuted targets (E9).

    The strength of every regression is chosen on the validation rows after a fit on the rest of the training part; then
    it is fitted on the whole training part and measured on what is held out. That goes for the regressions on permuted
    targets too.

    Args:
        hidden: ``[n, d_mlp]``.
        targets: One column a regression, ``[n, k]``.
        rows: Which of the n serve for what.
        alphas: Strengths to choose from, in units of the mean squared norm of a (centred) row of ``hidden``.
        permutations: Orders of the training part, ``[p, train]``.

    Returns:
        For each target ``r2``; ``mse``, of the target standardised on the training part; ``p``, the share of
        permutations, the real order counted among them, that do at least as well; ``r2_permuted``, their mean;
        ``alpha``, the strength chosen.
    """
    x, y = hidden.double(), targets.double()
    training, validation = rows.training, rows.validation[rows.training]
    y = (y - y[training].mean(0)) / y[training].std(0)
    truth = y[~training]
    orders = torch.cat([torch.arange(int(training.sum()))[None], permutations])
    wanted = y[training][orders].movedim(1, 0).flatten(1)  # [train, (1 + p) k]

    fit = Ridge(x[training][~validation], x[training][validation])
    errors = [(fit.predict(wanted[~validation], alpha) - wanted[validation]).square().mean(0) for alpha in alphas]
    chosen = torch.stack(errors).argmin(0)

    fit, predicted = Ridge(x[training], x[~training]), wanted.new_empty(len(truth), wanted.shape[1])
    for i in chosen.unique().tolist():
        predicted[:, chosen == i] = fit.predict(wanted[:, chosen == i], alphas[i])
    mse = (predicted.unflatten(1, (len(orders), -1)) - truth[:, None]).square().mean(0)
    r2 = 1 - mse / truth.var(0, correction=0)
    return [
        dict(
            r2=float(r2[0, i]),
            mse=float(mse[0, i]),
            p=permutation_p(float(r2[0, i]), r2[1:, i].numpy()),
            r2_permuted=float(r2[1:, i].mean()),
            alpha=alphas[int(chosen[i])],
        )
        for i in range(y.shape[1])
    ]


def rank_weights(model: Model, tolerance: float) -> pd.DataFrame:
    """How many of the possible dimensions each weight matrix of every block's MLP uses, by ``matrix_ranks``.

    Returns:
        ``block``, ``possible`` and, for each matrix, ``rank_<matrix>`` and ``effective_rank_<matrix>``.
    """

    model.check(Site(0, "mlp.hook_post"))  # runs the whole model once, which threads may not do at the same time

    def of_block(block: int) -> dict[str, float]:
        row: dict[str, float] = dict(block=block)
        for name, matrix in weight_matrices(model, block).items():
            rank, effective = matrix_ranks(matrix, tolerance)
            row |= {"possible": min(matrix.shape), f"rank_{name}": rank, f"effective_rank_{name}": effective}
        return row

    return table(on_all_cores(of_block, range(model.n_blocks)))


def matrix_ranks(matrix: torch.Tensor, tolerance: float) -> tuple[int, float]:
    """The number of singular values above a share of the largest, and the effective rank of Roy and Vetterli (2007).

    That is the exponential of the entropy of the singular values, normalised to sum to one.
    """
    values = torch.linalg.svdvals(matrix.double())
    entropy = torch.special.entr(values / values.sum()).sum()
    return rank_of(values, tolerance), float(entropy.exp())
