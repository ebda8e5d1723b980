"""What a replay says of answer and foil, without the rest of the vocabulary.

A measure of a patch needs two logits, or those of several answers a side, and a vocabulary is large: of what SmolLM2
computes for a token from block 20 on, its unembedding is nearly half. Which token is the likeliest of all has to be
asked only where the foil is likelier than the answer, because elsewhere it cannot be the foil.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from subspace_illusion.core.forwards import forwards
from subspace_illusion.core.linear import logits_in_float32
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import NONE, Outcome
from subspace_illusion.core.parts import Weights, linear_modules
from subspace_illusion.core.replay import TOKENS, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail


@contextmanager
def answers_alone(model: Model, answer: torch.Tensor, foil: torch.Tensor, *, best: bool = True) -> Iterator[None]:
    """Within, without gradients, a replay's logits are those few ``[n, 2 k + 1]`` that ``Outcome.of_answers`` takes.

    Args:
        model: The model.
        answer: Token ids of the answers of the prompts that are replayed, ``[n]`` or ``[n, k]``.
        foil: Token ids of their foils, the same shape.
        best: Whether it is asked which token is the likeliest of all.
    """
    ((module, weights),) = linear_modules(model.bridge, model.n_blocks).items()
    ids = torch.stack([answer, foil], 1).flatten(1)
    with forwards({module: _unembedding(weights, ids, best)}), torch.no_grad():
        yield


def outcomes_each(
    model: Model,
    tail: Tail,
    changes: Mapping[Site, torch.Tensor],
    start: int,
    answer: torch.Tensor,
    foil: torch.Tensor,
) -> dict[Site, Outcome]:
    """Replays once for every change alone, as many of them in one batch as have some ``TOKENS`` tokens.

    Args:
        model: The model.
        tail: The tail of the base prompts.
        changes: Changes, ``[n, d]`` by site.
        start: The first block to run.
        answer: Token ids of the base prompts' answers, ``[n]`` or ``[n, k]``.
        foil: Token ids of the base prompts' foils, the same shape.
    """
    found, tail = {}, tail.since(start).to(model.device)
    most = max(1, TOKENS // (len(tail) * (int(tail.ends.max()) + 1)))
    for first in range(0, len(changes), most):
        some = list(changes.items())[first : first + most]
        together, times = {}, len(some)
        for place, (site, change) in enumerate(some):
            rows = torch.zeros(times, *change.shape)
            rows[place] = change  # every change has rows of its own and leaves the others' alone
            together[site] = rows.flatten(0, 1)
        with answers_alone(model, *(torch.cat([ids] * times) for ids in (answer, foil))):
            logits = replay(model, tail.repeat(times), together, start=start).logits.cpu()
        found |= {site: Outcome.of_answers(x) for (site, _), x in zip(some, logits.split(len(tail)), strict=True)}
    return found


def _unembedding(weights: Weights, of_prompts: torch.Tensor, of_all: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """From the residual stream at END ``[n, 1, d_model]`` the logits of answers, foils and the likeliest token, NaN for
    what a side lacks and where the last was not asked for, ``[n, 1, 2 k + 1]``; one axis, so that a cap on logits finds
    what it expects."""

    def forward(x: torch.Tensor) -> torch.Tensor:
        weight, bias = weights()
        end, listed = x[:, -1].to(weight.device).float(), of_prompts.to(weight.device)
        lacking, ids = listed == NONE, listed.clamp(min=0)
        named = torch.einsum("nd,nkd->nk", end, weight[ids].float())
        if bias is not None:
            named = named + bias[ids]
        best = torch.full_like(named[:, :1], torch.nan)
        answers, foils = (of_side.amax(1) for of_side in named.masked_fill(lacking, -torch.inf).chunk(2, 1))
        if of_all and len(asked := (foils >= answers).nonzero().flatten()):
            logits = logits_in_float32(end[asked], weight, bias)
            # All of them from one product: a foil's own logit is compared with the largest.
            named[asked], best[asked] = logits.gather(1, ids[asked]), logits.amax(1, keepdim=True)
        return torch.cat([named.masked_fill(lacking, torch.nan), best], 1)[:, None]

    return forward
