"""What can be seen of a subspace without any planting (E13): its effect, and what the estimate of its mediated share
is made of. Every draw of the bootstrap draws the groups of pairs for all of them together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effects import Patched, Subspaces, by_pair, keys_by_pair, patch_everything
from subspace_illusion.measures.own_difference import Natural
from subspace_illusion.statistics import Bootstrap, Estimate, interval, ratio
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, OWN, WHOLE, SubspaceKey, axes_among
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.verdict.estimate import kind_of, match_of, mediated_share, share_of

MEASURED = ("fldd", "whole", "own", "match", "share")
"""What has an interval."""


@dataclass(frozen=True)
class Seen:
    """What is seen of one subspace: each value itself, then that of every draw, ``[1 + resamples]``.

    Attributes:
        site: The component.
        rank: The subspace's dimension.
        fldd: Effect of the patch as a share of the clean LD.
        whole: That of patching the whole component.
        own: The own-difference share.
        groups: How many groups of held-out pairs it rests on.
    """

    site: Site
    rank: int
    fldd: np.ndarray
    whole: np.ndarray
    own: np.ndarray
    groups: int

    @property
    def kind(self) -> str | None:
        """The kind of place."""
        return kind_of(self.site)

    @property
    def match(self) -> np.ndarray:
        """How well the patch does what the whole component does."""
        return match_of(self.fldd, self.whole)

    @property
    def share(self) -> np.ndarray:
        """The estimate of the mediated share; NaN where no place of its kind can be planted in."""
        if self.kind is None:
            return np.full_like(self.fldd, np.nan)
        return mediated_share(self.own, self.match, self.kind)

    def estimate(self, name: str) -> Estimate | None:
        """One of ``MEASURED`` with its 95 % interval over groups; ``None`` where it does not apply."""
        return Estimate.of(interval(name, getattr(self, name)), name)

    def row(self) -> dict[str, object]:
        """All of ``MEASURED`` with their intervals, as columns of a table."""
        return {column: value for name in MEASURED for column, value in interval(name, getattr(self, name)).items()}


def see_component(
    did: pd.DataFrame, site: Site, ranks: Mapping[SubspaceKey, int], *, resamples: int, seed: int, noise: float = 0.0
) -> dict[SubspaceKey, Seen]:
    """What is seen of every subspace of a component that was trained, is a mean difference, the user's own, or an axis
    of one.

    Args:
        did: What patching did pair for pair, as ``measures.effects.by_pair`` gives it.
        site: The component.
        ranks: Of the subspaces.
        resamples: Draws of the bootstrap.
        seed: Of the draws.
        noise: By how much the model's rounding moves an effect, a standard error and a share of the mean clean LD;
            every draw draws it anew for every patch.

    Returns:
        By subspace, of all its seeds.
    """
    bootstrap = Bootstrap.of(did["group"].to_numpy(), resamples, seed)
    clean = bootstrap.means(did["ld"].to_numpy())

    def lost(patch: SubspaceKey) -> np.ndarray:
        """LD that a patch takes away, ``[1 + resamples]``."""
        effect = clean - bootstrap.means(did[patch.subspace].to_numpy())
        if noise:
            effect[1:] += numpy_generator(seed, "rounding", patch.subspace).normal(0, noise * abs(clean[0]), resamples)
        return effect

    whole, found = ratio(lost(WHOLE), clean), {}
    for key in judged_among(keys_by_pair(did)):
        effect, own = lost(key), lost(key.of_part(OWN))
        rank = next(rank for single, rank in ranks.items() if single.pooled == key)
        found[key] = Seen(site, rank, ratio(effect, clean), whole, share_of(own, effect), bootstrap.counts.shape[1])
    return found


def patched_and_seen(
    test: Pairs,
    component: Subspaces,
    natural: Natural,
    *,
    tolerance: float,
    resamples: int,
    seed: int,
    batch: int,
    noise: float = 0.0,
) -> tuple[Patched, dict[SubspaceKey, Seen]]:
    """Patches held-out pairs along every subspace of a component; and what is seen of them.

    Args:
        test: Held-out pairs of different values.
        component: The component and its subspaces.
        natural: What it does by itself.
        tolerance: Singular values of a readout below this share of the largest count as zero.
        resamples: Draws of the bootstrap.
        seed: Of the draws and the random subspace beside them.
        batch: Pairs at a time.
        noise: As for ``see_component``.
    """
    site = component.site
    patched = patch_everything(test, site.name, component, natural, tolerance=tolerance, seed=seed, batch=batch)
    ranks = {key: basis.shape[1] for key, basis in component.bases.items()}
    draws = dict[str, Any](resamples=resamples, seed=seed, noise=noise)
    return patched, see_component(by_pair(test, patched), site, ranks, **draws)


def judged_among(keys: Iterable[SubspaceKey]) -> list[SubspaceKey]:
    """Of subspaces those that are judged: the trained one, the user's, the mean difference, each with its axes behind
    it."""
    listed = list(dict.fromkeys(keys))
    trained = [key for key in listed if key.is_trained]
    users = [key for key in listed if key.is_entire and key.is_user]
    differences = [key for key in listed if key == SubspaceKey(MEAN_DIFFERENCE)]
    return [each for key in (*trained, *users, *differences) for each in (key, *axes_among(key, listed))]


def seen_table(seen: Mapping[SubspaceKey, Seen]) -> pd.DataFrame:
    """One row a component and subspace: ``component``, ``subspace`` and the columns of ``Seen.row``."""
    return pd.DataFrame(
        [dict(component=key.component, subspace=key.subspace) | one.row() for key, one in seen.items()]
    ).round(6)


def draws_table(seen: Mapping[SubspaceKey, Seen]) -> pd.DataFrame:
    """Every draw, from which ``read_seen`` makes it again: ``component, subspace, hook, rank, groups, draw``, ``fldd``,
    ``whole`` and ``own``."""
    tables = []
    for key, one in seen.items():
        about: dict[str, object] = dict(component=key.component, subspace=key.subspace, hook=one.site.name)
        about |= dict(rank=one.rank, groups=one.groups, draw=np.arange(len(one.fldd)))
        tables.append(pd.DataFrame(about | dict(fldd=one.fldd, whole=one.whole, own=one.own)))
    return pd.concat(tables, ignore_index=True)


def read_seen(draws: pd.DataFrame) -> dict[SubspaceKey, Seen]:
    """What is seen by component and subspace, from the table of ``draws_table``."""
    found = {}
    for (component, name), rows in draws.groupby(["component", "subspace"], sort=False):
        first = rows.iloc[0]
        fldd, whole, own = (rows[each].to_numpy() for each in ("fldd", "whole", "own"))
        key = SubspaceKey.read(str(name), component=str(component))
        found[key] = Seen(Site.parse(first["hook"]), int(first["rank"]), fldd, whole, own, int(first["groups"]))
    return found
