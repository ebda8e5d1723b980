"""Path patching (E3 b): through which heads the effect of a patch reaches the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.answers import outcomes_each
from subspace_illusion.core.attribution import attention_sites
from subspace_illusion.core.heads import replay_holding
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import Recording, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail
from subspace_illusion.measures.find_readers import (
    MINOR,
    MOVER,
    OTHER,
    READER,
    attributions,
    first_reached,
    name_of,
)
from subspace_illusion.statistics import Bootstrap, interval, ratio_by_draw, summarise, table
from subspace_illusion.subspace.keys import seed_text
from subspace_illusion.subspace.pairs import Pairs

READERS = "readers"
ALL_READERS = "readers and minor readers"
MOVERS = "movers"
ALL_HEADS = "all heads downstream"
PATCH = "the patch itself"
"""The groups of heads that are taken from the patched run together, and the row that they are compared with."""


@dataclass(frozen=True)
class HeadPaths:
    """What a patch does to the heads downstream of it, one by one.

    Attributes:
        attribution: Direct attribution of each head to the LD of the base's names, ``[pairs, heads]``, by run:
            ``clean``, ``patched``, ``source`` (the source's own clean run).
        alone: What happens when only that head's output at END is taken from the patched run, by head.
    """

    attribution: Mapping[str, torch.Tensor]
    alone: Mapping[Site, Outcome]

    @classmethod
    def joined(cls, parts: "Sequence[HeadPaths]") -> "HeadPaths":
        """The paths of one batch of pairs after another."""
        one = parts[0]
        return cls(
            {run: torch.cat([part.attribution[run] for part in parts]) for run in one.attribution},
            {head: Outcome.joined([part.alone[head] for part in parts]) for head in one.alone},
        )


@dataclass(frozen=True)
class Paths:
    """How patches of one component travel.

    Attributes:
        heads: What the first seed's patch does head by head.
        groups: What is left of each seed's patch when only a group of heads is taken from the patched run, by seed and
            group; the last group is the patch itself.
    """

    heads: HeadPaths
    groups: Mapping[int, Mapping[str, Outcome]]


def groups_of(found: pd.DataFrame, heads: Sequence[Site]) -> dict[str, list[Site]]:
    """The groups of heads to be taken from the patched run together.

    Args:
        found: The readers, columns ``head, reader, role``; a head that is missing there belongs to ``ALL_HEADS`` alone.
        heads: The heads that the patch can reach.
    """
    classes, roles = (dict(zip(found["head"], found[column], strict=True)) for column in ("reader", "role"))
    readers = [head for head in heads if classes.get(name_of(head)) == READER]
    minor = [head for head in heads if classes.get(name_of(head)) == MINOR]
    movers = [head for head in heads if roles.get(name_of(head)) == MOVER]
    return {READERS: readers, ALL_READERS: readers + minor, MOVERS: movers, ALL_HEADS: list(heads)}


def trace(
    pairs: Pairs,
    site: Site,
    bases: Mapping[int, torch.Tensor],
    groups: Mapping[str, Sequence[Site]],
    batch: int,
    on_pairs: Callable[[int], object] = lambda pairs: None,
) -> Paths:
    """Follows the patch of every seed's subspace, that of the first seed head by head.

    Args:
        pairs: The pairs.
        site: The component that is patched.
        bases: The subspaces by training seed.
        groups: Heads to take from the patched run together, by name.
        batch: Pairs at a time.
        on_pairs: Told the number of pairs after every batch of every seed.
    """
    model, first = pairs.model, first_reached(site)
    changes = {seed: pairs.along(site, basis) for seed, basis in bases.items()}
    tail, of_sources = pairs.tail(site.start), pairs.tail(site.start, of_sources=True)
    written = attention_sites(model, first)
    alone: list[HeadPaths] = []
    together: dict[int, list[dict[str, Outcome]]] = {seed: [] for seed in bases}
    for rows in torch.arange(len(pairs)).split(batch):
        answer, foil = pairs.answer[rows], pairs.foil[rows]
        clean, base = clean_run(model, site, tail(rows))
        for place, (seed, change) in enumerate(changes.items()):
            with torch.no_grad():
                patched = replay(model, base, {site: change(rows)}, written, site.start)
            if place == 0:
                with torch.no_grad():
                    source = replay(model, of_sources(rows), {}, written, site.start)
                runs = dict(clean=clean, patched=patched, source=source)
                shares = {name: attributions(pairs, run, first, answer, foil) for name, run in runs.items()}
                alone.append(HeadPaths(shares, trace_heads(model, base, first, clean, patched, answer, foil)))
            together[seed].append(trace_groups(model, base, clean, patched, groups, answer, foil))
            on_pairs(len(rows))
    return Paths(
        HeadPaths.joined(alone),
        {
            seed: {name: Outcome.joined([part[name] for part in parts]) for name in parts[0]}
            for seed, parts in together.items()
        },
    )


def clean_run(model: Model, site: Site, base: Tail) -> tuple[Recording, Tail]:
    """Runs the tail without a patch.

    Args:
        model: The model.
        site: The component that is going to be patched.
        base: The tail from the site's first block on.

    Returns:
        The run, with what the heads downstream write, and the tail with the residual stream that entered every later
        block: what differs only from a later block on need not be replayed from the site's.
    """
    with torch.no_grad():
        later = range(site.start + 1, model.n_blocks)
        clean = replay(model, base, {}, attention_sites(model, first_reached(site)), site.start, later)
    return clean, replace(base, residual={site.start: base.residual[site.start]} | dict(clean.entering))


def of_head(run: Recording, head: Site, n_heads: int) -> torch.Tensor:
    """The output of one head in a run that has read its ``attn.hook_z``, ``[n, d_head]``."""
    return run.activations[replace(head, head=None)].unflatten(1, (n_heads, -1))[:, head.head]


def trace_heads(
    model: Model,
    base: Tail,
    first: int,
    clean: Recording,
    patched: Recording,
    answer: torch.Tensor,
    foil: torch.Tensor,
) -> dict[Site, Outcome]:
    """Takes the output of each head by itself from the patched run.

    Path patching as here leaves everything after the head free to react, as the model does when the head's output is
    the only thing that differs.

    Args:
        model: The model.
        base: The tail of the base prompts, as ``clean_run`` gives it.
        first: The first block whose heads the patch can reach.
        clean: The run without the patch.
        patched: The run with the patch.
        answer: Token ids of the base prompts' answers, ``[n]``.
        foil: Token ids of the base prompts' foils, ``[n]``.
    """
    alone: dict[Site, Outcome] = {}
    for block in range(first, model.n_blocks):
        heads = [Site(block, "attn.hook_z", head).end for head in range(model.n_heads)]
        changes = {head: of_head(patched, head, model.n_heads) - of_head(clean, head, model.n_heads) for head in heads}
        alone |= outcomes_each(model, base, changes, block, answer, foil)
    return alone


def trace_groups(
    model: Model,
    base: Tail,
    clean: Recording,
    patched: Recording,
    groups: Mapping[str, Sequence[Site]],
    answer: torch.Tensor,
    foil: torch.Tensor,
) -> dict[str, Outcome]:
    """What is left of a patch when only some heads are taken from the patched run, by group, and the patch itself.

    The heads of a group are held at what they give in the patched run, also where a change of one reaches another.

    Args:
        model: The model.
        base: The tail of the base prompts, as ``clean_run`` gives it.
        clean: The run without the patch.
        patched: The run with the patch.
        groups: The heads by name.
        answer: Token ids of the base prompts' answers, ``[n]``.
        foil: Token ids of the base prompts' foils, ``[n]``.
    """
    outcomes = {}
    for name, heads in groups.items():
        logits = clean.logits.cpu()
        if heads:
            outputs = {head: of_head(patched, head, model.n_heads) for head in heads}
            logits = replay_holding(model, base, outputs, min(head.block for head in heads))
        outcomes[name] = Outcome.of(logits, answer, foil)
    return outcomes | {PATCH: Outcome.of(patched.logits.cpu(), answer, foil)}


def head_table(
    paths: HeadPaths,
    found: pd.DataFrame,
    whole: Outcome,
    ld_clean: np.ndarray,
    source_sign: np.ndarray,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row a head: what it writes without the patch and with it, and what it alone does of the patch.

    Where the patch hands over the source's value completely, a head writes for the foil what it writes for the source's
    own answer in the source's clean run: pair by pair the attribution that it has there or, where the source's own
    answer is the base's (in IOI, whose pairs have the same names: a head that moves names turns to the place where the
    source has its answer, and there the base has its foil), that with the sign turned. ``distance_left`` is how much of
    the way there is left: mean distance of the patched attribution from it over that of the clean one; 0 where the head
    writes what the source's value calls for, 1 where it has not moved or gone as far beyond. ``moved`` is the mean way
    that it has gone over the mean way there, with its sign.

    Args:
        paths: What the first seed's patch does head by head.
        found: The readers, columns ``head, reader, role``.
        whole: What the patch itself does to the same pairs.
        ld_clean: LD of the base prompts, ``[pairs]``.
        source_sign: The sign of the source's clean LD in terms of the base's answer and foil, ``[pairs]``.
        bootstrap: Draws of the same pairs.

    Returns:
        Columns ``head, reader, role``; ``attribution_clean``, ``attribution_patched``, ``distance_left`` and ``moved``
        with their intervals; the measures of taking that head alone, and their ``share_of_patch``.
    """
    about = found.set_index("head")[["reader", "role"]].to_dict("index")
    rows = []
    for place, (head, outcome) in enumerate(paths.alone.items()):
        clean, patched, source = (
            paths.attribution[run][:, place].double().numpy() for run in ("clean", "patched", "source")
        )
        row = dict(head=name_of(head)) | about.get(name_of(head), dict(reader=OTHER, role=OTHER))
        row |= interval("attribution_clean", bootstrap.means(clean))
        row |= interval("attribution_patched", bootstrap.means(patched))
        there = -source_sign * source
        left, method = bootstrap.means(abs(patched - there)), bootstrap.means(abs(clean - there))
        row |= interval("distance_left", ratio_by_draw(left, method))
        row |= interval("moved", ratio_by_draw(bootstrap.means(clean - patched), bootstrap.means(clean - there)))
        rows.append(row | summarise(outcome, ld_clean, bootstrap, over=dict(share_of_patch=whole.ld)))
    return table(rows)


def group_table(
    outcomes: Mapping[int, Mapping[str, Outcome]],
    groups: Mapping[str, Sequence[Site]],
    ld_clean: np.ndarray,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row a seed and group of heads, first all seeds pooled: the effect of taking the group from the patched run.

    Returns:
        Columns ``seed, group, heads`` (their number), the measures, ``share_of_patch``.
    """
    names = list(next(iter(outcomes.values())))
    pooled = {name: Outcome.pooled([of_seed[name] for of_seed in outcomes.values()]) for name in names}
    by_seed: list[tuple[int | None, Mapping[str, Outcome]]] = [(None, pooled), *outcomes.items()]
    rows = []
    for seed, of_seed in by_seed:
        for name, outcome in of_seed.items():
            measured = summarise(outcome, ld_clean, bootstrap, over=dict(share_of_patch=of_seed[PATCH].ld))
            rows.append(dict(seed=seed_text(seed), group=name, heads=len(groups.get(name, []))) | measured)
    return table(rows)
