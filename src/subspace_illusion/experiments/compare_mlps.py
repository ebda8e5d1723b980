"""Why E9 and E10 may differ from the post: the kind of MLP, and rows that have near duplicates.

The post's model has MLPs with GELU and biases, four times as wide as the residual stream; others have narrower, gated
ones without biases. And where whole sequences of different lengths are padded and flattened together, first positions
and padding included, many rows have a near duplicate among those that the classifier was trained on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.mlps import hidden_from_residual, pre_activations, record_residuals, through_norm
from subspace_illusion.core.model import Model
from subspace_illusion.core.sampling import first_token, padding_token
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.threads import on_all_cores
from subspace_illusion.experiments.read_signs import silent_solver, tell_signs, written
from subspace_illusion.experiments.recover_directions import random_directions, recover
from subspace_illusion.experiments.text import Text
from subspace_illusion.statistics import table

OWN_MLP = "the model's own"
GELU = "random, GELU with biases"
GATED = "random, gated SiLU without biases"

RECOVERED = "R2"
READ = "accuracy"
"""What is measured of an MLP: E9's R2 on held-out sequences, and E10's accuracy there at a size z."""

ALL_ROWS = "all"
DUPLICATE = "with a near duplicate in training"
SINGLE = "without one"
"""The held-out rows of flattened text."""

NEAR_DUPLICATE = 0.1
"""Two rows are near duplicates if they differ by less than this share of the norm: two positions of padding by one or
two percent, first positions of texts that begin alike by nothing, others by a third and more."""

SHORTEST = 0.25
"""The shortest of the flattened sequences, as a share of the longest."""


@dataclass(frozen=True)
class DrawnMlp:
    """The half of an MLP that makes hidden activations, with random weights.

    Attributes:
        inner: Weights into the non-linearity, ``[d_model, width]``.
        bias: Biases there, ``[width]``; ``None`` for a gated MLP.
        up: Weights of what a gated MLP multiplies with, ``[d_model, width]``.
    """

    inner: torch.Tensor
    bias: torch.Tensor | None = None
    up: torch.Tensor | None = None

    @classmethod
    def draw(
        cls, normed: torch.Tensor, width: int, spread: dict[str, float], gated: bool, seed: int, *labels: object
    ) -> "DrawnMlp":
        """Draws standard normal weights and scales them.

        On the given inputs, the sums that go into the non-linearity get the standard deviation ``spread["gate"]`` (and
        those that multiply its values ``spread["in"]``). Biases, where there are any, make half of the variance.

        Args:
            normed: What the MLP reads, ``[n, d_model]``.
            width: Number of neurons.
            spread: The standard deviations.
            gated: Gated without biases, or plain with biases.
            seed: Seed of the draw.
            labels: What else tells this draw from others.
        """

        def noise(*shape: int, name: str) -> torch.Tensor:
            return torch.randn(*shape, generator=torch_generator(seed, "drawn MLP", *labels, name))

        inner = noise(normed.shape[1], width, name="inner")
        inner /= (normed @ inner).std()
        if gated:
            up = noise(normed.shape[1], width, name="up")
            return cls(inner * spread["gate"], up=up * (spread["in"] / (normed @ up).std()))
        share = 0.5**0.5 * spread["gate"]
        return cls(inner * share, bias=noise(width, name="bias") * share)

    def hidden(self, normed: torch.Tensor) -> torch.Tensor:
        """Hidden activations ``[n, width]`` from what the MLP reads, ``[n, d_model]``."""
        inner = normed @ self.inner
        if self.bias is not None:
            return torch.nn.functional.gelu(inner + self.bias, approximate="tanh")
        assert self.up is not None
        return torch.nn.functional.silu(inner) * (normed @ self.up)


def spread_blocks(n_blocks: int, count: int) -> list[int]:
    """So many blocks, or all, spread evenly through the model: the middles of so many equal parts."""
    count = min(n_blocks, count)
    return [int((i + 0.5) * n_blocks / count) for i in range(count)]


def compare_mlps(
    model: Model,
    text: Text,
    blocks: Sequence[int],
    *,
    directions: int,
    alphas: Sequence[float],
    z: Sequence[float],
    inverse_penalty: float,
    seed: int,
    on_mlp: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """E9 and E10 for the model's own MLPs and for random ones of other kinds and widths, on the same residual stream.

    All read it through the block's own norm.

    Args:
        model: The model.
        text: The residual stream before every MLP.
        blocks: Blocks to look at.
        directions: How many at each block, and for each size of the step.
        alphas: Strengths of E9's regularisation to choose from.
        z: The sizes of E10's step.
        inverse_penalty: C, the inverse strength of E10's regularisation.
        seed: Seed of weights, directions and signs.
        on_mlp: Called after every MLP.

    Returns:
        ``mlp``, ``width``, ``block``, ``measure`` (``RECOVERED`` or ``READ``), ``z`` (NaN for ``RECOVERED``) and
        ``value``, the mean over directions.
    """
    mlps = [mlp for block in blocks for mlp in _mlps(model, text.residuals[block], block, seed)]

    def of_mlp(item: tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]) -> list[dict]:
        about, hidden_at = item
        residual = text.residuals[about["block"]]
        targets = residual @ random_directions(residual.shape[1], directions, seed, "recovered", about["block"])
        none = torch.empty(0, int(text.rows.training.sum()), dtype=torch.long)
        recovered = recover(hidden_at(residual), targets, text.rows, alphas, none)
        rows = [about | dict(measure=RECOVERED, value=row["r2"]) for row in recovered]
        for of_sign, changed, signs in written(residual, about["block"], z, directions, seed):
            right, _ = tell_signs(hidden_at(changed), signs, text.rows.training, inverse_penalty)
            rows.append(about | dict(measure=READ, z=of_sign["z"], value=float(right.double().mean())))
        return rows

    with silent_solver():
        found = on_all_cores(of_mlp, mlps, on_mlp)
    columns = ["mlp", "width", "block", "measure", "z"]
    every = pd.DataFrame([row for rows in found for row in rows])
    return table(every.groupby(columns, sort=False, dropna=False)["value"].mean().reset_index().to_dict("records"))


def _mlps(
    model: Model, residual: torch.Tensor, block: int, seed: int
) -> list[tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]]:
    """The MLPs to compare at a block: what tells each from the others, and hidden activations from the residual."""
    normed = through_norm(model, block, residual)
    inner = {name: float(values.std()) for name, values in pre_activations(model, block, normed).items()}
    spread = {"gate": inner["in"]} | inner  # the plain MLP's only sums go into the non-linearity
    own = partial(hidden_from_residual, model, block)
    width, wide = own(residual[:1]).shape[1], 4 * residual.shape[1]
    mlps: list[tuple[dict[str, Any], Callable[[torch.Tensor], torch.Tensor]]]
    mlps = [(dict(mlp=OWN_MLP, width=width, block=block), own)]
    for name, neurons in ((GELU, wide), (GELU, width), (GATED, width)):
        about: dict[str, Any] = dict(mlp=name, width=neurons, block=block)
        drawn = DrawnMlp.draw(normed, neurons, spread, name == GATED, seed, *about.values())

        def hidden_at(changed: torch.Tensor, drawn: DrawnMlp = drawn) -> torch.Tensor:
            return drawn.hidden(through_norm(model, block, changed))

        if all(about != other for other, _ in mlps):  # the two widths may be one
            mlps.append((about, hidden_at))
    return mlps


def compare_duplicates(
    model: Model,
    text: Text,
    blocks: Sequence[int],
    *,
    directions: int,
    z: Sequence[float],
    inverse_penalty: float,
    seed: int,
    on_block: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """E10 on padded sequences flattened together, for held-out rows with and without a near duplicate.

    Sequences of different lengths are filled up with the token that ends a text, and any position may be drawn, the
    first and those of the padding included. As many rows are drawn as in ``text``, and as many of them at random are
    the training part.

    Args:
        model: The model.
        text: The sequences.
        blocks: Blocks to look at.
        directions: How many for each size of the step.
        z: The sizes of the step.
        inverse_penalty: C, the inverse strength of the regularisation.
        seed: Seed of lengths, rows, directions and signs.
        on_block: Called after every block.

    Returns:
        ``block``, ``z``, ``rows`` (``ALL_ROWS``, ``DUPLICATE``, ``SINGLE``), how many ``held_out``, and ``accuracy``,
        the mean over directions, NaN where there are no such rows.
    """
    tokens = padded(text.tokens, first_token(model), padding_token(model), seed)
    count, train = len(text.rows.training), int(text.rows.training.sum())
    places = torch.cartesian_prod(*map(torch.arange, tokens.shape))
    drawn = places[torch.randperm(len(places), generator=torch_generator(seed, "flattened rows"))[:count]]
    training = torch.arange(count) < train
    residuals = record_residuals(model, tokens, drawn)

    def of_block(block: int) -> list[dict]:
        residual = residuals[block]
        near = near_duplicates(residual[~training], residual[training])
        kinds = {ALL_ROWS: torch.ones_like(near), DUPLICATE: near, SINGLE: ~near}
        rows = []
        for about, changed, signs in written(residual, block, z, directions, seed):
            hidden = hidden_from_residual(model, block, changed)
            right, _ = tell_signs(hidden, signs, training, inverse_penalty)
            for kind, among in kinds.items():
                accuracy = float(right[among].double().mean())
                rows.append(about | dict(rows=kind, held_out=int(among.sum()), accuracy=accuracy))
        return rows

    with silent_solver():
        found = on_all_cores(of_block, blocks, on_block)
    columns = ["block", "z", "rows", "held_out"]
    every = pd.DataFrame([row for rows in found for row in rows])
    return table(every.groupby(columns, sort=False)["accuracy"].mean().reset_index().to_dict("records"))


def padded(tokens: torch.Tensor, first: int, padding: int, seed: int) -> torch.Tensor:
    """Sequences of random lengths, each beginning with the same token, filled up to the common length on the right.

    Args:
        tokens: Token ids, ``[sequences, length]``.
        first: The token with which they are to begin; it is put before those that do not.
        padding: The token that fills them up.
        seed: Seed of the lengths.
    """
    length = tokens.shape[1]
    begun = torch.cat([torch.full_like(tokens[:, :1], first), tokens[:, :-1]], 1)
    tokens = torch.where((tokens[:, :1] == first), tokens, begun)
    shortest = max(1, round(SHORTEST * length))
    lengths = torch.randint(shortest, length + 1, (len(tokens), 1), generator=torch_generator(seed, "lengths"))
    return torch.where(torch.arange(length) < lengths, tokens, padding)


def near_duplicates(rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Whether a row ``[n, d]`` has another that differs from it by less than ``NEAR_DUPLICATE`` of its norm."""
    distances = torch.cdist(rows, others, compute_mode="donot_use_mm_for_euclid_dist")
    return distances.min(1).values < NEAR_DUPLICATE * rows.norm(dim=1)
