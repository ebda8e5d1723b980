"""What a patch did to the answer, pair by pair: the one place where a logit difference is computed.

A side may have several right answers (is, was). Token ids are ``[n]``, one answer a side, or ``[n, k]``, up to ``k``
different ones a side, those that a side has fewer being ``NONE``.
"""

from dataclasses import dataclass

import numpy as np
import torch

NONE = -1
"""Stands in the place of the token ids that a side has fewer than another."""


def logit_difference(logits: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor) -> torch.Tensor:
    """LD: logit(answer) - logit(foil), ``[n]``, from logits at END ``[n, vocabulary]`` and token ids ``[n]``; of
    ``[n, k]`` the difference of the logs of summed probabilities."""
    return logit_of(logits, answer) - logit_of(logits, foil)


def cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Minus the log of the target's probability, ``[n]``, or of the summed probability of several.

    Args:
        logits: ``[n, vocabulary]``.
        target: Token ids, ``[n]`` or ``[n, k]``.
    """
    if target.ndim == 1:
        return torch.nn.functional.cross_entropy(logits, target, reduction="none")
    return logits.logsumexp(1) - logit_of(logits, target)


def logit_of(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The logit of one token ``[n]``, or the log of the summed exponentials of those of several ``[n, k]``: ``[n]``."""
    if ids.ndim == 1:
        return logits.gather(1, ids[:, None]).squeeze(1)
    return _summed(logits.gather(1, ids.clamp(min=0)).masked_fill(ids == NONE, torch.nan))


def is_one_of(token: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Whether a token ``[n]`` is the one ``[n]``, or among several ``[n, k]``: ``[n]``."""
    return token == ids if ids.ndim == 1 else (token[:, None] == ids).any(1)


def _summed(logits: torch.Tensor) -> torch.Tensor:
    """The log of the summed exponentials of logits ``[n, k]`` that are not NaN, ``[n]``."""
    if logits.shape[1] == 1:
        return logits.squeeze(1)
    return logits.masked_fill(logits.isnan(), -torch.inf).logsumexp(1)


@dataclass(frozen=True)
class Outcome:
    """What one patch did to each pair, and to each pair under each seed where there are several.

    Attributes:
        ld: LD of the patched run, ``[seeds, pairs]``.
        top1_foil: Whether the argmax over the whole vocabulary is the foil, or one of several, ``[seeds, pairs]``.
    """

    ld: np.ndarray
    top1_foil: np.ndarray

    @classmethod
    def of(cls, logits: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor) -> "Outcome":
        """The outcome of one patch from its logits ``[pairs, vocabulary]``."""
        ld = logit_difference(logits, answer, foil)
        return cls(ld[None].double().numpy(), is_one_of(logits.argmax(-1), foil)[None].numpy())

    @classmethod
    def of_answers(cls, logits: torch.Tensor) -> "Outcome":
        """The outcome of one patch from the logits of answers, foils and the likeliest token ``[pairs, 2 k + 1]``, NaN
        where a side has fewer; the last too where an answer is likelier than all foils (``answers_alone``)."""
        answers, foils = logits[:, :-1].chunk(2, 1)
        on_top = (foils == logits[:, -1:]).any(1)
        return cls((_summed(answers) - _summed(foils))[None].double().numpy(), on_top[None].numpy())

    @classmethod
    def joined(cls, outcomes: "list[Outcome]") -> "Outcome":
        """The outcomes of one patch on one batch of pairs after another."""
        return cls(np.concatenate([o.ld for o in outcomes], 1), np.concatenate([o.top1_foil for o in outcomes], 1))

    def rows(self, index: torch.Tensor) -> "Outcome":
        """The outcome on some of the pairs, in the order of ``index``."""
        return Outcome(self.ld[:, index.numpy()], self.top1_foil[:, index.numpy()])

    @classmethod
    def pooled(cls, outcomes: "list[Outcome]") -> "Outcome":
        """The outcomes of several seeds on the same pairs."""
        return cls(np.concatenate([o.ld for o in outcomes]), np.concatenate([o.top1_foil for o in outcomes]))
