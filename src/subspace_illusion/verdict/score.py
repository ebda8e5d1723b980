"""The illusion score (E13): how much of what patching a subspace does is not the component's own doing.

Four sub-scores, each between 0 (what the patch does is what the component does) and 1 (it is not), each of another look
at the same patch. The score is the mean of those that apply, ``(lent + lost + apart + off) / 4`` where all do. Every
draw of the bootstrap draws the groups of pairs for all of them together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import row_space, split_by
from subspace_illusion.measures.decompose import lent_draws
from subspace_illusion.measures.effects import keys_by_pair
from subspace_illusion.measures.off_distribution import along_what_is_written, cloud, inhomogeneity
from subspace_illusion.measures.split_directions import SPLIT_COLUMNS, seen_by_chance
from subspace_illusion.statistics import Bootstrap, Estimate, interval, ratio
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, ROW, WHOLE, SubspaceKey, axes_among
from subspace_illusion.verdict.sub_scores import APART, LENT, LOST, NAMED, NEEDED, OFF, SUB_SCORES, named


@dataclass(frozen=True)
class Score:
    """The score of one subspace with its sub-scores: the value itself, then that of every draw, ``[1 + resamples]``.

    Attributes:
        fldd: Effect of the patch as a share of the clean LD.
        sub_scores: By name, those that apply.
        moved: The effect as a share of that of patching the whole residual stream after the component's block.
        groups: How many groups of held-out pairs it rests on.
    """

    fldd: np.ndarray
    sub_scores: Mapping[str, np.ndarray]
    moved: float
    groups: int

    @property
    def applies(self) -> bool:
        """Whether there are enough sub-scores for a score."""
        return len(self.sub_scores) >= NEEDED

    @property
    def draws(self) -> np.ndarray:
        """The score; NaN where too few sub-scores apply."""
        return np.mean(list(self.sub_scores.values()), 0) if self.applies else np.full_like(self.fldd, np.nan)

    def estimate(self, name: str) -> Estimate | None:
        """``score``, ``fldd`` or a sub-score with its interval; ``None`` where it does not apply."""
        draws = dict(fldd=self.fldd, score=self.draws) | dict(self.sub_scores)
        return Estimate.of(interval(name, draws[name]), name) if name in draws else None

    def row(self) -> dict[str, object]:
        """The effect, the score and its sub-scores with their intervals, as columns of a table, NaN where one does not
        apply, and the names of those that do."""
        row: dict[str, object] = {**interval("fldd", self.fldd), **interval("score", self.draws)}
        for name in SUB_SCORES:
            row |= interval(name, self.sub_scores.get(name, np.full_like(self.fldd, np.nan)))
        return row | {NAMED: named(self.sub_scores), "moved": self.moved}


def score_of(
    clean: np.ndarray,
    patched: np.ndarray,
    whole: np.ndarray | None,
    row: np.ndarray | None,
    residual: np.ndarray,
    bootstrap: Bootstrap,
    more: Mapping[str, np.ndarray] | None = None,
) -> Score:
    """Scores a subspace by what patches did, pair for pair.

    Args:
        clean: LD without a patch, ``[n]``.
        patched: LD under the patch along the subspace, ``[n]``, or ``[seeds, n]``, of which the mean counts.
        whole: LD with the whole component patched, ``[n]``; ``None`` where the subspace is the whole.
        row: LD under the patch along the part that something reads, as ``patched``; ``None`` where there is no such
            part to be told from the rest.
        residual: LD with the whole residual stream after the component's block patched, ``[n]``.
        bootstrap: Draws of the pairs' groups.
        more: Sub-scores that need no patch, as ``of_activations`` gives them.
    """
    ld = bootstrap.means(clean)
    effect = ld - bootstrap.means(patched)
    found = {}
    if row is not None:
        found[LOST] = _share(1 - ratio(ld - bootstrap.means(row), effect))
    if whole is not None:
        of_whole = ld - bootstrap.means(whole)
        # Too much and too little alike: the smaller over the larger, none where the signs differ.
        smaller, larger = np.sort(np.abs([effect, of_whole]), 0)
        found[APART] = 1 - np.where(effect * of_whole > 0, ratio(smaller, larger), 0.0)
    found |= more or {}
    moved = ratio(effect[:1], ld[:1] - bootstrap.means(residual)[:1])
    sub_scores = {name: found[name] for name in SUB_SCORES if name in found}
    return Score(ratio(effect, ld), sub_scores, float(moved[0]), bootstrap.counts.shape[1])


def of_activations(
    base: torch.Tensor,
    source: torch.Tensor,
    values: tuple[torch.Tensor, torch.Tensor],
    bases: Sequence[torch.Tensor],
    readout: torch.Tensor,
    seen: torch.Tensor,
    bootstrap: Bootstrap,
) -> dict[str, np.ndarray]:
    """The sub-scores that need no run of the model, ``lent`` and ``off``, each the mean over a subspace's seeds.

    Where the readout maps nothing to zero, as that of attention's heads, nothing can be lent, and there is no ``lent``.

    Args:
        base: Activations of the base prompts, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        values: The variable's value in each base and each source, as its place in the list of all values, ``[n]``.
        bases: The subspace, ``[d, k]``, once for each training seed.
        readout: What the residual stream sees the component through, ``[d, d_model]``.
        seen: Its ``row_space``, ``[d, rank]``.
        bootstrap: Draws of the pairs' groups.
    """
    both, of_both = torch.cat([base, source]), torch.cat(values)
    of_prompts = replace(bootstrap, unit=np.tile(bootstrap.unit, 2))
    lent, off = [], []
    for basis in bases:
        null = split_by(basis, seen).null_vectors
        lent.append(_share(lent_draws(both @ basis, both @ null, of_both, of_prompts)))
        off.append(inhomogeneity(along_what_is_written(cloud(base, source, basis), basis, readout), bootstrap))
    found = {OFF: _share(np.mean(off, 0))}
    return found | ({LENT: np.mean(lent, 0)} if leaves_unread(seen) else {})


def leaves_unread(seen: torch.Tensor) -> bool:
    """Whether a readout whose row space is ``[d, rank]`` maps anything to zero, so that a part of a subspace can go
    unread."""
    return seen.shape[1] < len(seen)


def lost_to_readers(
    clean: np.ndarray,
    whole: np.ndarray,
    seen: np.ndarray,
    by_chance: tuple[np.ndarray, np.ndarray],
    bootstrap: Bootstrap,
) -> dict[str, np.ndarray]:
    """``lost`` of a residual subspace: what its readers do not see of the effect, beside what they miss of any.

    Readers that see most of the residual stream see most of any direction. So the share that is lost is taken over the
    share that random subspaces of their rank lose: 1 where the readers are no better than chance.

    Args:
        clean: LD without a patch, ``[n]``.
        whole: LD under the patch along the subspace, ``[n]``.
        seen: LD under the part that the readers see, ``[n]``.
        by_chance: The same two for random subspaces of the readers' rank, ``[n]`` and every one's ``[draws, n]``. They
            are resampled too, so there must be ``LEAST_DRAWS`` of them.
        bootstrap: Draws of the pairs' groups.

    Returns:
        The sub-score with every draw; nothing where random subspaces lose next to nothing, so that no readers could do
        better.
    """
    ld = bootstrap.means(clean)

    def missed(part: np.ndarray, undivided: np.ndarray, drawn: bool = False) -> np.ndarray:
        return 1 - ratio(ld - bootstrap.means(part, drawn=drawn), ld - bootstrap.means(undivided))

    chance = missed(by_chance[1], by_chance[0], drawn=True)
    return {LOST: _share(ratio(missed(seen, whole), chance))} if chance[0] > LEAST_MISSED else {}


LEAST_MISSED = 0.05
"""The share of the effect that random subspaces of the readers' rank must miss."""


def score_component(
    did: pd.DataFrame,
    bases: Mapping[SubspaceKey, torch.Tensor],
    base: torch.Tensor,
    source: torch.Tensor,
    values: tuple[torch.Tensor, torch.Tensor],
    readout: torch.Tensor | None,
    splits: pd.DataFrame | None,
    *,
    swaps: bool,
    tolerance: float,
    resamples: int,
    seed: int,
) -> dict[SubspaceKey, Score]:
    """Scores every subspace of a component that was trained, is a mean difference, the user's own, or an axis of one.

    Args:
        did: What patching did pair for pair, as ``evaluate.by_pair`` gives it.
        bases: Bases ``[d, k]``.
        base: Activations of the base prompts of the same pairs, ``[n, d]``.
        source: Activations of the sources, ``[n, d]``.
        values: As for ``of_activations``.
        readout: ``[d, d_model]``; ``None`` where what the component holds is itself a vector of the residual stream.
            There nothing is lent, and what a patch leaves of its own direction is true by algebra.
        splits: For such a component what its readers see, as ``split_directions.split_by_pair`` gives it, where that
            was asked; of the same pairs or some of them, which then are all that its score rests on.
        swaps: Whether the pairs go both ways (``tasks.table.go_both_ways``). Where they do not, ``off`` does not apply:
            patched base prompts then lie where sources do, in one half of the natural cloud, however good the patch.
        tolerance: Singular values of the readout below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws.

    Returns:
        The scores by subspace, of all its seeds.
    """
    found, space = {}, None if readout is None else row_space(readout, tolerance)
    listed = keys_by_pair(did)
    for key in scored(listed):
        ld, here = did, np.ones(len(did), dtype=bool)
        divided = None if splits is None else splits[splits["subspace"] == key.subspace].set_index("pair")
        if divided is not None and len(divided):
            here = did["pair"].isin(divided.index).to_numpy()
            ld, divided = did[here], divided.loc[did["pair"][here]]
        bootstrap = Bootstrap.of(ld["group"].to_numpy(), resamples, seed)
        clean, patched = ld["ld"].to_numpy(), ld[key.subspace].to_numpy()
        row, more = None, {}
        if readout is not None and space is not None:
            if leaves_unread(space):
                part = key.of_part(ROW)  # without it all of the subspace is null part
                row = ld[part.subspace].to_numpy() if part in listed else clean
            of_seeds = [basis for single, basis in bases.items() if single.pooled == key]
            more = of_activations(base, source, values, of_seeds, readout, space, bootstrap)
            more = {name: each for name, each in more.items() if swaps or name != OFF}
        elif divided is not None and len(divided):
            all_of_it, seen, undivided = (divided[name].to_numpy() for name in SPLIT_COLUMNS)
            more = lost_to_readers(clean, all_of_it, seen, (undivided, seen_by_chance(divided)), bootstrap)
        whole, residual = ld[WHOLE.subspace].to_numpy(), ld["residual"].to_numpy()
        found[key] = score_of(clean, patched, whole, row, residual, bootstrap, more)
    return found


def scored(keys: Iterable[SubspaceKey]) -> list[SubspaceKey]:
    """Of subspaces those that are scored: the trained one, the user's, the mean difference, each with its axes behind
    it."""
    listed = list(dict.fromkeys(keys))
    trained = [key for key in listed if key.is_trained]
    users = [key for key in listed if key.is_entire and key.is_user]
    differences = [key for key in listed if key == SubspaceKey(MEAN_DIFFERENCE)]
    return [each for key in (*trained, *users, *differences) for each in (key, *axes_among(key, listed))]


def score_table(scores: Mapping[SubspaceKey, Score]) -> pd.DataFrame:
    """One row a component and subspace: ``component``, ``subspace`` and the columns of ``Score.row``."""
    return pd.DataFrame(
        [dict(component=key.component, subspace=key.subspace) | score.row() for key, score in scores.items()]
    ).round(6)


def draws_table(scores: Mapping[SubspaceKey, Score]) -> pd.DataFrame:
    """Every draw, from which ``read_scores`` makes the scores again: ``component, subspace, draw``, ``fldd``,
    ``moved``, ``groups`` and one column a sub-score, NaN where it does not apply."""
    tables = []
    for key, score in scores.items():
        columns = {name: score.sub_scores.get(name, np.full_like(score.fldd, np.nan)) for name in SUB_SCORES}
        about: dict[str, object] = dict(component=key.component, subspace=key.subspace)
        about |= dict(draw=np.arange(len(score.fldd)), fldd=score.fldd, moved=score.moved, groups=score.groups)
        tables.append(pd.DataFrame(about | columns))
    return pd.concat(tables, ignore_index=True)


def read_scores(draws: pd.DataFrame) -> dict[SubspaceKey, Score]:
    """The scores by component and subspace, from the table of ``draws_table``."""
    found = {}
    for (component, name), rows in draws.groupby(["component", "subspace"], sort=False):
        applying = {each: rows[each].to_numpy() for each in SUB_SCORES if rows[each].notna().all()}
        key = SubspaceKey.read(str(name), component=str(component))
        first = rows.iloc[0]
        found[key] = Score(rows["fldd"].to_numpy(), applying, float(first["moved"]), int(first["groups"]))
    return found


def _share(draws: np.ndarray) -> np.ndarray:
    return np.clip(np.nan_to_num(draws, nan=0.0), 0, 1)
