"""What a run has to show of itself before its figures are worth anything, on the user's own model and pairs.

A replay of the tail must equal the full forward pass; a patch of a prompt from itself must change nothing; and the part
of a subspace that the readout maps to zero must have no effect.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.pairs import Pairs

TRIED = 4
"""Pairs that are run in full beside their replay, at every component."""
ALLOWED = 1e-3
"""What may be off, as a share of the mean clean LD: a hundredth of the smallest effect that is judged."""


@dataclass(frozen=True)
class Proof:
    """The largest differences that were seen, in logits.

    Attributes:
        replay: Between the logits at END of a replay and of the full forward pass, both with the whole component
            patched, over ``TRIED`` pairs and the vocabulary.
        self_patch: Between LD under a patch of each base from itself and LD of its full forward pass.
        null_part: Of LD under patches along null parts alone from the clean LD; ``None`` where nothing has a null part.
        allowed: What each may be.
    """

    replay: float
    self_patch: float
    null_part: float | None
    allowed: float

    @classmethod
    def worst(cls, proofs: Sequence["Proof"]) -> "Proof":
        """The largest differences of several components."""
        nulls = [proof.null_part for proof in proofs if proof.null_part is not None]
        return cls(
            max(proof.replay for proof in proofs),
            max(proof.self_patch for proof in proofs),
            max(nulls, default=None),
            min(proof.allowed for proof in proofs),
        )

    def with_null_parts(self, outcomes: Iterable[Outcome], ld_clean: np.ndarray) -> "Proof":
        """The same with what patches along null parts alone did to the pairs whose clean LD is ``[n]``."""
        apart = [float(np.abs(outcome.ld - ld_clean).max()) for outcome in outcomes]
        return replace(self, null_part=max(apart, default=None))

    def check(self, where: str) -> None:
        """Makes sure that nothing is further off than is allowed.

        Raises:
            InputError: If something is.
        """
        seen = {
            "a replay differs from the full forward pass": self.replay,
            "a patch of a prompt from itself changes the logit difference": self.self_patch,
            "patching the null part alone changes the logit difference": self.null_part,
        }
        for words, off in seen.items():
            if off is not None and not off <= self.allowed:
                raise InputError(
                    f"{where}: {words} by {off:.2g}, where {self.allowed:.2g} is allowed; figures of this model would "
                    "not be its own, so the audit stops"
                )


def prove(pairs: Pairs, site: Site, tokens: Sequence[Sequence[int]], batch: int) -> Proof:
    """Compares what must be equal before anything else is asked.

    Args:
        pairs: Held-out pairs of different values.
        site: The component.
        tokens: Token ids of the first ``TRIED`` base prompts.
        batch: Pairs at a time.
    """
    base, source = pairs.base(site), pairs.source(site)
    found = pairs.patch(site, {"itself": lambda rows: torch.zeros_like(base[rows])}, batch)
    itself = float(np.abs(found["itself"].ld[0] - pairs.ld_clean).max())
    allowed = ALLOWED * float(np.abs(pairs.ld_clean).mean())
    return Proof(_replay_off(pairs, site, tokens, source - base), itself, None, allowed)


def _replay_off(pairs: Pairs, site: Site, tokens: Sequence[Sequence[int]], change: torch.Tensor) -> float:
    """How far the logits of replays are from those of full forward passes with the same change."""
    off = 0.0
    for row, ids in enumerate(tokens):
        here = torch.tensor([row])
        tail = pairs.tail(site.start)(here)
        position = int(tail.positions[0])
        whole = record(pairs.model, torch.tensor([list(ids)]), changes={site: change[here]}, position=position)
        with torch.no_grad():
            replayed = replay(pairs.model, tail, {site: change[here]}).logits.cpu()
        off = max(off, float((replayed - whole.logits).abs().max()))
    return off
