"""What an MLP's hidden activations keep of the residual stream before it (E9, E10), and the ranks of its weights.

The post's appendix "MLPs can recover arbitrary directions in the residual stream". Rows are token positions in random
order: the first ``train`` of them are the training part, the rest is held out.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import NormalDist

import torch

from subspace_illusion.core.frames import random_frame
from subspace_illusion.core.mlps import hidden_from_residual, norm_before, weight_matrices
from subspace_illusion.core.model import Model
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

SKIPPED = 8
"""First positions of a sequence, which are left out: models park massive activations there, a hundred times the norm
anywhere else, so that a handful of positions would decide every mean and every regression."""

BATCH = 8
"""Sequences in one forward pass."""

VALIDATION = 0.25
"""Share of the training part on which the strength of the regularisation is chosen."""

MOST_ITERATIONS = 1000
"""Of the solver of one logistic regression; most need 10 to 100."""


def choose_positions(sequences: int, length: int, positions: int, seed: int) -> torch.Tensor:
    """Draws positions without replacement from all but the first few of every sequence.

    Returns:
        ``[positions, 2]``, in random order: the sequence, and the position in it.

    Raises:
        InputError: If there are too few.
    """
    usable = torch.cartesian_prod(torch.arange(sequences), torch.arange(SKIPPED, max(length, SKIPPED)))
    if len(usable) < positions:
        raise InputError(
            f"{sequences} sequences of {length} tokens hold {len(usable)} positions after the first {SKIPPED} of each, "
            f"and {positions} are wanted: take more or longer sequences, or fewer positions"
        )
    return usable[torch.randperm(len(usable), generator=torch_generator(seed, "positions"))[:positions]]


@dataclass(frozen=True)
class Recorded:
    """What one block did at some positions.

    Attributes:
        residual: The residual stream immediately before the MLP, ``[n, d_model]``.
        hidden: The MLP's hidden activations after the non-linearity, ``[n, d_mlp]``.
    """

    residual: torch.Tensor
    hidden: torch.Tensor


def record_mlps(
    model: Model, tokens: torch.Tensor, positions: torch.Tensor, on_batch: Callable[[int], object] = lambda n: None
) -> list[Recorded]:
    """Runs sequences and keeps what goes into the MLP of every block and what its neurons make of it.

    Args:
        model: The model.
        tokens: Token ids, ``[sequences, length]``.
        positions: Where to read, ``[n, 2]``: the sequence, and the position in it.
        on_batch: Called with the number of sequences that a forward pass took.

    Raises:
        InputError: If the model has no MLP that reads the residual stream through one norm, or takes no text so long.
    """
    if tokens.shape[1] > model.bridge.cfg.n_ctx:
        raise InputError(f"the model reads {model.bridge.cfg.n_ctx} tokens at most, and {tokens.shape[1]} are wanted")
    names = []
    for i, block in enumerate(model.bridge.blocks):
        hidden = Site(i, "mlp.hook_post")
        model.check(hidden)
        names.append((f"blocks.{i}.{norm_before(block)[1]}", hidden.hook))
    found: dict[str, list[torch.Tensor]] = {name: [] for pair in names for name in pair}
    rows = []
    for start in range(0, len(tokens), BATCH):
        batch = tokens[start : start + BATCH]
        of_batch = (positions[:, 0] // BATCH == start // BATCH).nonzero().flatten()
        sequence, position = (positions[of_batch] - torch.tensor([start, 0])).T
        rows.append(of_batch)

        def read(activation: torch.Tensor, hook: object, name: str, at: tuple[torch.Tensor, torch.Tensor]) -> None:
            found[name].append(activation[at].detach().cpu())

        hooks = [(name, partial(read, name=name, at=(sequence, position))) for name in found]
        with torch.no_grad(), model.bridge.hooks(fwd_hooks=hooks):
            model.bridge.original_model(input_ids=batch.to(model.device), logits_to_keep=1)
        on_batch(len(batch))
    order = torch.cat(rows).argsort()
    recorded = [Recorded(*(torch.cat(found.pop(name))[order] for name in pair)) for pair in names]
    for i, (block, of_block) in enumerate(zip(model.bridge.blocks, recorded, strict=True)):
        again = hidden_from_residual(block, of_block.residual[:8])
        if not torch.allclose(again, of_block.hidden[:8], rtol=1e-3, atol=1e-3 * float(again.abs().max())):
            raise InputError(f"the MLP of block {i} does not read the residual stream through {names[i][0]}")
    return recorded


def recover_directions(
    recorded: Recorded,
    block: int,
    *,
    directions: int,
    train: int,
    alphas: Sequence[float],
    permutations: int,
    seed: int,
) -> list[dict]:
    """E9 at one block: a row for each random direction, its dot products with the residual stream recovered.

    Args:
        recorded: What the block did.
        block: Its index.
        directions: How many.
        train: Rows of the training part.
        alphas: As for ``recover``.
        permutations: How often the targets are permuted.
        seed: Seed of directions and permutations.

    Returns:
        ``block``, ``direction`` and what ``recover`` gives.
    """
    width = recorded.residual.shape[1]
    frames = [random_frame(width, 1, seed, "recovered", block, i) for i in range(directions)]
    orders = [torch.randperm(train, generator=torch_generator(seed, "permutation", i)) for i in range(permutations)]
    rows = recover(recorded.hidden, recorded.residual @ torch.cat(frames, 1), train, alphas, torch.stack(orders))
    return [dict(block=block, direction=i) | row for i, row in enumerate(rows)]


def recover(
    hidden: torch.Tensor, targets: torch.Tensor, train: int, alphas: Sequence[float], permutations: torch.Tensor
) -> list[dict[str, float]]:
    """How well ridge regressions from hidden activations recover targets, beside the same with permuted targets (E9).

    Every regression is fitted on three quarters of the training part, its strength chosen on the last quarter, and
    measured on what is held out. That goes for the regressions on permuted targets too; all share one factorisation.

    Args:
        hidden: ``[n, d_mlp]``.
        targets: One column a regression, ``[n, k]``.
        train: Rows of the training part.
        alphas: Strengths to choose from, in units of the mean squared norm of a (centred) row of ``hidden``.
        permutations: Orders of the training part, ``[p, train]``.

    Returns:
        For each target ``r2``; ``mse``, of the target standardised on the training part; ``p``, the share of
        permutations, the real order counted among them, that do at least as well; ``r2_permuted``, their mean;
        ``alpha``, the strength chosen.
    """
    fit = train - round(VALIDATION * train)
    y = targets.double()
    y = (y - y[:train].mean(0)) / y[:train].std(0)
    orders = torch.cat([torch.arange(train)[None], permutations])
    wanted = y[:train][orders].movedim(1, 0).flatten(1)  # [train, (1 + p) k]
    truth = torch.cat([wanted[fit:], y[train:].repeat(1, len(orders))])
    mean = wanted[:fit].mean(0)
    x = hidden.double()
    x = x - x[:fit].mean(0)
    # In the eigenbasis of the Gram matrix the solution for every strength is a division.
    values, vectors = torch.linalg.eigh(x[:fit] @ x[:fit].T)
    coefficients = vectors.T @ (wanted[:fit] - mean)
    readout = x[fit:] @ (x[:fit].T @ vectors)
    validation, held_out = [], []
    for alpha in alphas:
        strength = alpha * values.mean()
        errors = (readout @ (coefficients / (values + strength)[:, None]) + mean - truth).square()
        validation.append(errors[: train - fit].mean(0))
        held_out.append(errors[train - fit :].mean(0))
    chosen = torch.stack(validation).argmin(0)
    mse = torch.stack(held_out).gather(0, chosen[None]).view(len(orders), -1)
    r2 = 1 - mse / y[train:].var(0, correction=0)
    at_least = (r2[1:] >= r2[0]).sum(0)
    return [
        dict(
            r2=float(r2[0, i]),
            mse=float(mse[0, i]),
            p=(1 + int(at_least[i])) / len(orders),
            r2_permuted=float(r2[1:, i].mean()),
            alpha=alphas[int(chosen[i])],
        )
        for i in range(y.shape[1])
    ]


def read_signs(
    hidden_at: Callable[[torch.Tensor], torch.Tensor],
    residual: torch.Tensor,
    block: int,
    *,
    z: Sequence[float],
    directions: int,
    train: int,
    inverse_penalty: float,
    seed: int,
) -> list[dict]:
    """E10 at one block: a row for each size of the step and each random direction, with signs of its own.

    Args:
        hidden_at: The hidden activations ``[n, d_mlp]`` at a residual stream ``[n, d_model]``.
        residual: The residual stream before the MLP, ``[n, d_model]``.
        block: The block's index.
        z: The sizes of the step.
        directions: How many for each size.
        train: Rows of the training part.
        inverse_penalty: C, the inverse strength of the logistic regression's regularisation.
        seed: Seed of directions and signs.

    Returns:
        ``block``, ``z``, ``direction`` and what ``binary_information`` gives.
    """
    rows = []
    for about in (dict(block=block, z=size, direction=i) for size in z for i in range(directions)):
        labels = about.values()
        direction = random_frame(residual.shape[1], 1, seed, "written", *labels)[:, 0]
        coins = torch.randint(2, (len(residual),), generator=torch_generator(seed, "signs", *labels))
        signs = 2.0 * coins - 1
        hidden = hidden_at(displaced(residual, direction, signs, about["z"]))
        rows.append(about | binary_information(hidden, signs, train, inverse_penalty))
    return rows


def displaced(residual: torch.Tensor, direction: torch.Tensor, signs: torch.Tensor, z: float) -> torch.Tensor:
    """The residual stream with a sign written along a direction: ``resid + y z v |resid|`` (E10).

    Args:
        residual: ``[n, d_model]``; its mean norm is the post's ``|resid|``.
        direction: The unit vector v, ``[d_model]``.
        signs: y, plus or minus one, ``[n]``.
        z: The size of the step.
    """
    return residual + z * residual.norm(dim=1).mean() * signs[:, None] * direction


def binary_information(hidden: torch.Tensor, signs: torch.Tensor, train: int, inverse_penalty: float) -> dict:
    """How well a logistic regression tells the signs from hidden activations (E10).

    The hidden activations are standardised, which the post does not mention: without it the solver has not converged
    after a hundred iterations in some blocks. The accuracy hardly depends on it.

    Args:
        hidden: ``[n, d_mlp]``.
        signs: ``[n]``.
        train: Rows of the training part.
        inverse_penalty: C, the inverse strength of the regularisation.

    Returns:
        ``accuracy`` on what is held out, its binomial 95 % interval ``accuracy_lo``, ``accuracy_hi``, and whether the
        solver ``converged``.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = hidden.numpy(), signs.numpy()
    regression = LogisticRegression(C=inverse_penalty, max_iter=MOST_ITERATIONS)
    classifier = make_pipeline(StandardScaler(), regression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is in the table
        classifier.fit(x[:train], y[:train])
    right = int((classifier.predict(x[train:]) == y[train:]).sum())
    low, high = wilson_interval(right, len(y) - train)
    return dict(
        accuracy=right / (len(y) - train),
        accuracy_lo=low,
        accuracy_hi=high,
        converged=bool(regression.n_iter_[0] < MOST_ITERATIONS),
    )


def wilson_interval(right: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, ``right`` out of ``n``."""
    z = NormalDist().inv_cdf(0.975)
    middle, half = right + z**2 / 2, z * (right * (n - right) / n + z**2 / 4) ** 0.5
    return (middle - half) / (n + z**2), (middle + half) / (n + z**2)


def weight_ranks(model: Model, block: int, tolerance: float) -> dict[str, float]:
    """One row: how many of the possible dimensions each weight matrix of a block's MLP uses, by ``matrix_ranks``."""
    row: dict[str, float] = dict(block=block)
    for name, matrix in weight_matrices(model, block).items():
        rank, effective = matrix_ranks(matrix, tolerance)
        row |= {"possible": min(matrix.shape), f"rank_{name}": rank, f"effective_rank_{name}": effective}
    return row


def matrix_ranks(matrix: torch.Tensor, tolerance: float) -> tuple[int, float]:
    """The number of singular values above a share of the largest, and the effective rank of Roy and Vetterli (2007).

    That is the exponential of the entropy of the singular values, normalised to sum to one.
    """
    values = torch.linalg.svdvals(matrix.double())
    entropy = torch.special.entr(values / values.sum()).sum()
    return int((values > tolerance * values[0]).sum()), float(entropy.exp())
