"""Path patching (E3 b): through which heads the effect of a patch reaches the answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.attribution import answer_directions, attention_sites, attribute_heads
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import Recording, Tail, replay, replay_each
from subspace_illusion.core.sites import Site, residual_entering
from subspace_illusion.experiments.readers import BACKUP, NAME_MOVER
from subspace_illusion.statistics import summarise, table

MOVERS = "name movers"
"""The group of heads that are expected to carry the patch."""


@dataclass(frozen=True)
class Paths:
    """What a patch does through the heads downstream of it.

    Attributes:
        attribution: Direct attribution of each head to LD, ``[n, heads]``, by run: ``clean``, ``patched``, ``source``.
        heads: What happens when only that head's output at END is taken from the patched run, by head.
        groups: The same for several heads at once, by name.
        whole: What the patch itself does.
    """

    attribution: dict[str, torch.Tensor]
    heads: dict[Site, Outcome]
    groups: dict[str, Outcome]
    whole: Outcome

    @staticmethod
    def joined(parts: "Sequence[Paths]") -> "Paths":
        """The paths of one batch of pairs after another."""
        one = parts[0]
        return Paths(
            {run: torch.cat([part.attribution[run] for part in parts]) for run in one.attribution},
            {head: Outcome.joined([part.heads[head] for part in parts]) for head in one.heads},
            {name: Outcome.joined([part.groups[name] for part in parts]) for name in one.groups},
            Outcome.joined([part.whole for part in parts]),
        )


def heads_from(model: Model, start: int) -> list[Site]:
    """The heads from block ``start`` on, in the order of ``Paths.attribution``."""
    return [Site(b, "attn.hook_z", head) for b in range(start, model.n_blocks) for head in range(model.n_heads)]


def groups_of(roles: Mapping[str, str], model: Model, start: int) -> dict[str, list[Site]]:
    """Heads from block ``start`` on, to be taken from the patched run together; ``roles`` by ``<block>.<head>``."""
    heads = heads_from(model, start)
    movers = [head for head in heads if roles[name_of(head)] == NAME_MOVER]
    backups = [head for head in heads if roles[name_of(head)] == BACKUP]
    return {MOVERS: movers, "name movers and backups": movers + backups, "all heads downstream": heads}


def name_of(head: Site) -> str:
    """The short name of a head, ``<block>.<head>``."""
    return f"{head.block}.{head.head}"


def head_table(
    paths: Paths, roles: Mapping[str, str], ld_clean: np.ndarray, *, resamples: int, seed: int
) -> pd.DataFrame:
    """One row a head: its role, its attribution in each run, and what it alone does when taken from the patched run.

    Args:
        paths: What ``patch_paths`` found.
        roles: Roles by ``<block>.<head>``.
        ld_clean: LD of the bases, ``[n]``.
        resamples: Number of bootstrap draws.
        seed: Seed of the draws.
    """
    rows = []
    for place, (head, outcome) in enumerate(paths.heads.items()):
        shares = {f"attribution_{run}": float(values[:, place].mean()) for run, values in paths.attribution.items()}
        measured = summarise(
            outcome, ld_clean, over=dict(share_of_patch=paths.whole.ld), resamples=resamples, seed=seed
        )
        rows.append(dict(head=name_of(head), role=roles[name_of(head)], **shares, **measured))
    return table(rows)


def group_table(
    paths: Paths, groups: Mapping[str, Sequence[Site]], ld_clean: np.ndarray, *, resamples: int, seed: int
) -> pd.DataFrame:
    """One row a group of heads and one for the patch itself: the effect of taking the group from the patched run."""
    rows = []
    for name, outcome in {**paths.groups, "the patch itself": paths.whole}.items():
        measured = summarise(
            outcome, ld_clean, over=dict(share_of_patch=paths.whole.ld), resamples=resamples, seed=seed
        )
        rows.append(dict(group=name, heads=len(groups.get(name, []))) | measured)
    return table(rows)


def clean_run(model: Model, tail: Tail, start: int) -> Recording:
    """END as it was, from block ``start`` on, with everything read that attribution and path patching need."""
    residuals = [residual_entering(block) for block in range(start + 1, model.n_blocks)]
    with torch.no_grad():
        return replay(model, tail, {}, list(dict.fromkeys([*attention_sites(model, start), *residuals])), start)


def taken_from(
    model: Model, base: Tail, start: int, heads: Sequence[Site], other: Recording
) -> dict[Site, torch.Tensor]:
    """The changes that give several heads at once the outputs that they have in another run.

    Block by block, because a head reacts to those before it: what has to be added to it is what is still missing.

    Args:
        model: The model.
        base: The tail of the bases, from block ``start`` on.
        start: The first block.
        heads: The heads.
        other: The other run, which has read every ``attn.hook_z``.
    """
    changes: dict[Site, torch.Tensor] = {}
    for block in sorted({head.block for head in heads}):
        z = Site(block, "attn.hook_z")
        with torch.no_grad():
            now = replay(model, base, changes, [z], start).activations[z]
        missing = (other.activations[z] - now).unflatten(1, (model.n_heads, -1))
        changes |= {head: missing[:, head.head] for head in heads if head.block == block}
    return changes


def patch_paths(
    model: Model,
    site: Site,
    change: torch.Tensor,
    base: Tail,
    source: Tail,
    io: torch.Tensor,
    s: torch.Tensor,
    groups: Mapping[str, Sequence[Site]],
) -> Paths:
    """Follows a patch through the heads downstream.

    Path patching as here leaves everything after the head free to react, as the model does when the head's output is
    the only thing that differs.

    Args:
        model: The model.
        site: The component that is patched.
        change: What the patch adds, ``[n, d]``.
        base: The tail of the bases, from the site's first block on.
        source: The tail of the sources, likewise: their clean run is attributed too.
        io: Token ids of the bases' IO, ``[n]``.
        s: Token ids of the bases' S, ``[n]``.
        groups: Heads to take from the patched run together, by name.
    """
    start = site.start
    clean = clean_run(model, base, start)
    with torch.no_grad():
        patched = replay(model, base, {site: change}, attention_sites(model, start), start)
    runs = dict(clean=clean, patched=patched, source=clean_run(model, source, start))
    attribution = {}
    for name, run in runs.items():
        shares = attribute_heads(model, run, start, answer_directions(model, run, io, s))
        attribution[name] = shares.flatten(1)

    later = {block: clean.activations[residual_entering(block)] for block in range(start + 1, model.n_blocks)}
    everywhere = replace(base, residual={start: base.residual[start]} | later)
    outcomes: dict[Site, Outcome] = {}
    for block in range(start, model.n_blocks):
        z = Site(block, "attn.hook_z")
        by_head = (patched.activations[z] - clean.activations[z]).unflatten(1, (model.n_heads, -1))
        of_block = {Site(block, z.point, head): by_head[:, head] for head in range(model.n_heads)}
        for head, logits in replay_each(model, everywhere, of_block, block).items():
            outcomes[head] = Outcome.of(logits, io, s)
    of_groups = {}
    for name, heads in groups.items():
        changes = taken_from(model, base, start, heads, patched)
        with torch.no_grad():
            logits = replay(model, base, changes, start=start).logits
        of_groups[name] = Outcome.of(logits.cpu(), io, s)
    return Paths(attribution, outcomes, of_groups, Outcome.of(patched.logits.cpu(), io, s))
