"""Patches of one component from plain values: what a unit of work is in evaluate, wherever it is done.

Units of one process share the model and the pairs, and a unit stays good while what it reads does: where a component
comes, it alone is patched.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.files import hash_of
from subspace_illusion.measures.effects import Patched, Subspaces, patch_everything
from subspace_illusion.measures.own_difference import Natural
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import SubspaceKey, seed_text
from subspace_illusion.subspace.pairs import Pairs, cached_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import DIFFERENT

RESIDUAL_PATCHED = "residual"
"""The name under which a table has what patching the residual stream after the component's block did."""

INDEX = ("pairs.parquet", "index.parquet")
"""What tells, in a cache of activations, which pairs there are and where theirs lie."""


def files_of(cache: Path, decomposition: Path, component: str) -> list[Path]:
    """What ``patch_component`` reads besides the model; the manifest holds the hashes of the activations."""
    return [*(cache / name for name in INDEX), cache / "components" / f"{component}.json", decomposition]


def subspaces_of(cache: Path, decomposition: Path, component: str, hook: str, rank: int) -> Subspaces:
    """A component with its subspaces as decompose has left them in a folder."""
    bases = read_subspaces(decomposition)
    return Subspaces(Site.parse(hook), bases, Activations(cache).readout(component), rank)


def patch_component(
    *,
    model: str,
    cache: str,
    decomposition: str,
    component: str,
    hook: str,
    rank: int,
    tolerance: float,
    seed: int,
    batch: int,
) -> pd.DataFrame:
    """Patches the held-out pairs of a cache at one component, whole and along every subspace.

    Args:
        model: The folder of the model.
        cache: The folder of the activations.
        decomposition: The folder of the component's subspaces.
        component: Its name.
        hook: Where it is.
        rank: As for ``Subspaces``.
        tolerance: As for ``patch_everything``.
        seed: Likewise.
        batch: Likewise.

    Returns:
        ``subspace``, ``seed`` (``pooled`` where no seed trained it), ``ld``, ``top1_foil``; the pairs in order.
    """
    learnt, pairs = both_splits(Path(model), Path(cache))
    subspaces = subspaces_of(Path(cache), Path(decomposition), component, hook, rank)
    natural = Natural.of(Component.of(learnt, subspaces.site), tolerance, batch)
    return table_of(patch_everything(pairs, component, subspaces, natural, tolerance=tolerance, seed=seed, batch=batch))


def both_splits(model: Path, cache: Path) -> tuple[Pairs, Pairs]:
    """The pairs of different values, to learn from and held out, kept until the model or the pairs are others.

    Args:
        model: The folder of the model.
        cache: The folder of the activations.
    """
    return _both_splits(model, cache, tuple(hash_of(path) for path in (model, *(cache / name for name in INDEX))))


@lru_cache(maxsize=1)
def _both_splits(model: Path, cache: Path, content: tuple[str, ...]) -> tuple[Pairs, Pairs]:
    opened = open_model(model)
    return cached_pairs(opened, cache, "train", DIFFERENT), cached_pairs(opened, cache, "test", DIFFERENT)


def table_of(patched: Patched) -> pd.DataFrame:
    """What the patches of a component did, as one table, from which ``patched_of`` makes it again."""
    seeded = {key.pooled for key in patched.outcomes if key.seed is not None}
    single = {key: outcome for key, outcome in patched.outcomes.items() if key not in seeded}
    parts = [(RESIDUAL_PATCHED, seed_text(None), patched.residual)]
    parts += [(key.subspace, key.seed_text, outcome) for key, outcome in single.items()]
    return pd.concat(
        [
            pd.DataFrame(dict(subspace=name, seed=seed, ld=outcome.ld[0], top1_foil=outcome.top1_foil[0]))
            for name, seed, outcome in parts
        ],
        ignore_index=True,
    )


def patched_of(table: pd.DataFrame, hook: str) -> Patched:
    """What ``table_of`` made a table of.

    Args:
        table: The table.
        hook: Where the component is.
    """
    is_residual = table["subspace"] == RESIDUAL_PATCHED
    outcomes = {
        SubspaceKey.read(str(name), str(seed)): _outcome(rows)
        for (name, seed), rows in table[~is_residual].groupby(["subspace", "seed"], sort=False)
    }
    single = sorted(key for key in outcomes if key.seed is not None)
    for pooled in dict.fromkeys(key.pooled for key in outcomes if key.seed is not None):
        outcomes[pooled] = Outcome.pooled([outcomes[key] for key in single if key.pooled == pooled])
    return Patched(Site.parse(hook), outcomes, _outcome(table[is_residual]))


def _outcome(rows: pd.DataFrame) -> Outcome:
    ld, top1_foil = rows["ld"].to_numpy(dtype=float), rows["top1_foil"].to_numpy(dtype=bool)
    return Outcome(ld[np.newaxis], top1_foil[np.newaxis])
