"""Localisation (E2): which block writes the variable, which block reads it, which MLPs lie between, and at which token.

Components are patched whole at the task's position, and the residual stream at every kind of token from the first that
differs between base and source to END.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch

from subspace_illusion.core.frames import patch_change
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record, replay, replay_each
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.files import column
from subspace_illusion.statistics import Bootstrap, summarise, table

RULE = (
    "The residual stream after each block is patched whole. The block that writes is the one across which the effect "
    "rises most; the block that reads is the one after it across which the effect falls most. The MLPs between are "
    "those that run after the first attention and before the second."
)

RESIDUAL = "residual stream"
KINDS = (RESIDUAL, "attention output", "MLP output", "MLP hidden", "head")

DIFFERING, POSITION, NEXT, FURTHER, END = "tokens that differ", "position", "next token", "further tokens", "END"
TOKENS = (DIFFERING, POSITION, NEXT, FURTHER, END)
"""The kinds of token of the map, in the order of a prompt: those before the position at which base and source differ,
the position, what follows it, and the last; tokens of one kind are patched together."""


def block_sites(block: int, n_heads: int) -> dict[Site, str]:
    """The components of one block that are patched whole, each with its kind."""
    named = {
        residual_after(block): RESIDUAL,
        Site(block, "hook_attn_out"): "attention output",
        Site(block, "hook_mlp_out"): "MLP output",
        Site(block, "mlp.hook_post"): "MLP hidden",
    }
    return named | {Site(block, "attn.hook_z", head): "head" for head in range(n_heads)}


@dataclass(frozen=True)
class Batch:
    """Some pairs whose bases have one length and position, and whose sources have.

    Attributes:
        base: Token ids ``[n, length]``.
        source: Token ids ``[n, length]``.
        base_at: The position in the bases.
        source_at: The position in the sources.
        answer: Token ids of the bases' answers, ``[n]``.
        foil: Token ids of the bases' foils, ``[n]``.
    """

    base: torch.Tensor
    source: torch.Tensor
    base_at: int
    source_at: int
    answer: torch.Tensor
    foil: torch.Tensor


LAYOUT = ("base_end", "base_at", "source_end", "source_at")


def laid_out(prompts: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """The pairs, those of one layout together.

    Returns:
        The pairs with ``LAYOUT``, where END and the position stand in both prompts, and ``differing``, the tokens
        before the position at which the two differ (none where they have not as many).
    """
    by_number = prompts.set_index("prompt")
    layout = {
        f"{side}_{name}": by_number[column].loc[pairs[side]].to_numpy()
        for side in ("base", "source")
        for name, column in (("end", "end"), ("at", "position"))
    }
    laid = pairs.assign(**layout)
    differing = []
    for base, source, at, source_at in laid[["base", "source", "base_at", "source_at"]].itertuples(index=False):
        both = zip(by_number["tokens"][base][:at], by_number["tokens"][source][:at], strict=True)
        places = [token for token, (x, y) in enumerate(both) if x != y] if at == source_at else []
        differing.append(" ".join(map(str, places)))
    return laid.assign(differing=differing).sort_values([*LAYOUT, "differing"], kind="stable").reset_index(drop=True)


def batches(prompts: pd.DataFrame, pairs: pd.DataFrame, size: int, alike: Sequence[str] = LAYOUT) -> Iterator[Batch]:
    """The pairs of ``laid_out``, batch by batch, in their order.

    Args:
        prompts: The table of prompts.
        pairs: The pairs.
        size: The most pairs of a batch.
        alike: What pairs of a batch have alike: ``LAYOUT``, or ``differing`` too.
    """
    by_number = prompts.set_index("prompt")
    for _, group in pairs.groupby(list(alike)):
        for start in range(0, len(group), size):
            rows = group.iloc[start : start + size]
            base, source = (column(by_number.loc[rows[side]], "tokens") for side in ("base", "source"))
            ids = (column(rows, name) for name in ("answer_id", "foil_id"))
            yield Batch(base, source, int(rows["base_at"].iloc[0]), int(rows["source_at"].iloc[0]), *ids)


def patch_whole(model: Model, batch: Batch) -> dict[Site, Outcome]:
    """Patches every component of every block, whole, from source to base, at the position."""
    blocks = [list(block_sites(block, model.n_heads)) for block in range(model.n_blocks)]
    sites = [site for block in blocks for site in block]
    base = record(model, batch.base, sites, tail_from=0, position=batch.base_at)
    source = record(model, batch.source, sites, position=batch.source_at)
    assert base.tail is not None
    outcomes = {}
    for residual, *inside in blocks:
        # All components inside a block share one batch.
        for group in ([residual], inside):
            changes = {site: patch_change(base.activations[site], source.activations[site], None) for site in group}
            for site, logits in replay_each(model, base.tail, changes, group[0].start).items():
                outcomes[site] = Outcome.of(logits, batch.answer, batch.foil)
    return outcomes


def token_kinds(batch: Batch) -> dict[str, list[tuple[int, int]]]:
    """The tokens of each kind of the map that the batch has, each by its place in the bases and in the sources.

    What lies behind the position is counted from it, and END from the end, so tails need not have one length; where
    they have not, the tokens between have no counterpart. Tokens before the position are compared where both prompts
    have as many.
    """
    ends = (batch.base.shape[1] - 1, batch.source.shape[1] - 1)
    at = (batch.base_at, batch.source_at)
    found: dict[str, list[tuple[int, int]]] = {}
    if at[0] == at[1]:
        differ = (batch.base[:, : at[0]] != batch.source[:, : at[1]]).any(0)
        found[DIFFERING] = [(token, token) for token in differ.nonzero().flatten().tolist()]
    tails = tuple(end - place for end, place in zip(ends, at, strict=True))
    if min(tails) > 0:
        found[POSITION] = [at]
    if min(tails) > 1:
        found[NEXT] = [(at[0] + 1, at[1] + 1)]
    if tails[0] == tails[1]:
        found[FURTHER] = [(at[0] + step, at[1] + step) for step in range(2, tails[0])]
    found[END] = [ends]
    return {kind: tokens for kind, tokens in found.items() if tokens}


def patch_tokens(model: Model, batch: Batch) -> dict[tuple[str, int], Outcome]:
    """Patches the residual stream after every block at every kind of token that the batch has, by kind and block."""
    kinds, outcomes = token_kinds(batch), {}
    for kind, tokens in kinds.items():
        base_from, source_from = (min(places) for places in zip(*tokens, strict=True))
        base, source = (
            record(model, prompts, tail_from=0, position=first).tail
            for prompts, first in ((batch.base, base_from), (batch.source, source_from))
        )
        assert base is not None
        assert source is not None
        to, of = (torch.tensor(places) for places in zip(*tokens, strict=True))
        for block in range(model.n_blocks):
            start = block + 1
            stream = base.residual[start].clone()
            stream[:, to - base_from] = source.residual[start][:, of - source_from]
            with torch.no_grad():
                logits = replay(model, replace(base, residual={start: stream}), {}, start=start).logits.cpu()
            outcomes[kind, block] = Outcome.of(logits, batch.answer, batch.foil)
    return outcomes


def localise(
    model: Model,
    prompts: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    batch: int,
    resamples: int,
    seed: int,
    on_pairs: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """What patching every component whole does at the position: one row a component.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: The pairs, columns as in ``tasks.table`` and their clean ``ld``.
        batch: Pairs at a time.
        resamples: Number of bootstrap draws.
        seed: Their seed.
        on_pairs: Told the number of pairs after every batch.

    Returns:
        ``site``, ``kind``, ``block``, ``head``, ``pairs``, ``share_of_residual`` and the measures of ``summarise``.
    """
    pairs = laid_out(prompts, pairs)
    parts: dict[Site, list[Outcome]] = defaultdict(list)
    for of_batch in batches(prompts, pairs, batch):
        for site, outcome in patch_whole(model, of_batch).items():
            parts[site].append(outcome)
        on_pairs(len(of_batch.answer))
    outcomes = {site: Outcome.joined(listed) for site, listed in parts.items()}
    clean, bootstrap = pairs["ld"].to_numpy(dtype=float), Bootstrap.of(pairs["group"].to_numpy(), resamples, seed)
    rows = []
    for block in range(model.n_blocks):
        for site, kind in block_sites(block, model.n_heads).items():
            over = dict(share_of_residual=outcomes[residual_after(block)].ld)
            about = dict(site=site.name, kind=kind, block=block, head=site.head, pairs=len(pairs))
            rows.append(about | summarise(outcomes[site], clean, bootstrap, over=over))
    return table(rows).astype({"head": "Int64"})


def map_tokens(
    model: Model,
    prompts: pd.DataFrame,
    pairs: pd.DataFrame,
    *,
    batch: int,
    resamples: int,
    seed: int,
    on_pairs: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Where in block and prompt the variable lives: the residual stream patched at one kind of token at a time.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: As for ``localise``.
        batch: Pairs at a time.
        resamples: Number of bootstrap draws.
        seed: Their seed.
        on_pairs: Told the number of pairs after every batch.

    Returns:
        ``tokens`` (one of ``TOKENS``), ``block``, ``pairs`` (those whose prompts have such tokens) and the measures of
        ``summarise``.
    """
    pairs = laid_out(prompts, pairs)
    parts: dict[Hashable, list[Outcome]] = defaultdict(list)
    having: dict[str, list[int]] = defaultdict(list)
    first = 0
    # The tokens that differ are patched together, so pairs of a batch must have the same.
    for of_batch in batches(prompts, pairs, batch, (*LAYOUT, "differing")):
        patched, n = patch_tokens(model, of_batch), len(of_batch.answer)
        for key, outcome in patched.items():
            parts[key].append(outcome)
        for kind in {kind for kind, _ in patched}:
            having[kind] += range(first, first + n)
        first += n
        on_pairs(n)
    rows = []
    for kind in [kind for kind in TOKENS if kind in having]:
        of_kind = pairs.iloc[having[kind]]
        bootstrap = Bootstrap.of(of_kind["group"].to_numpy(), resamples, seed)
        for block in range(model.n_blocks):
            outcome, about = Outcome.joined(parts[kind, block]), dict(tokens=kind, block=block, pairs=len(of_kind))
            rows.append(about | summarise(outcome, of_kind["ld"].to_numpy(dtype=float), bootstrap))
    return table(rows)


@dataclass(frozen=True)
class Window:
    """The stretch of the model in which the residual stream at the position carries the variable.

    Attributes:
        writes: The block that writes it.
        reads: The block that reads it.
        mlps: Blocks whose MLPs lie between.
    """

    writes: int
    reads: int
    mlps: list[int]


def find_window(residual_effects: list[float], parallel_blocks: bool) -> Window:
    """Applies ``RULE``.

    Args:
        residual_effects: Effect of patching the residual stream after each block, in order.
        parallel_blocks: Whether a block's MLP cannot see its attention.

    Raises:
        InputError: If there are fewer than two blocks.
    """
    if len(residual_effects) < 2:
        raise InputError("a model of one block has no MLP between a writer and a reader")
    steps = torch.tensor([0.0, *residual_effects]).diff()
    writes = int(steps[:-1].argmax())
    reads = writes + 1 + int(steps[writes + 1 :].argmin())
    return Window(writes, reads, list(range(writes + int(parallel_blocks), reads)))
