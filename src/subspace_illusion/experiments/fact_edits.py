"""Patches and rank-1 edits of facts, turned into one another (E16, second half of arXiv 2311.17030).

*Patch to edit.* Patching along v adds ``(Delta.v) W_out^T v`` to an MLP's output at one token. The edit
``W_out += b a^T`` with that vector for ``a`` and ``x.b = 1`` adds the same there, x the base's hidden activation; at
the prompt's other tokens it adds ``(h.b) a``, which b makes small. Both are run and compared.

*Edit to subspace.* An edit as of ROME (arXiv 2202.05262, section 3.1) is made for every pair: the change ``a`` of the
MLP's output that gives the source's answer, found by gradient descent. Then the direction along which a patch adds
exactly ``a``, where there is one. The edit writes a fact without any claim that a direction stores it; if the direction
does what the edit does and its row part does nothing, the patch was carried by what the null part lends.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from subspace_illusion.core.basis import split
from subspace_illusion.core.edits import edit_keys, edited_logits
from subspace_illusion.core.matmul import MatmulDtype, matmul_in
from subspace_illusion.core.outcome import NONE, Outcome, cross_entropy
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site, mlp_output
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.fact_directions import change_along
from subspace_illusion.statistics import Bootstrap, interval, summarise
from subspace_illusion.subspace.pairs import Pairs

FACT_PATCH = "patch"
PATCH_EDIT = "edit that repeats the patch"
EDIT = "edit"
SUBSPACE = "subspace of the edit"
SUBSPACE_ROW = "row part of that subspace"
"""What is done to the pairs: along one direction per pair, and by an edit of its own."""

ENOUGH = 0.05
"""The cross entropy of the wanted answer below which an edit is not made larger, as in ROME's released code."""


@dataclass(frozen=True)
class Equivalent:
    """The directions whose patches repeat edits, one a pair.

    Attributes:
        directions: Unit vectors v, ``[n, d]``.
        row: Their row parts, normalised, ``[n, d]``.
        exact: Whether the patch adds exactly what the edit does, ``[n]``.
        row_norm: Norm of v's row part, ``[n]``.
        size: Length of the smallest hidden change p that writes the edit's a, as a share of that of Delta, ``[n]``.
    """

    directions: torch.Tensor
    row: torch.Tensor
    exact: np.ndarray
    row_norm: np.ndarray
    size: np.ndarray


def equivalent_subspaces(
    outputs: torch.Tensor, difference: torch.Tensor, readout: torch.Tensor, tolerance: float
) -> Equivalent:
    """The 1-dimensional subspaces whose patches write what rank-1 edits write.

    With ``p = a W_out^+`` (so ``p W_out = a``) and n the unit vector of Delta's null part, every ``q = p + t n`` is
    written as ``a``, and the patch along ``v = q / |q|`` adds ``(Delta.q) / |q|^2 a``. That is ``a`` where
    ``Delta.q = |q|^2``, so ``t^2 - t (Delta.n) + |p|^2 - Delta.p = 0``. Of two roots the one with the smaller null part
    is taken; without a real root the vertex ``t = Delta.n / 2``, where the patch falls short of the edit. Along no
    other null direction is there a root where there is none along n. There is one for the p within ``|Delta| / 2`` of
    the middle of Delta's row part: an edit that needs a longer p is more than any patch can do.

    Args:
        outputs: The edits' a, ``[n, d_model]``.
        difference: Delta, source minus base, ``[n, d]``.
        readout: ``W_out``, ``[d, d_model]``.
        tolerance: Singular values of the readout below this share of the largest count as zero.

    Raises:
        InputError: If an edit writes nothing that the MLP can write.
    """
    p = outputs.double() @ torch.linalg.pinv(readout.double(), rtol=tolerance)
    size = p.norm(dim=1)
    if not (size > 0).all():
        raise InputError("an edit writes nothing that its MLP could write, so no subspace of the MLP repeats it")
    delta, lengths = difference.double(), difference.double().norm(dim=1)
    null = split(difference.mT, readout, tolerance).null_vectors.mT.double()
    along_null = null.norm(dim=1)  # Delta.n
    n = null / along_null[:, None].clamp_min(1e-12)
    constant = size.square() - (delta * p).sum(1)
    discriminant = along_null.square() - 4 * constant
    apart = discriminant.clamp_min(0).sqrt()
    # Delta.n is positive, so the root on the side of the minus is the smaller one.
    q = p + ((along_null - apart) / 2)[:, None] * n
    return Equivalent(
        directions=(q / q.norm(dim=1, keepdim=True)).float(),
        row=(p / size[:, None]).float(),
        exact=(discriminant >= 0).numpy(),
        row_norm=(size / q.norm(dim=1)).numpy(),
        size=(size / lengths).numpy(),
    )


def find_edits(
    pairs: Pairs,
    site: Site,
    readout: torch.Tensor,
    *,
    steps: int,
    lr: float,
    matmul_dtype: MatmulDtype,
    on_step: Callable[[float], None] = lambda loss: None,
) -> torch.Tensor:
    """The change of an MLP's output at the position that makes the model give the source's answer, for every pair.

    As in ROME, descent on the cross entropy of the wanted token, until it is below ``ENOUGH``. Other than there, the
    descent is on the hidden change p that is written as ``a = p W_out``, in steps of fixed length along the gradient,
    because the shorter p is, the more often a subspace can repeat the edit (``equivalent_subspaces``); Adam on ``a``
    itself finds a p several times as long. p stays in the row space of the readout.

    Args:
        pairs: The pairs.
        site: The MLP's hidden activations.
        readout: Its output matrix, ``[d, d_model]``.
        steps: Number of steps.
        lr: Length of a step, as a share of the length of Delta.
        matmul_dtype: What the model's matrix products are made in.
        on_step: Told the mean loss after every step.

    Returns:
        ``[n, d_model]``.
    """
    tail = pairs.tail(site.start)(torch.arange(len(pairs))).to(pairs.model.device)
    length = lr * (pairs.source(site) - pairs.base(site)).norm(dim=1, keepdim=True)
    hidden = torch.zeros(len(pairs), readout.shape[0], requires_grad=True)
    left, losses = torch.arange(len(pairs)), torch.zeros(len(pairs))
    with matmul_in(pairs.model, matmul_dtype, site.start):
        for _ in range(steps):
            logits = replay(pairs.model, tail, {mlp_output(site.block): hidden[left] @ readout}).logits
            wanted = pairs.foil[left].to(logits.device)
            of_left = cross_entropy(logits, wanted).cpu()
            (gradient,) = torch.autograd.grad(of_left.sum(), hidden)
            losses[left] = of_left.detach()
            on_step(float(losses.mean()))
            if not (missing := losses[left] > ENOUGH).any():
                break
            tail, left = tail.rows(missing.nonzero().flatten()), left[missing]
            with torch.no_grad():
                hidden[left] -= length[left] * torch.nn.functional.normalize(gradient[left], dim=1)
    return (hidden @ readout).detach()


def rewrite_score(logits: torch.Tensor, clean: torch.Tensor, target: torch.Tensor) -> np.ndarray:
    """The share of the probability still missing from the target that a change adds (Hase et al., arXiv 2301.04213).

    ``(P_changed(target) - P_clean(target)) / (1 - P_clean(target))``, ``[n]``.

    Args:
        logits: With the change, ``[n, vocabulary]``.
        clean: Without it, the same shape.
        target: Token ids, ``[n]``, or ``[n, k]`` where several are wanted.
    """
    ids = target.unsqueeze(-1).flatten(1)
    each = (x.double().softmax(-1).gather(1, ids.clamp(min=0)) for x in (logits, clean))
    changed, before = (probability.masked_fill(ids == NONE, 0).sum(1) for probability in each)
    return ((changed - before) / (1 - before)).numpy()


def medians(bootstrap: Bootstrap, values: np.ndarray) -> np.ndarray:
    """The plain median of values ``[pairs]``, then that of every draw, ``[1 + resamples]``."""
    order = np.argsort(values)
    below = np.cumsum(bootstrap.weights[:, order], 1)
    half = 1e-9  # what rounding leaves of a weight of exactly a half
    lower, upper = ((below > 0.5 + sign * half).argmax(1) for sign in (-1, 1))
    return (values[order][lower] + values[order][upper]) / 2


def logits_after(pairs: Pairs, site: Site, change: torch.Tensor, batch: int) -> torch.Tensor:
    """Logits at END after a change ``[n, d]`` at the position of every pair's base, ``[n, vocabulary]`` on the CPU."""
    tail = pairs.tail(site.start)
    with torch.no_grad():
        return torch.cat(
            [
                replay(pairs.model, tail(rows), {site: change[rows]}).logits.cpu()
                for rows in torch.arange(len(pairs)).split(batch)
            ]
        )


def edit_block(
    pairs: Pairs,
    prompts: Sequence[Sequence[int]],
    site: Site,
    directions: torch.Tensor,
    covariance: torch.Tensor,
    readout: torch.Tensor,
    bootstrap: Bootstrap,
    *,
    steps: int,
    lr: float,
    matmul_dtype: MatmulDtype,
    ridge: float,
    tolerance: float,
    batch: int,
    on_step: Callable[[float], None] = lambda loss: None,
) -> list[dict[str, object]]:
    """Patches of one block as edits, and edits as patches, each beside the other.

    Args:
        pairs: Pairs of facts.
        prompts: Token ids of their base prompts, which edits are run on in full.
        site: The MLP's hidden activations.
        directions: A direction for each pair, ``[n, d]``.
        covariance: The uncentred covariance of the activations over a text, ``[d, d]``.
        readout: The MLP's output matrix, ``[d, d_model]``.
        bootstrap: Draws of the pairs' groups.
        steps: As for ``find_edits``.
        lr: Likewise.
        matmul_dtype: Likewise.
        ridge: As for ``edit_keys``.
        tolerance: As for ``equivalent_subspaces``.
        batch: Pairs at a time.
        on_step: As for ``find_edits``.

    Returns:
        Rows ``block``, ``what`` (``FACT_PATCH``, ``PATCH_EDIT``, ``EDIT``, ``SUBSPACE``, ``SUBSPACE_ROW``), ``pairs``,
        the measures of a patch and ``rewrite``, the median rewrite score. ``PATCH_EDIT`` has ``ld_apart``, the mean
        absolute difference of its LD from the patch's, and ``SUBSPACE`` the same from the edit's, the share of pairs of
        which no subspace repeats the edit (``no_subspace``), the median ``size`` of the edit beside Delta and the mean
        ``row_norm``.
    """
    base, difference = pairs.base(site), pairs.source(site) - pairs.base(site)
    keys = edit_keys(base, covariance, ridge)
    patch = change_along(difference, directions)
    outputs = find_edits(pairs, site, readout, steps=steps, lr=lr, matmul_dtype=matmul_dtype, on_step=on_step)
    repeated = equivalent_subspaces(outputs, difference, readout, tolerance)
    logits = {
        FACT_PATCH: logits_after(pairs, site, patch, batch),
        PATCH_EDIT: edited_logits(pairs.model, prompts, site, keys, patch @ readout, batch),
        EDIT: edited_logits(pairs.model, prompts, site, keys, outputs, batch),
        SUBSPACE: logits_after(pairs, site, change_along(difference, repeated.directions), batch),
        SUBSPACE_ROW: logits_after(pairs, site, change_along(difference, repeated.row), batch),
    }
    clean = logits_after(pairs, site, torch.zeros_like(difference), batch)
    outcomes = {what: Outcome.of(found, pairs.answer, pairs.foil) for what, found in logits.items()}

    def apart(what: str, other: str) -> dict[str, float]:
        return interval("ld_apart", bootstrap.means(np.abs(outcomes[what].ld - outcomes[other].ld)))

    more = {
        PATCH_EDIT: apart(PATCH_EDIT, FACT_PATCH),
        SUBSPACE: apart(SUBSPACE, EDIT)
        | interval("no_subspace", bootstrap.means(~repeated.exact))
        | interval("size", medians(bootstrap, repeated.size))
        | interval("row_norm", bootstrap.means(repeated.row_norm)),
    }
    return [
        dict[str, object](block=site.block, what=what, pairs=len(pairs))
        | summarise(outcome, pairs.ld_clean, bootstrap)
        | interval("rewrite", medians(bootstrap, rewrite_score(logits[what], clean, pairs.foil)))
        | more.get(what, {})
        for what, outcome in outcomes.items()
    ]
