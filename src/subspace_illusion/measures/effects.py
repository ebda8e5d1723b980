"""What patching each subspace of each component does to held-out pairs (E3, E4, E6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import random_basis, split
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.ablation import ablated, steered
from subspace_illusion.measures.own_difference import Natural, moved_alone
from subspace_illusion.statistics import Bootstrap, summarise, table
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import (
    ABLATION,
    LENT_HALF,
    MEAN_DIFFERENCE,
    NULL,
    OWN,
    OWN_HALF,
    RANDOM,
    ROW,
    STEERING,
    TRAINED,
    WHOLE,
    SubspaceKey,
)
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change, Rows, along

BY_TEMPLATE = (SubspaceKey(TRAINED), WHOLE, SubspaceKey(MEAN_DIFFERENCE), SubspaceKey(TRAINED, ROW))
"""The subspaces whose effect is shown sentence by sentence."""

PAIR_COLUMNS = ("pair", "group", "ld", "residual")
"""The columns of ``by_pair`` besides those of subspaces."""


@dataclass(frozen=True)
class Subspaces:
    """A component and the subspaces of it that were found.

    Attributes:
        site: Where it is.
        bases: Bases ``[d, k]``.
        readout: ``[d, d_model]``, or ``None`` where the residual stream does not see it through a matrix.
        rank: Of the subspaces that are trained there, or would be.
    """

    site: Site
    bases: Mapping[SubspaceKey, torch.Tensor]
    readout: torch.Tensor | None
    rank: int

    @property
    def asked(self) -> dict[SubspaceKey, torch.Tensor]:
        """The bases that were trained and the user's own: those whose parts and halves are patched too."""
        return {key: basis for key, basis in self.bases.items() if key.is_asked}

    @property
    def entire(self) -> dict[SubspaceKey, torch.Tensor]:
        """The bases that are no part of another: subspaces and their axes."""
        return {key: basis for key, basis in self.bases.items() if not key.part}


@dataclass(frozen=True)
class Patched:
    """What the patches of one component did.

    Attributes:
        site: Where it is.
        outcomes: Of every seed, and of all of them together.
        residual: What patching the residual stream after its block whole did.
    """

    site: Site
    outcomes: Mapping[SubspaceKey, Outcome]
    residual: Outcome


def halves(base: Rows, source: Rows, basis: torch.Tensor, readout: torch.Tensor, tolerance: float) -> dict[str, Change]:
    """The two halves of patching along a subspace, which add up to it: ``LENT_HALF`` and ``OWN_HALF``.

    The patch adds ``Delta V V^T``. With V = R + N, row and null part, its coordinates ``Delta V`` are those along the
    row part and those along the null part; both are written along V, of which the readout sees R.

    Args:
        base: Activations of the base prompts, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        basis: ``[d, k]``.
        readout: ``[d, d_model]``.
        tolerance: Singular values of the readout below this share of the largest count as zero.
    """
    parts = split(basis, readout, tolerance)

    def through(vectors: torch.Tensor) -> Change:
        return lambda rows: ((source[rows] - base[rows]) @ vectors) @ basis.mT

    return {LENT_HALF: through(parts.null_vectors), OWN_HALF: through(parts.row_vectors)}


def changes(
    pairs: Pairs, name: str, subspaces: Subspaces, natural: Natural, tolerance: float, seed: int
) -> dict[SubspaceKey, Change]:
    """Every patch of one component: along each of its subspaces, with the own difference of each; the halves of those
    asked about, ablation and steering along them; and a random one.

    Args:
        pairs: The pairs.
        name: The component, which tells its random subspace from others'.
        subspaces: The component.
        natural: What it does by itself.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        seed: Seed of the random subspace.
    """
    component = Component.of(pairs, subspaces.site)
    base, source = component.ends
    own_moves = (component.moves @ natural.own).squeeze(-1)
    made = {key: along(base, source, basis) for key, basis in subspaces.bases.items()}
    for key, basis in subspaces.entire.items():
        made[key.of_part(OWN)] = moved_alone(component, basis, natural.own, own_moves)
    for key, basis in subspaces.asked.items():
        made[key.of_part(ABLATION)] = ablated(component, basis, natural.mean)
        made[key.of_part(STEERING)] = steered(component, basis)
    if subspaces.readout is not None:
        for key, basis in subspaces.asked.items():
            for half, change in halves(base, source, basis, subspaces.readout, tolerance).items():
                made[key.of_part(half)] = change
    random = random_basis(pairs.model.width(subspaces.site), subspaces.rank, seed, "random", name)
    return made | {SubspaceKey(RANDOM): along(base, source, random)}


def patch_everything(
    pairs: Pairs, name: str, subspaces: Subspaces, natural: Natural, *, tolerance: float, seed: int, batch: int
) -> Patched:
    """Patches a component along every subspace and whole, and whole the residual stream after its block.

    Args:
        pairs: The pairs.
        name: The component.
        subspaces: Where it is, and its subspaces.
        natural: What it does by itself.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        seed: Seed of the random subspace.
        batch: Pairs at a time.
    """
    site, after = subspaces.site, residual_after(subspaces.site.block)
    whole = {at: pairs.patch(at, {WHOLE: pairs.along(at, None)}, batch)[WHOLE] for at in dict.fromkeys((site, after))}
    single = pairs.patch(site, changes(pairs, name, subspaces, natural, tolerance, seed), batch)
    # What no seed trained has its one outcome as the pooled one.
    outcomes = {key: outcome for key, outcome in single.items() if key.seed is not None}
    for pooled, keys in groupby(sorted(single), key=attrgetter("pooled")):
        outcomes[pooled] = Outcome.pooled([single[key] for key in keys])
    outcomes[WHOLE] = whole[site]
    return Patched(site, outcomes, whole[after])


def count(subspaces: Subspaces) -> int:
    """How many patches ``patch_everything`` makes."""
    whole = len({subspaces.site, residual_after(subspaces.site.block)})
    of_asked = 2 if subspaces.readout is None else 4
    return whole + len(subspaces.bases) + len(subspaces.entire) + 1 + of_asked * len(subspaces.asked)


def effects(pairs: Pairs, patched: Mapping[str, Patched], bootstrap: Bootstrap) -> pd.DataFrame:
    """What every patch did: one row a component, subspace and seed, and one that pools the seeds.

    Args:
        pairs: The pairs.
        patched: What the patches did, by component.
        bootstrap: Draws of the pairs' groups.

    Returns:
        ``component``, ``site``, ``subspace``, ``seed``, ``pairs``, ``groups``, the measures of ``summarise``, and
        ratios of effects: ``share_of_residual``, over that of the whole residual stream after the block;
        ``whole_share``, the whole component's over this one; ``row_share``, its row part's over this one, and
        ``effect_over_row_part``, the other way round; ``share_of_subspace``, of the own difference, a row part or a
        half over that of the subspace that it is of. The random subspace, of which there is one, has figures without
        intervals.
    """
    groups = len(np.unique(pairs.groups))
    rows = []
    for name, component in patched.items():
        outcomes = component.outcomes
        for key in sorted(outcomes):
            over = dict(share_of_residual=component.residual.ld)
            under = {} if key.part == NULL else dict(whole_share=outcomes[WHOLE].ld)  # over zero it is no share
            if not key.part and (row_part := outcomes.get(key.of_part(ROW))) is not None:
                over |= dict(effect_over_row_part=row_part.ld)
                under |= dict(row_share=row_part.ld)
            if key.part in (OWN, LENT_HALF, OWN_HALF, ROW) and key.axis is None:
                over |= dict(share_of_subspace=outcomes[key.entire].ld)
            about = dict(component=name, site=component.site.name, subspace=key.subspace, seed=key.seed_text)
            counts = dict(pairs=len(pairs), groups=groups)
            ratios, drawn = dict(over=over, under=under), key == SubspaceKey(RANDOM)
            rows.append(about | counts | summarise(outcomes[key], pairs.ld_clean, bootstrap, **ratios, drawn=drawn))
    return table(rows)


def templates(
    pairs: Pairs, patched: Mapping[str, Patched], texts: pd.Series, *, resamples: int, seed: int
) -> pd.DataFrame:
    """What the patches did sentence by sentence, seeds pooled: one row a component, subspace and template.

    Args:
        pairs: The pairs.
        patched: What the patches did, by component.
        texts: The text of every prompt, by its number.
        resamples: Number of bootstrap draws of a template's groups.
        seed: Seed of the draws.

    Returns:
        ``component``, ``subspace``, ``template``, ``sentence`` (its first prompt), ``pairs``, ``groups`` and the
        measures of ``summarise``.
    """
    of_pair = pairs.table["template"].to_numpy()
    about = {}
    for template in np.unique(of_pair):
        here = of_pair == template
        groups = pairs.groups[here]
        words = dict(template=template, sentence=texts.loc[pairs.base_prompts[here][0]])
        counts = dict(pairs=len(groups), groups=len(np.unique(groups)))
        about[template] = here, words | counts, Bootstrap.of(groups, resamples, seed)
    rows = []
    for name, component in patched.items():
        for key in BY_TEMPLATE:
            if (outcome := component.outcomes.get(key)) is None:
                continue
            for here, words_and_counts, bootstrap in about.values():
                of_template = Outcome(outcome.ld[:, here], outcome.top1_foil[:, here])
                measured = summarise(of_template, pairs.ld_clean[here], bootstrap)
                rows.append(dict(component=name, subspace=key.subspace) | words_and_counts | measured)
    return table(rows)


def by_pair(pairs: Pairs, component: Patched) -> pd.DataFrame:
    """What other experiments, and other runs, measure themselves against, pair for pair.

    Returns:
        ``pair``, ``group``, the clean LD ``ld``, the patched LD of the whole ``residual`` stream after the block, and
        that of every subspace, mean over seeds, in a column of its name.
    """
    pooled = {key.subspace: outcome.ld.mean(0) for key, outcome in component.outcomes.items() if key.seed is None}
    about = pairs.table[["pair", "group"]].assign(ld=pairs.ld_clean, residual=component.residual.ld[0])
    return about.assign(**pooled)


def keys_by_pair(did: pd.DataFrame) -> list[SubspaceKey]:
    """The subspaces that a table of ``by_pair`` has columns of, in their order."""
    return [SubspaceKey.read(name) for name in did.columns if name not in PAIR_COLUMNS]
