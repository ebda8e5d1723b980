"""Localisation (E2): which block writes the position signal to END, which block reads it, which MLPs lie between."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch

from subspace_illusion.core.frames import patch_change
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record, replay_each
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.files import column
from subspace_illusion.statistics import Bootstrap, summarise, table

RULE = (
    "The residual stream after each block is patched whole. The block that writes is the one across which the effect "
    "rises most; the block that reads is the one after it across which the effect falls most. The MLPs between are "
    "those that run after the first attention and before the second."
)


KINDS = ("residual stream", "attention output", "MLP output", "MLP hidden", "head")


def block_sites(block: int, n_heads: int) -> dict[Site, str]:
    """The components of one block that are patched whole, each with its kind."""
    named = {
        residual_after(block): "residual stream",
        Site(block, "hook_attn_out"): "attention output",
        Site(block, "hook_mlp_out"): "MLP output",
        Site(block, "mlp.hook_post"): "MLP hidden",
    }
    return named | {Site(block, "attn.hook_z", head): "head" for head in range(n_heads)}


def patch_whole(
    model: Model, base_tokens: torch.Tensor, source_tokens: torch.Tensor, answer: torch.Tensor, foil: torch.Tensor
) -> dict[Site, Outcome]:
    """Patches every component of every block, whole, from source to base at END, for pairs of one length.

    Args:
        model: The model.
        base_tokens: ``[n, length]``.
        source_tokens: ``[n, length]``.
        answer: Token ids of the bases' answers, ``[n]``.
        foil: Token ids of the bases' foils, ``[n]``.
    """
    blocks = [list(block_sites(block, model.n_heads)) for block in range(model.n_blocks)]
    sites = [site for block in blocks for site in block]
    base = record(model, base_tokens, sites, tail_from=0)
    source = record(model, source_tokens, sites)
    assert base.tail is not None
    outcomes = {}
    for residual, *inside in blocks:
        # All components inside a block share one batch.
        for group in ([residual], inside):
            changes = {site: patch_change(base.activations[site], source.activations[site], None) for site in group}
            for site, logits in replay_each(model, base.tail, changes, group[0].start).items():
                outcomes[site] = Outcome.of(logits, answer, foil)
    return outcomes


def localise(
    model: Model,
    prompts: pd.DataFrame,
    pairs: pd.DataFrame,
    ld_clean: pd.Series,
    *,
    batch: int,
    resamples: int,
    seed: int,
    on_pairs: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """What patching every component whole does: one row a component.

    Args:
        model: The model.
        prompts: The table of prompts.
        pairs: The pairs, columns as in ``tasks.table``.
        ld_clean: LD of every prompt without a patch, by its number.
        batch: Pairs at a time.
        resamples: Number of bootstrap draws.
        seed: Their seed.
        on_pairs: Told the number of pairs after every batch.

    Returns:
        ``site``, ``kind``, ``block``, ``head``, ``pairs``, ``share_of_residual`` and the measures of ``summarise``.
    """
    by_number = prompts.set_index("prompt")
    pairs = pairs.assign(length=by_number["tokens"].loc[pairs["base"]].map(len).to_numpy()).sort_values(
        "length", kind="stable"
    )
    parts: dict[Site, list[Outcome]] = defaultdict(list)
    for _, of_length in pairs.groupby("length"):
        for start in range(0, len(of_length), batch):
            rows = of_length.iloc[start : start + batch]
            base, source = (column(by_number.loc[rows[side]], "tokens") for side in ("base", "source"))
            for site, outcome in patch_whole(model, base, source, column(rows, "io_id"), column(rows, "s_id")).items():
                parts[site].append(outcome)
            on_pairs(len(rows))
    outcomes = {site: Outcome.joined(listed) for site, listed in parts.items()}
    clean = ld_clean.loc[pairs["base"]].to_numpy(dtype=float)
    bootstrap = Bootstrap.of(pairs["case"].to_numpy(), resamples, seed)
    rows = []
    for block in range(model.n_blocks):
        for site, kind in block_sites(block, model.n_heads).items():
            over = dict(share_of_residual=outcomes[residual_after(block)].ld)
            about = dict(site=site.name, kind=kind, block=block, head=site.head, pairs=len(pairs))
            rows.append(about | summarise(outcomes[site], clean, bootstrap, over=over))
    return table(rows).astype({"head": "Int64"})


@dataclass(frozen=True)
class Window:
    """The stretch of the model in which the residual stream at END carries the position signal.

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
