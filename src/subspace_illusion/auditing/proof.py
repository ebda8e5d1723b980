"""What a run has to show of itself before its figures are worth anything, on the user's own model and pairs.

A patch that is replayed must do what *setting* the component to the source's activation does in a full forward pass; a
component set to its own activation must change nothing; and all of what the readout maps to zero, swapped at once, must
have no effect. The full passes use none of the code that patches, so that an activation that was read at another token,
head or hook shows.

A model that keeps its weights in 16 bits rounds whatever it computes to them. What that alone does to an effect on
these pairs, the noise, is measured by the same comparisons and two more: the whole component patched again in other
batches, and the component changed by no more than it was rounded by. Intervals of verdicts are widened by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from subspace_illusion.core.basis import row_space, split_by
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import replay
from subspace_illusion.core.rounding import allowed_share
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change

TRIED = 4
"""Pairs that are run in full beside their replay, at every component."""
OF_A_LOGIT = 4
"""Or so many times what the largest logit is rounded by: where the clean LD is small, it is a small difference of large
numbers."""
OTHER_BATCH = 7
"""Pairs at a time in the batches that are beside those of the audit."""

ITSELF, UNREAD = "itself", "what nothing reads"
WHOLE, ROUNDED = "the whole component", "what rounding changes"


@dataclass(frozen=True)
class Proof:
    """The largest differences that were seen, in logits.

    Attributes:
        replay: Between the logits at END of a replay with the whole component patched and of a full forward pass with
            it set to what the source has, over ``TRIED`` pairs and the vocabulary.
        self_patch: Between the clean LD and LD of a replay that changes nothing, of all pairs, or of a full forward
            pass with the component set to what was read of it, of ``TRIED`` pairs.
        null_part: Between the clean LD and LD with all that the readout maps to zero patched, over all pairs; ``None``
            where it maps nothing to zero.
        allowed: What each may be.
        noise: By how much the rounding of a model in 16 bits moves an effect on these pairs, as a standard error and a
            share of the mean clean LD: the largest of what the comparisons over all pairs show. 0 in float32, where it
            is less than a thousandth of the smallest effect that is judged.
    """

    replay: float
    self_patch: float
    null_part: float | None
    allowed: float
    noise: float = 0.0

    @classmethod
    def worst(cls, proofs: Sequence["Proof"]) -> "Proof":
        """The largest differences of several components."""
        nulls = [proof.null_part for proof in proofs if proof.null_part is not None]
        return cls(
            max(proof.replay for proof in proofs),
            max(proof.self_patch for proof in proofs),
            max(nulls, default=None),
            min(proof.allowed for proof in proofs),
            max(proof.noise for proof in proofs),
        )

    def check(self, where: str) -> None:
        """Makes sure that nothing is further off than is allowed.

        Raises:
            InputError: If something is.
        """
        seen = {
            "a replay differs from the full forward pass": self.replay,
            "a patch of a prompt from itself changes the logit difference": self.self_patch,
            "patching what the readout maps to zero changes the logit difference": self.null_part,
        }
        for words, off in seen.items():
            if off is not None and not off <= self.allowed:
                raise InputError(
                    f"{where}: {words} by {off:.2g}, where {self.allowed:.2g} is allowed; figures of this model would "
                    "not be its own, so the audit stops"
                )


def prove(
    pairs: Pairs, site: Site, tokens: Sequence[Sequence[int]], batch: int, tolerance: float, bootstrap: Bootstrap
) -> Proof:
    """Compares what must be equal before anything else is asked.

    Args:
        pairs: Held-out pairs of different values.
        site: The component.
        tokens: Token ids of the first ``TRIED`` base prompts.
        batch: Pairs at a time.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        bootstrap: Draws of the pairs, over which the noise of a mean is taken.
    """
    base, source = pairs.base(site), pairs.source(site)
    size, dtype = float(np.abs(pairs.ld_clean).mean()), pairs.model.dtype
    changes: dict[str, Change] = {ITSELF: lambda rows: torch.zeros_like(base[rows])}
    readout = pairs.model.readout(site)
    seen = None if readout is None else row_space(readout, tolerance)
    if seen is not None and seen.shape[1] < len(seen):
        changes[UNREAD] = partial(_unread, base, source, seen)
    if dtype != torch.float32:
        changes[ROUNDED] = lambda rows: _rounding(base[rows], dtype, rows)
    found = pairs.patch(site, changes, batch)
    moved = {name: outcome.ld[0] - pairs.ld_clean for name, outcome in found.items()}
    off = {name: float(np.abs(by_pair).max()) for name, by_pair in moved.items()}
    noise = 0.0
    if dtype != torch.float32:
        whole = {WHOLE: pairs.along(site, None)}
        first, again = (pairs.patch(site, whole, pairs_at_once)[WHOLE].ld[0] for pairs_at_once in (batch, OTHER_BATCH))
        noise = max(_standard_error(bootstrap, by_pair) for by_pair in (*moved.values(), again - first))
    replayed, itself, largest = 0.0, off[ITSELF], 0.0
    for row, ids in enumerate(tokens):
        here = torch.tensor([row])
        tail = pairs.tail(site.start)(here)
        change = pairs.along(site, None)(here)
        with torch.no_grad():
            patched = replay(pairs.model, tail, {site: change}).logits.cpu()
        was, becomes = _each_token(pairs, site, row, change[0])
        set_to = [run_in_full(pairs.model, site, ids, int(tail.read_at[0]), was, value) for value in (becomes, was)]
        replayed = max(replayed, float((patched[0] - set_to[0]).abs().max()))
        largest = max(largest, float(set_to[1].abs().max()))
        ld = logit_difference(set_to[1][None], pairs.answer[here], pairs.foil[here])
        itself = max(itself, abs(float(ld) - float(pairs.ld_clean[row])))
    allowed = max(allowed_share(dtype) * size, OF_A_LOGIT * torch.finfo(dtype).eps * largest)
    return Proof(replayed, itself, off.get(UNREAD), allowed, noise / abs(float(pairs.ld_clean.mean())))


def _each_token(pairs: Pairs, site: Site, row: int, change: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What a base holds at every token where it is patched, and what it is to hold there, each ``[tokens, d]``.

    Args:
        pairs: The pairs.
        site: The component.
        row: The pair.
        change: What its patch of the whole component adds, ``[d]``, or token by token.
    """
    numbers = [pairs.base_prompts[row]], [pairs.source_prompts[row]]
    if pairs.by_token is None:
        base, source = (pairs.prompts.at(site, number) for number in numbers)
        return base, source
    of_span = pairs.tail(site.start)(torch.tensor([row])).span
    assert of_span is not None
    base, source = (pairs.by_token.at(site, number)[0][of_span[0]] for number in numbers)
    return base, source if pairs.token_by_token else base + change


def _unread(base: torch.Tensor, source: torch.Tensor, seen: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Patching all that lies outside what a readout sees, ``[d, rank]``, of some pairs: ``[m, d]``."""
    return split_by((source[rows] - base[rows]).mT, seen).null_vectors.mT


def _rounding(activation: torch.Tensor, dtype: torch.dtype, rows: torch.Tensor) -> torch.Tensor:
    """A random change of no more than rounding to a dtype may make of activations ``[m, d]``; of a pair the same one
    in whatever batch it is."""
    draws = [torch.rand(activation.shape[1], generator=torch_generator(int(row), "rounding")) for row in rows]
    return activation * (torch.stack(draws) - 0.5) * torch.finfo(dtype).eps


def _standard_error(bootstrap: Bootstrap, by_pair: np.ndarray) -> float:
    """How far the mean over pairs is from 0, in all draws together."""
    return float(np.sqrt(np.square(bootstrap.means(by_pair)).mean()))


def run_in_full(
    model: Model, site: Site, tokens: Sequence[int], position: int, was: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """The logits at END, ``[vocab]``, of a full forward pass in which a site is set to a value.

    Args:
        model: The model.
        site: The site.
        tokens: Token ids of the prompt.
        position: The first token at which it is set.
        was: What was read there and at the tokens behind, ``[tokens, d]``. Only where a site is not written where it is
            read (``Site.write_hook``) does it matter: there the difference is added.
        value: What it is set to, the same shape.
    """
    tokens_set = slice(position, position + len(value))

    def put(activation: torch.Tensor, hook: object) -> torch.Tensor:
        changed = activation.clone()
        here = changed[:, tokens_set] if site.head is None else changed[:, tokens_set, site.head]
        if site.write_hook == site.hook:
            here.copy_(value.view_as(here))
        else:
            here.add_((value - was).view_as(here).to(here.device))
        return changed

    with torch.no_grad():
        ids = torch.tensor([list(tokens)], device=model.device)
        return model.bridge.run_with_hooks(ids, fwd_hooks=[(site.write_hook, put)])[0, -1].float().cpu()
