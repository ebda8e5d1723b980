"""What a patch did to the answer, pair by pair: the one place where a logit difference is computed."""

from dataclasses import dataclass

import numpy as np
import torch


def logit_difference(logits: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor) -> torch.Tensor:
    """LD: logit(answer) - logit(foil), ``[n]``, from logits at END ``[n, vocabulary]`` and token ids ``[n]``."""
    return (logits.gather(1, answer[:, None]) - logits.gather(1, foil[:, None])).squeeze(1)


@dataclass(frozen=True)
class Outcome:
    """What one patch did to each pair, and to each pair under each seed where there are several.

    Attributes:
        ld: LD of the patched run, ``[seeds, pairs]``.
        top1_foil: Whether the argmax over the whole vocabulary is the foil, ``[seeds, pairs]``.
    """

    ld: np.ndarray
    top1_foil: np.ndarray

    @classmethod
    def of(cls, logits: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor) -> "Outcome":
        """The outcome of one patch from its logits ``[pairs, vocabulary]``."""
        ld = logit_difference(logits, answer, foil)
        return cls(ld[None].double().numpy(), (logits.argmax(-1) == foil)[None].numpy())

    @classmethod
    def of_answers(cls, logits: torch.Tensor) -> "Outcome":
        """The outcome of one patch from the logits of answer, foil and the likeliest token ``[pairs, 3]``, the last NaN
        where the answer is likelier than the foil (``answers_alone``)."""
        answer, foil, likeliest = logits.T
        return cls((answer - foil)[None].double().numpy(), (foil == likeliest)[None].numpy())

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
