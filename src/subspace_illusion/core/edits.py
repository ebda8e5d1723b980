"""Rank-1 edits of an MLP's output matrix, ``W_out += b a^T`` (E16; ROME, arXiv 2202.05262, section 3.1).

With the edit a hidden activation ``h`` writes ``(h.b) a`` more than without it, at every token. It is made by hooks, so
that prompts with an edit of their own each share a batch, and the model's weights stay as they are.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from subspace_illusion.core.mlps import BATCH
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, mlp_output


def covariances(
    model: Model, tokens: torch.Tensor, sites: Sequence[Site], on_batch: Callable[[int], object] = lambda n: None
) -> dict[Site, torch.Tensor]:
    """The uncentred covariance of hidden activations over every token of a text, ``[d, d]`` in double precision.

    First tokens count too: what is massive there is what an edit must leave alone.

    Args:
        model: The model.
        tokens: Token ids, ``[sequences, length]``.
        sites: MLPs' hidden activations.
        on_batch: Called with the number of sequences that a forward pass took.
    """
    sums = {site: torch.zeros(model.width(site), model.width(site), dtype=torch.float64) for site in sites}

    def adder(site: Site) -> Callable[..., None]:
        def add(activation: torch.Tensor, hook: Any) -> None:
            h = activation.detach().flatten(0, 1).double()
            sums[site] += (h.mT @ h).cpu()

        return add

    hooks = [(site.hook, adder(site)) for site in sums]
    for batch in tokens.split(BATCH):
        with torch.no_grad(), model.bridge.hooks(fwd_hooks=hooks):
            model.bridge.original_model(input_ids=batch.to(model.device), logits_to_keep=1)
        on_batch(len(batch))
    return {site: total / tokens.numel() for site, total in sums.items()}


def edit_keys(hidden: torch.Tensor, covariance: torch.Tensor, ridge: float) -> torch.Tensor:
    """The ``b`` of edits that write all of ``a`` at a given activation x, and as little as can be elsewhere in a text.

    ``b = C^-1 x / (x^T C^-1 x)`` has ``x.b = 1`` and, of all such vectors, the smallest mean square of ``h.b``.

    Args:
        hidden: The activations x, ``[n, d]``.
        covariance: C, ``[d, d]``.
        ridge: What is added to C's diagonal, as a share of the diagonal's mean: a short text leaves C nearly singular.

    Returns:
        ``[n, d]``.
    """
    x, diagonal = hidden.double(), covariance.diagonal()
    ridged = covariance + torch.diag(torch.full_like(diagonal, ridge * float(diagonal.mean())))
    keys = torch.linalg.solve(ridged, x.mT).mT
    return (keys / (x * keys).sum(1, keepdim=True)).float()


@contextmanager
def edited(model: Model, site: Site, keys: torch.Tensor, outputs: torch.Tensor) -> Iterator[None]:
    """Runs prompts with an edit each while the block lasts.

    Args:
        model: The model.
        site: The hidden activations of the MLP whose output matrix is edited.
        keys: The ``b`` of every prompt in the batch, ``[n, d]``.
        outputs: The ``a`` of every prompt, ``[n, d_model]``.
    """
    found: list[torch.Tensor] = []

    def read(activation: torch.Tensor, hook: Any) -> None:
        found.append(activation @ keys.to(activation.device)[:, :, None])  # [n, tokens, 1]

    def write(activation: torch.Tensor, hook: Any) -> torch.Tensor:
        return activation + found.pop() * outputs.to(activation.device)[:, None]

    with model.bridge.hooks(fwd_hooks=[(site.hook, read), (mlp_output(site.block).hook, write)]):
        yield


def edited_logits(
    model: Model,
    prompts: Sequence[Sequence[int]],
    site: Site,
    keys: torch.Tensor,
    outputs: torch.Tensor,
    batch: int,
) -> torch.Tensor:
    """Logits at END of prompts that are run in full, each with its own edit, ``[n, vocabulary]`` on the CPU.

    Args:
        model: The model.
        prompts: Token ids of each prompt.
        site: As for ``edited``.
        keys: As for ``edited``.
        outputs: As for ``edited``.
        batch: Prompts at a time.
    """
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    parts, order = [], []
    for length in lengths.unique():
        for rows in (lengths == length).nonzero().flatten().split(batch):
            with edited(model, site, keys[rows], outputs[rows]):
                parts.append(record(model, torch.tensor([list(prompts[row]) for row in rows.tolist()])).logits)
            order.append(rows)
    return torch.cat(parts)[torch.cat(order).argsort()]
