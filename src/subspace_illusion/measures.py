"""Measures: what a patch does to the answer, with bootstrap intervals. The one place where an effect is computed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.seeds import numpy_generator

MEASURES = (
    "ld_clean",
    "accuracy_clean",
    "ld_patched",
    "effect",
    "fldd",
    "share_of_residual",
    "flip_rate",
    "interchange_accuracy",
    "effect_over_row_part",
)
"""The columns of every table of effects; each comes with ``_lo`` and ``_hi``, its 95 % interval."""

POOLED = "pooled"
"""The seed of a row that pools all training seeds."""


def logit_difference(logits: torch.Tensor, io: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    """LD: logit(IO) - logit(S) per prompt, ``[n]``, from logits at END ``[n, vocabulary]`` and token ids ``[n]``."""
    return (logits.gather(1, io[:, None]) - logits.gather(1, s[:, None])).squeeze(1)


@dataclass(frozen=True)
class Outcome:
    """What one patch did to each pair, and to each pair under each seed where there are several.

    Attributes:
        ld: LD of the patched run, ``[seeds, pairs]``.
        top1_s: Whether the argmax over the whole vocabulary is S, ``[seeds, pairs]``.
    """

    ld: np.ndarray
    top1_s: np.ndarray

    @classmethod
    def of(cls, logits: torch.Tensor, io: torch.Tensor, s: torch.Tensor) -> "Outcome":
        """The outcome of one patch from its logits ``[pairs, vocabulary]``."""
        ld = logit_difference(logits, io, s)
        return cls(ld[None].double().numpy(), (logits.argmax(-1) == s)[None].numpy())

    @classmethod
    def joined(cls, outcomes: "list[Outcome]") -> "Outcome":
        """The outcomes of one patch on one batch of pairs after another."""
        return cls(np.concatenate([o.ld for o in outcomes], 1), np.concatenate([o.top1_s for o in outcomes], 1))

    @classmethod
    def pooled(cls, outcomes: "list[Outcome]") -> "Outcome":
        """The outcomes of several seeds on the same pairs."""
        return cls(np.concatenate([o.ld for o in outcomes]), np.concatenate([o.top1_s for o in outcomes]))


def summarise(
    outcome: Outcome,
    ld_clean: np.ndarray,
    ld_residual: np.ndarray,
    row_part: Outcome | None = None,
    *,
    resamples: int,
    seed: int,
) -> dict[str, float]:
    """Every measure of a patch with its percentile bootstrap 95 % interval (``<measure>_lo``, ``<measure>_hi``).

    Pairs are resampled, and seeds too where there are several. One draw serves all measures, so ratios are paired. Each
    patch gets the same draws, so differences between patches are not blurred by the resampling.

    Args:
        outcome: What the patch did.
        ld_clean: LD of the base prompts without a patch, ``[pairs]``.
        ld_residual: LD when the whole residual stream after the component's block is patched, ``[pairs]``: what
            ``share_of_residual`` is a share of.
        row_part: What patching only the subspace's row part did, for ``effect_over_row_part``; without it that is NaN.
        resamples: Number of bootstrap draws.
        seed: Seed of the draws.

    Raises:
        InputError: If there are no pairs.
    """
    seeds, pairs = outcome.ld.shape
    if pairs == 0:
        raise InputError("there are no pairs to measure")
    weights = _resampled(pairs, resamples, seed, "pairs")
    seed_weights = _resampled(seeds, resamples, seed, "seeds")

    def means(values: np.ndarray) -> np.ndarray:
        """The plain mean, then the mean of every draw, ``[1 + resamples]``."""
        draws = ((seed_weights @ np.broadcast_to(values, (seeds, pairs))) * weights).sum(1)
        return np.concatenate([[values.mean()], draws])

    clean, patched = means(ld_clean), means(outcome.ld)
    effect = clean - patched
    over_row_part = np.full_like(effect, np.nan) if row_part is None else _ratio(effect, clean - means(row_part.ld))
    values = dict(
        ld_clean=clean,
        accuracy_clean=means(ld_clean > 0),
        ld_patched=patched,
        effect=effect,
        fldd=_ratio(effect, clean),
        share_of_residual=_ratio(effect, clean - means(ld_residual)),
        flip_rate=means(outcome.ld < 0),
        interchange_accuracy=means(outcome.top1_s),
        effect_over_row_part=over_row_part,
    )
    row: dict[str, float] = {}
    for name in MEASURES:
        draws = values[name][1:]
        low, high = np.percentile(draws, [2.5, 97.5]) if np.isfinite(draws).all() else (np.nan, np.nan)
        row |= {name: float(values[name][0]), f"{name}_lo": float(low), f"{name}_hi": float(high)}
    return row


def _resampled(n: int, resamples: int, seed: int, what: str) -> np.ndarray:
    """Weights of ``n`` things in every bootstrap draw, ``[resamples, n]``, each row summing to one."""
    rng = numpy_generator(seed, "bootstrap", what, n)
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples) / n


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(b == 0, np.nan, a / b)


def table(rows: list[dict]) -> pd.DataFrame:
    """Rows of results as one table, floats rounded to a millionth, so that a diff shows changes and not noise."""
    return pd.DataFrame(rows).round(6)
