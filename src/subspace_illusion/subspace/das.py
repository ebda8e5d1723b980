"""Distributed alignment search (DAS): the subspace whose patching moves the answer, found by gradient descent (E3, E4).

A basis is trained through the tail replay. Seeds are independent runs, but they go through the model as one batch:
small matrix products are far from a machine's best rate, so three seeds cost little more than one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
import torch

from subspace_illusion.core.basis import orthonormal, patch_change
from subspace_illusion.core.matmul import MatmulDtype, matmul_in
from subspace_illusion.core.model import Model
from subspace_illusion.core.on_device import replaying
from subspace_illusion.core.outcome import cross_entropy, is_one_of, logit_difference
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import TailOf
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.patching import Rows
from subspace_illusion.tasks.table import DIFFERENT, SAME

Loss = Literal["cross_entropy", "logit_difference"]


@dataclass(frozen=True)
class Examples:
    """What DAS learns from: pairs, and the token that each should give under the patch.

    What may differ between runs may have their number as a first dimension: ``[runs, n, d]``, ``[runs, n]``; the token
    ids only where ``changes`` has it too, by which ids of runs are told from those of several answers.

    Attributes:
        base: Activations of the base prompts where the subspace lives, ``[n, d]``; a tensor, or what reads rows.
        source: Activations of the sources, the same shape.
        target_id: The token wanted under the patch, ``[n]``: the foil where the source has another value than the base,
            the answer where it has the same. Where a side may have several, any of them, ``[n, k]`` (``core.outcome``).
        other_id: Of answer and foil the other one, the same shape.
        changes: Whether the token wanted is another than the base's own answer, ``[n]``.
        tail: Gives the tail of the base prompts of some of the pairs, by their index ``[m]``.
        own: Which of the pairs each run learns from, ``[runs, m]``; ``None`` for all.
        token_by_token: Whether activations have a dimension more before the last, for the tokens of spans.
    """

    base: Rows
    source: Rows
    target_id: torch.Tensor
    other_id: torch.Tensor
    changes: torch.Tensor
    tail: TailOf
    own: torch.Tensor | None = None
    token_by_token: bool = False

    def __len__(self) -> int:
        return self.changes.shape[-1] if self.own is None else self.own.shape[1]

    @property
    def shared_dims(self) -> int:
        """How many dimensions token ids have that every run shares."""
        return 1 + self.target_id.ndim - self.changes.ndim

    def chosen(self, runs: torch.Tensor, places: torch.Tensor) -> "Batch":
        """What some runs learn from in one step.

        Args:
            runs: Which, ``[r]``.
            places: Which of the pairs that each learns from, ``[r, b]``.
        """
        index = places if self.own is None else self.own[runs].gather(1, places)

        def rows(values: Rows, shared_dims: int) -> torch.Tensor:
            """Of values that every run shares, or of each run's own."""
            if isinstance(values, torch.Tensor) and values.ndim > shared_dims:
                return values[runs[:, None], index]
            return values[index]

        of_activations = 3 if self.token_by_token else 2
        return Batch(
            index,
            rows(self.base, of_activations),
            rows(self.source, of_activations),
            rows(self.target_id, self.shared_dims).flatten(0, 1),
            rows(self.other_id, self.shared_dims).flatten(0, 1),
            rows(self.changes, 1),
        )


@dataclass(frozen=True)
class Batch:
    """What r runs learn from in one step, b pairs each.

    Attributes:
        index: The pairs, ``[r, b]``.
        base: Activations of the base prompts, ``[r, b, d]``, token by token with a dimension more.
        source: Those of the sources, the same shape.
        target_id: As in ``Examples``, ``[r * b]`` or ``[r * b, k]``.
        other_id: Likewise.
        changes: Likewise, ``[r, b]``.
    """

    index: torch.Tensor
    base: torch.Tensor
    source: torch.Tensor
    target_id: torch.Tensor
    other_id: torch.Tensor
    changes: torch.Tensor


@dataclass(frozen=True)
class Trained:
    """Trained subspaces: bases ``[seeds, d, k]`` and the training curve (columns ``seed, step, loss``,
    ``accuracy_change`` and ``accuracy_keep``: share of the pairs whose answer should change, or stay, that gave their
    target; NaN in a step without any)."""

    bases: torch.Tensor
    curve: pd.DataFrame


SHORTEST_PASS = 10
"""The fewest steps over which a loss is compared: of few pairs a single step is a pass, and says nothing."""

CURVE = ("loss", "accuracy_change", "accuracy_keep")
"""The measures of a training curve."""


def nothing_trained(d: int, rank: int) -> Trained:
    """What training leaves where there is nothing to train."""
    columns = dict(seed=int, step=int) | dict.fromkeys(CURVE, float)
    curve = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    return Trained(torch.empty(0, d, rank), curve)


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
    min_gain: float = 0.0,
    matmul_dtype: MatmulDtype = "float32",
    support: torch.Tensor | None = None,
    readout: torch.Tensor | None = None,
    on_step: Callable[[float], None] = lambda loss: None,
) -> Trained:
    """Trains one subspace per run, all runs in one batch.

    Adam, the learning rate falling to zero along a half cosine.

    Args:
        model: The model.
        site: Where the model is changed.
        examples: Pairs and their targets.
        rank: Dimension k of the subspace.
        seeds: Each seeds the first basis and the order of the examples of one run.
        steps: Number of steps.
        batch: Pairs per step and seed.
        lr: Learning rate at the start.
        loss: ``cross_entropy`` of the target over the vocabulary, or ``logit_difference`` between the other name and
            the target; of several targets, of their summed probability.
        min_gain: A run ends when a pass over the training pairs (``SHORTEST_PASS`` steps or more) adds less than
            this share to what its mean loss has fallen since the first pass; with zero every run makes all its steps.
        matmul_dtype: What the model's matrix products are made in; all else is float32.
        support: Which dimensions the subspace of each run may use, ``[runs, d]`` of zeros and ones (E11); all if
            ``None``.
        readout: ``[runs, d, d_site]``, where the subspace does not live at the site but in something that writes to it
            through a matrix (E8); ``None`` where it lives there.
        on_step: Told the mean loss after every step.

    Raises:
        InputError: If the rank does not fit the site, or the loss stops being a number.
    """
    d = examples.base[torch.zeros(1, dtype=torch.long)].shape[-1]
    most = d if support is None else int(support.sum(1).min())
    if not 1 <= rank <= most:
        raise InputError(f"rank is {rank}, but {site.name} has {most} dimensions: take a rank from 1 to {most}")
    allowed = torch.ones(len(seeds), d, 1) if support is None else support[..., None]
    start = [torch.randn(d, rank, generator=torch_generator(seed, "frame", site.name)) for seed in seeds]
    # A parameter a run, so that Adam leaves alone what has ended.
    raw = [basis.requires_grad_() for basis in orthonormal(torch.stack(start) * allowed)]
    running = torch.arange(len(seeds))

    def of_tokens(matrices: torch.Tensor) -> torch.Tensor:
        """A matrix of each run, ``[runs, ...]``, as it is multiplied with the tokens of a run's examples."""
        return matrices[:, None] if examples.token_by_token else matrices

    optimizer = torch.optim.Adam(raw, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    order = [_batches(len(examples), batch, torch_generator(seed, "order", site.name)) for seed in seeds]
    a_pass = max(-(-len(examples) // batch), SHORTEST_PASS)
    history: list[list[float]] = [[] for _ in seeds]
    curve = []
    replayed = replaying(model, site, examples.tail)
    with matmul_in(model, matmul_dtype, site.start):
        for step in range(steps):
            some = examples.chosen(running, torch.stack([next(order[run]) for run in running.tolist()]))
            bases = orthonormal(torch.stack([raw[run] for run in running.tolist()]) * allowed[running])
            change = patch_change(some.base, some.source, of_tokens(bases))
            if readout is not None:
                change = change @ of_tokens(readout[running])
            logits = replayed(change.flatten(0, 1), some.index.flatten())
            target, other = some.target_id.to(logits.device), some.other_id.to(logits.device)
            if loss == "cross_entropy":
                losses = cross_entropy(logits, target)
            else:
                losses = logit_difference(logits, other, target)
            by_run = losses.view(len(running), -1).mean(1)
            if not by_run.isfinite().all():
                raise InputError(
                    f"the loss at {site.name} stopped being a number in step {step}: lower das.lr (now {lr})"
                )
            optimizer.zero_grad()
            by_run.sum().backward()
            optimizer.step()
            schedule.step()
            right = is_one_of(logits.detach().argmax(-1), target).view(len(running), -1).cpu()
            for place, run in enumerate(running.tolist()):
                history[run].append(float(by_run[place].detach()))
                changed = some.changes[place]
                accuracies = (float(right[place][which].float().mean()) for which in (changed, ~changed))
                curve.append((seeds[run], step, history[run][-1], *accuracies))
            on_step(float(by_run.detach().mean()))
            running = torch.tensor([run for run in running.tolist() if not _ended(history[run], a_pass, min_gain)])
            if not len(running):
                break
    bases = orthonormal(torch.stack([basis.detach() for basis in raw]) * allowed)
    if not bases.isfinite().all():
        raise InputError(
            f"the subspaces at {site.name} stopped being numbers in the last step: lower das.lr (now {lr})"
        )
    return Trained(bases, pd.DataFrame(curve, columns=["seed", "step", *CURVE]))


def training_kinds(same_value: bool) -> tuple[str, ...]:
    """The kinds of pairs to train on: those whose values differ, and those of one value if asked for."""
    return (DIFFERENT, SAME) if same_value else (DIFFERENT,)


def mean_curve(curve: pd.DataFrame) -> pd.DataFrame:
    """The training curve's mean, step by step, over the seeds that still train."""
    return curve.groupby("step", as_index=False)[list(CURVE)].mean().round(6)


def late_accuracy(curve: pd.DataFrame, kind: str, steps: int = 10) -> float:
    """Share of training examples that gave their target in the last steps, mean over seeds; NaN where there were none.

    Args:
        curve: The training curve.
        kind: ``change``, the pairs whose answer should change, or ``keep``, those whose answer should stay.
        steps: How many steps are the last.
    """
    last = curve.groupby("seed")["step"].transform("max")
    return float(curve.loc[curve["step"] > last - steps, f"accuracy_{kind}"].mean())


def _ended(losses: Sequence[float], a_pass: int, min_gain: float) -> bool:
    """Whether the last pass over the training pairs has lowered a run's loss too little to go on.

    Args:
        losses: Of every step so far.
        a_pass: Steps of a pass.
        min_gain: As for ``train_das``.
    """
    if not min_gain or len(losses) < 2 * a_pass or len(losses) % a_pass:
        return False
    passes = [sum(losses[at : at + a_pass]) / a_pass for at in range(0, len(losses), a_pass)]
    return passes[-2] - passes[-1] < min_gain * (passes[0] - passes[-1])


def _batches(n: int, batch: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless batches: pass after pass over all examples, each in a new order, a batch running over into the next."""
    left = torch.empty(0, dtype=torch.long)
    while True:
        while len(left) < batch:
            left = torch.cat([left, torch.randperm(n, generator=generator)])
        yield left[:batch]
        left = left[batch:]
