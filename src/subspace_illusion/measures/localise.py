"""Localisation (E2): which block writes the variable, which block reads it, which MLPs lie between, and at which token.

Components are patched whole at the task's position, and the residual stream at every kind of token from the first that
differs between base and source to END.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.answers import answers_alone, outcomes_each
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record_all, replay
from subspace_illusion.core.sites import Site, residual_after, residual_entering
from subspace_illusion.errors import InputError
from subspace_illusion.files import column
from subspace_illusion.statistics import Bootstrap, summarise, table
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs

RULE_IN_WORDS = (
    "The residual stream after each block, and before the first, is patched whole. The block that writes is the one "
    "across which the effect rises most, none where that is before the first: then the token itself has it. The block "
    "that reads is the one after it across which the effect falls most. The MLPs between are those that run after the "
    "first attention and before the second."
)

RESIDUAL, MLP_OUTPUT = "residual stream", "MLP output"
EMBEDDED = "residual stream before block 0"
"""What a block cannot have written: where the position is a token that differs, it has the variable already."""
TOKEN_ITSELF = -1
"""In the place of the block that writes, where none does."""

DIFFERING, POSITION, NEXT, FURTHER, END = "tokens that differ", "position", "next token", "further tokens", "END"
TOKENS = (DIFFERING, POSITION, NEXT, FURTHER, END)
"""The kinds of token of the map, in the order of a prompt: those before the position at which base and source differ,
the position, what follows it, and the last; tokens of one kind are patched together."""


def block_sites(block: int, n_heads: int) -> dict[Site, str]:
    """The components of one block that are patched whole, each with its kind."""
    named = {
        residual_after(block): RESIDUAL,
        Site(block, "hook_attn_out"): "attention output",
        Site(block, "hook_mlp_out"): MLP_OUTPUT,
        Site(block, "mlp.hook_post"): "MLP hidden",
    }
    return named | {Site(block, "attn.hook_z", head): "head" for head in range(n_heads)}


def all_sites(model: Model) -> list[dict[Site, str]]:
    """What is patched whole in the model, by block, each site with its kind."""
    by_block = [block_sites(block, model.n_heads) for block in range(model.n_blocks)]
    listed = [{residual_entering(0): EMBEDDED} | by_block[0], *by_block[1:]]
    return [{site: kind for site, kind in of_block.items() if model.has(site)} for of_block in listed]


def patch_whole(pairs: Pairs) -> dict[Site, Outcome]:
    """Patches every component of every block, whole, from source to base, at the position."""
    model, rows = pairs.model, torch.arange(len(pairs))
    outcomes: dict[Site, Outcome] = {}
    for block, sites in enumerate(all_sites(model)):
        changes = {site: pairs.along(site, None)(rows) for site in sites}
        outcomes |= outcomes_each(model, pairs.tail(block)(rows), changes, block, pairs.answer, pairs.foil)
    return outcomes


def token_kinds(
    base: Sequence[int], source: Sequence[int], base_at: int, source_at: int
) -> dict[str, list[tuple[int, int]]]:
    """The tokens of each kind of the map that a pair has, each by its place in the base and in the source.

    What lies behind the position is counted from it, and END from the end, so tails need not have one length; where
    they have not, the tokens between have no counterpart. Tokens before the position are compared where both prompts
    have as many.

    Args:
        base: The base's token ids.
        source: The source's.
        base_at: The position in the base.
        source_at: The position in the source.
    """
    ends, at = (len(base) - 1, len(source) - 1), (base_at, source_at)
    tails = tuple(end - place for end, place in zip(ends, at, strict=True))
    found: dict[str, list[tuple[int, int]]] = {}
    if base_at == source_at:
        found[DIFFERING] = [(token, token) for token in range(base_at) if base[token] != source[token]]
    if min(tails) > 0:
        found[POSITION] = [at]
    if min(tails) > 1:
        found[NEXT] = [(base_at + 1, source_at + 1)]
    if tails[0] == tails[1]:
        found[FURTHER] = [(base_at + step, source_at + step) for step in range(2, tails[0])]
    found[END] = [ends]
    return {kind: tokens for kind, tokens in found.items() if tokens}


@dataclass(frozen=True)
class Swap:
    """Tokens of one kind of a pair.

    Attributes:
        base: Token ids of the base.
        source: Token ids of the source.
        tokens: The tokens whose residual stream is taken from the source, by their place in base and source.
    """

    base: list[int]
    source: list[int]
    tokens: list[tuple[int, int]]

    @property
    def firsts(self) -> tuple[int, int]:
        """The first of the tokens in the base, and in the source."""
        return min(to for to, _ in self.tokens), min(taken for _, taken in self.tokens)


def swaps_of(prompts: pd.DataFrame, pairs: pd.DataFrame) -> dict[str, dict[int, Swap]]:
    """The tokens of every kind in the pairs that have such tokens, by kind and the pair's place in the table."""
    by_number = prompts.set_index("prompt")
    tokens, at = by_number["tokens"].map(list).to_dict(), by_number["position"].to_dict()
    swaps: dict[str, dict[int, Swap]] = {kind: {} for kind in TOKENS}
    for row, (base, source) in enumerate(zip(pairs["base"], pairs["source"], strict=True)):
        for kind, places in token_kinds(tokens[base], tokens[source], at[base], at[source]).items():
            swaps[kind][row] = Swap(tokens[base], tokens[source], places)
    return {kind: of_kind for kind, of_kind in swaps.items() if of_kind}


def patch_tokens(model: Model, swaps: Sequence[Swap], answer: torch.Tensor, foil: torch.Tensor) -> list[Outcome]:
    """Patches the residual stream after every block at the tokens of some pairs, by block.

    Args:
        model: The model.
        swaps: The pairs' tokens.
        answer: Token ids of the base prompts' answers, ``[n]``.
        foil: Token ids of the base prompts' foils, ``[n]``.
    """
    base_from, source_from = zip(*(swap.firsts for swap in swaps), strict=True)
    base = record_all(model, [swap.base for swap in swaps], base_from, (), 0, len(swaps)).tail
    source = record_all(model, [swap.source for swap in swaps], source_from, (), 0, len(swaps)).tail
    assert base is not None
    assert source is not None
    rows, to, taken = torch.tensor(
        [
            (row, to - int(base.positions[row]), taken - int(source.positions[row]))
            for row, swap in enumerate(swaps)
            for to, taken in swap.tokens
        ]
    ).T
    outcomes = []
    for start in range(1, model.n_blocks + 1):
        stream = base.residual[start].index_put((rows, to), source.residual[start][rows, taken])
        with answers_alone(model, answer, foil):
            logits = replay(model, replace(base, residual={start: stream}), {}, start=start).logits.cpu()
        outcomes.append(Outcome.of_answers(logits))
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
    by_block = all_sites(model)
    sites = [site for of_block in by_block for site in of_block]
    by_number = prompts.set_index("prompt").loc[pairs["base"]]
    # Tails of like length together, so that little is spent on padding.
    lengths = by_number["end"] - (0 if model.whole_prompts else by_number["position"])
    pairs = pairs.iloc[lengths.argsort(kind="stable").to_numpy()]
    parts: dict[Site, list[Outcome]] = defaultdict(list)
    for first in range(0, len(pairs), batch):
        of_batch = recorded_pairs(model, prompts, pairs.iloc[first : first + batch], sites, 0, batch)
        for site, outcome in patch_whole(of_batch).items():
            parts[site].append(outcome)
        on_pairs(len(of_batch))
    outcomes = {site: Outcome.joined(listed) for site, listed in parts.items()}
    clean, bootstrap = pairs["ld"].to_numpy(dtype=float), Bootstrap.of(pairs["group"].to_numpy(), resamples, seed)
    rows = []
    for block, of_block in enumerate(by_block):
        for site, kind in of_block.items():
            over = dict(share_of_residual=outcomes[residual_after(block)].ld)
            about = dict(site=site.name, kind=kind, block=block, head=site.head, pairs=len(pairs))
            rows.append(about | summarise(outcomes[site], clean, bootstrap, over=over))
    return table(rows).astype({"head": "Int64"})


def map_tokens(
    model: Model,
    pairs: pd.DataFrame,
    swaps: Mapping[str, Mapping[int, Swap]],
    *,
    batch: int,
    resamples: int,
    seed: int,
    on_pairs: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Where in block and prompt the variable lives: the residual stream patched at one kind of token at a time.

    Args:
        model: The model.
        pairs: As for ``localise``.
        swaps: Their tokens, ``swaps_of`` them.
        batch: Pairs at a time.
        resamples: Number of bootstrap draws.
        seed: Their seed.
        on_pairs: Told the number of pairs after every batch of every kind of token.

    Returns:
        ``tokens`` (one of ``TOKENS``), ``block``, ``pairs`` (those whose prompts have such tokens) and the measures of
        ``summarise``.
    """
    answer, foil = column(pairs, "answer_id"), column(pairs, "foil_id")
    rows = []
    for kind, of_kind in swaps.items():
        # Tails of like length together, as above.
        having = sorted(of_kind, key=lambda row: len(of_kind[row].base) - of_kind[row].firsts[0])
        parts: list[list[Outcome]] = []
        for first in range(0, len(having), batch):
            some = having[first : first + batch]
            parts.append(patch_tokens(model, [of_kind[row] for row in some], answer[some], foil[some]))
            on_pairs(len(some))
        clean = pairs["ld"].to_numpy(dtype=float)[having]
        bootstrap = Bootstrap.of(pairs["group"].to_numpy()[having], resamples, seed)
        for block in range(model.n_blocks):
            outcome, about = Outcome.joined([part[block] for part in parts]), dict(tokens=kind, block=block)
            rows.append(about | dict(pairs=len(having)) | summarise(outcome, clean, bootstrap))
    return table(rows)


@dataclass(frozen=True)
class Window:
    """The stretch of the model in which the residual stream at the position carries the variable.

    Attributes:
        writes: The block that writes it; ``TOKEN_ITSELF`` where none does.
        reads: The block that reads it.
        mlps: Blocks whose MLPs lie between.
    """

    writes: int
    reads: int
    mlps: list[int]

    @classmethod
    def told(cls, saved: Mapping[str, Any]) -> "Window":
        """As it was saved in ``window.json``."""
        return cls(saved["writes"], saved["reads"], saved["mlps"])

    def __str__(self) -> str:
        of_token = self.writes == TOKEN_ITSELF
        origin = "the token itself has it, before any block" if of_token else f"block {self.writes} writes it"
        blocks = self.mlps
        in_a_row = len(blocks) > 3 and blocks == list(range(blocks[0], blocks[-1] + 1))
        named = f"{blocks[0]} to {blocks[-1]}" if in_a_row else ", ".join(map(str, blocks))
        many = f"the MLPs of blocks {named} lie"
        lie = {0: "no MLP lies", 1: f"the MLP of block {named} lies"}.get(len(blocks), many)
        return f"{origin}, and block {self.reads} reads it; {lie} between"


def window_of(localised: pd.DataFrame, parallel_blocks: bool) -> Window:
    """Applies ``RULE_IN_WORDS`` to what ``localise`` gave; blocks without an MLP have none between.

    Raises:
        InputError: If there are fewer than two blocks.
    """
    before, after = (localised.loc[localised["kind"] == kind, "effect"].tolist() for kind in (EMBEDDED, RESIDUAL))
    window = find_window(before[0], after, parallel_blocks)
    having = set(localised.loc[localised["kind"] == MLP_OUTPUT, "block"])
    return replace(window, mlps=[block for block in window.mlps if block in having])


def find_window(embedded: float, residual_effects: list[float], parallel_blocks: bool) -> Window:
    """Applies ``RULE_IN_WORDS``.

    Args:
        embedded: Effect of patching the residual stream before block 0.
        residual_effects: Effect of patching the residual stream after each block, in order.
        parallel_blocks: Whether a block's MLP cannot see its attention.

    Raises:
        InputError: If there are fewer than two blocks.
    """
    if len(residual_effects) < 2:
        raise InputError("a model of one block has no MLP between a writer and a reader")
    steps = torch.tensor([0.0, embedded, *residual_effects]).diff().tolist()
    # The first step is the token's, the others one block's each; the last block has none after it to read.
    wrote = max(range(len(steps) - 1), key=steps.__getitem__)
    read = min(range(wrote + 1, len(steps)), key=steps.__getitem__)
    writes, reads = wrote - 1, read - 1
    first = 0 if writes == TOKEN_ITSELF else writes + int(parallel_blocks)
    return Window(writes, reads, list(range(first, reads)))
