"""Directions of the residual stream split by what the readers see (E3 d; table 1 of arXiv 2311.17030).

Readers at the position see it through their queries; those that look back at it from END through keys and values.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import Split, random_basis, row_space, split_each
from subspace_illusion.core.heads import readers_readout
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.statistics import Bootstrap, interval, ratio_by_draw, summarise, table
from subspace_illusion.subspace.keys import POOLED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs

UNDIVIDED, SEEN, UNSEEN = "whole", "along readers", "along nullspace"
RANDOM_SEEN, RANDOM_UNSEEN = "along a random subspace", "off a random subspace"
SPLIT_COLUMNS = ("whole", "seen", "whole_by_chance")
"""The columns of ``split_by_pair`` that hold logit differences; behind them one for every random subspace."""
BY_CHANCE = "seen_by_chance_"
"""What the names of the latter begin with."""
READ_PARTS = (UNDIVIDED, SEEN, UNSEEN, RANDOM_SEEN, RANDOM_UNSEEN)
"""The parts of a direction: by what the readers see, and by random subspaces of the rank of what they see.

Several readers see most of the residual stream, so that most of any direction lies along them.
"""


class ReadPart(NamedTuple):
    """A part of a direction by what is seen of it, and for parts by random subspaces the draw."""

    key: SubspaceKey
    part: str
    draw: int | None = None


class Part(NamedTuple):
    """The basis of a part, ``[d, k]``, and its norm: root mean square norm of the columns before that."""

    basis: torch.Tensor
    norm: float


def divide(
    bases: Mapping[SubspaceKey, torch.Tensor],
    readout: torch.Tensor | None,
    tolerance: float,
    draws: int,
    seed: int,
) -> tuple[dict[ReadPart, Part], int]:
    """Divides directions by what a readout sees, and those of each first seed by random subspaces of its rank.

    Args:
        bases: Bases ``[d, k]``.
        readout: ``[d, m]``; without one the directions are left whole.
        tolerance: Singular values below this share of the largest count as zero.
        draws: Number of random subspaces.
        seed: Their seed.

    Returns:
        The parts that are not empty, and the rank of the readout.
    """
    parts = {ReadPart(key, UNDIVIDED): Part(basis, 1.0) for key, basis in bases.items()}
    if readout is None:
        return parts, 0
    divided = split_each(bases, row_space(readout, tolerance))
    rank = next(iter(divided.values())).rank
    halves: list[tuple[str, str, int | None, dict[SubspaceKey, Split]]] = [(SEEN, UNSEEN, None, divided)]
    first = {key.pooled: key for key in reversed(list(bases))}
    of_first = {key: basis for key, basis in bases.items() if first[key.pooled] == key}
    for draw in range(draws):
        subspace = random_basis(len(readout), rank, seed, "random subspace", draw)
        halves.append((RANDOM_SEEN, RANDOM_UNSEEN, draw, split_each(of_first, row_space(subspace, tolerance))))
    for seen, unseen, number, by_basis in halves:
        for key, of_basis in by_basis.items():
            for part, of_part, vectors in (
                (seen, of_basis.row, of_basis.row_vectors),
                (unseen, of_basis.null, of_basis.null_vectors),
            ):
                if of_part is not None:
                    parts[ReadPart(key, part, number)] = Part(of_part, float(vectors.square().sum(0).mean().sqrt()))
    return parts, rank


def count(bases: Mapping[SubspaceKey, torch.Tensor], draws: int) -> int:
    """How many parts ``divide`` makes by a readout, if none is empty."""
    return 3 * len(bases) + 2 * draws * len({key.pooled for key in bases})


def split_directions(
    pairs: Pairs,
    site: Site,
    bases: Mapping[SubspaceKey, torch.Tensor],
    heads: Sequence[Site],
    look_back: bool,
    bootstrap: Bootstrap,
    *,
    tolerance: float,
    draws: int,
    seed: int,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Patches directions of the residual stream whole and by their parts.

    Args:
        pairs: The pairs.
        site: Where the directions live.
        bases: Bases ``[d_model, k]``.
        heads: The readers downstream; without any the directions are patched whole, and no more.
        look_back: Whether the position lies before END, where the readers sit.
        bootstrap: Draws of the same pairs.
        tolerance: As in ``divide``.
        draws: Likewise.
        seed: Likewise.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        The table of ``split_table``, and that of ``split_by_pair``.
    """
    readout = readers_readout(pairs.model, heads, look_back) if heads else None
    parts, rank = divide(bases, readout, tolerance, draws, seed)
    changes = {which: pairs.along(site, part.basis) for which, part in parts.items()}
    outcomes = pairs.patch(site, changes, batch, on_patch)
    norms = {which: part.norm for which, part in parts.items()}
    split = split_table(outcomes, norms, rank / pairs.model.width(site), pairs.ld_clean, bootstrap)
    return split, split_by_pair(outcomes, pairs)


def split_by_pair(outcomes: Mapping[ReadPart, Outcome], pairs: Pairs) -> pd.DataFrame:
    """What the score of residual subspaces rests on, pair for pair.

    Returns:
        ``pair``, ``subspace`` and the LD under the patch along the ``whole`` subspace and what its readers see of it,
        ``seen``, means over seeds; the same two of the seed that random subspaces divide, ``whole_by_chance`` and, for
        every random subspace, ``seen_by_chance_<draw>``. Without readers there are no rows.
    """
    tables = []
    for pooled in dict.fromkeys(which.key.pooled for which in outcomes if which.part == SEEN):
        by_part = {
            part: [which for which in outcomes if (which.key.pooled, which.part) == (pooled, part)]
            for part in (UNDIVIDED, SEEN, RANDOM_SEEN)
        }
        divided = {which.key for which in by_part[RANDOM_SEEN]}
        first = [which for which in by_part[UNDIVIDED] if which.key in divided]
        listed = dict(zip(SPLIT_COLUMNS, (by_part[UNDIVIDED], by_part[SEEN], first), strict=True))
        listed |= {f"{BY_CHANCE}{which.draw}": [which] for which in by_part[RANDOM_SEEN]}
        means = {
            name: Outcome.pooled([outcomes[which] for which in parts]).ld.mean(0) for name, parts in listed.items()
        }
        tables.append(pd.DataFrame(dict(pair=pairs.table["pair"].to_numpy(), subspace=pooled.subspace) | means))
    nothing = pd.DataFrame(columns=["pair", "subspace", *SPLIT_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else nothing


def split_table(
    outcomes: Mapping[ReadPart, Outcome],
    norms: Mapping[ReadPart, float],
    rank_share: float,
    ld_clean: np.ndarray,
    bootstrap: Bootstrap,
) -> pd.DataFrame:
    """One row a direction, part and seed, and of the random subspaces one a draw.

    Every row with seed ``pooled`` pools the training seeds where there are several, every row with draw ``pooled`` the
    random subspaces, which its intervals are over too; single draws are given for the pooled seeds only. Random
    subspaces divide the directions of the first seed alone, so that what is pooled there is that seed, and other seeds
    have no such rows.

    Args:
        outcomes: What patching each part does.
        norms: Norms of the parts.
        rank_share: Rank of what the readers see over the dimension.
        ld_clean: LD of the base prompts, ``[pairs]``.
        bootstrap: Draws of the same pairs.

    Returns:
        Columns ``subspace, part, seed, draw`` (empty for parts that no draw decides), ``norm``, ``chance_norm`` (root
        mean square norm of a random direction's part), ``pairs``, the measures and, for whole directions,
        ``row_share`` and ``random_row_share``: effect of the part along the readers, and of that along random
        subspaces, over the effect of the whole, of the seeds that have the part.
    """
    chance = {SEEN: rank_share, RANDOM_SEEN: rank_share, UNSEEN: 1 - rank_share, RANDOM_UNSEEN: 1 - rank_share}
    rows = []
    for pooled in dict.fromkeys(which.key.pooled for which in outcomes):
        keys = list(dict.fromkeys(which.key for which in outcomes if which.key.pooled == pooled))
        for key, of_key in {pooled: keys, **{key: [key] for key in keys if key != pooled}}.items():
            by_part = {
                part: [which for which in outcomes if which.part == part and which.key in of_key] for part in READ_PARTS
            }
            for part, parts in by_part.items():
                numbers = sorted({which.draw for which in parts if which.draw is not None})
                draws: dict[object, list[ReadPart]] = {POOLED if numbers else None: parts} if parts else {}
                if key == pooled:
                    draws |= {draw: [which for which in parts if which.draw == draw] for draw in numbers}
                for draw, of_draw in draws.items():
                    outcome = Outcome.pooled([outcomes[which] for which in of_draw])
                    shares: dict[str, float] = {}
                    for name, seen in dict(row_share=by_part[SEEN], random_row_share=by_part[RANDOM_SEEN]).items():
                        if seen and part == UNDIVIDED:
                            divided = [which for which in of_draw if which.key in {other.key for other in seen}]
                            shares |= interval(name, share_of(outcomes, seen, divided, ld_clean, bootstrap))
                    norm = np.mean([norms[which] for which in of_draw])
                    rows.append(
                        dict(subspace=key.subspace, part=part, seed=key.seed_text, draw=draw)
                        | dict(norm=norm, chance_norm=chance.get(part, 1) ** 0.5)
                        | dict(pairs=len(ld_clean))
                        | summarise(outcome, ld_clean, bootstrap, drawn=draw == POOLED)
                        | shares
                    )
    return table(rows)


def share_of(
    outcomes: Mapping[ReadPart, Outcome],
    parts: Sequence[ReadPart],
    wholes: Sequence[ReadPart],
    ld_clean: np.ndarray,
    bootstrap: Bootstrap,
) -> np.ndarray:
    """The mean effect of some parts over that of the directions that they are parts of, by draw of pairs and, where
    the parts are by random subspaces, of these."""
    clean = bootstrap.means(ld_clean)
    of_part, of_whole = (
        clean
        - bootstrap.means(
            Outcome.pooled([outcomes[which] for which in listed]).ld,
            drawn=any(which.draw is not None for which in listed),
        )
        for listed in (parts, wholes)
    )
    return ratio_by_draw(of_part, of_whole)
