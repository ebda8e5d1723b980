"""Names (E3 c): with the position taken out, does the projection on a direction differ between names?"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.statistics import permutation_p, ratio, table
from subspace_illusion.subspace.keys import RANDOM, SubspaceKey
from subspace_illusion.tasks.ioi import VALUES

NAMES = {"IO": "io", "S": "s"}
"""The two names of a prompt, and the columns that hold them."""
SIGNIFICANT = 0.05
"""The p below which names count as told."""
ALIKE, UNALIKE = "alike in both positions", "differing between them"
"""The two halves of what a set of names can leave in a projection: the mean of its two prompts, and half of their
difference, which is what depends on the names in one position otherwise than in the other."""


@dataclass(frozen=True)
class Units:
    """Projections without the position, one unit a set of names.

    ABB and BAB of a case have the same names, CDD and DCD have others: so a case has two units.

    Attributes:
        values: What is left of the projections, ``[cases, 2, directions]``.
        names: The names of each unit, ``[cases, 2]`` each, by ``NAMES``.
        template: The template of each case, ``[cases]``.
        left: The units' variance as a share of that of the projections, ``[directions]``.
    """

    values: np.ndarray
    names: Mapping[str, np.ndarray]
    template: np.ndarray
    left: np.ndarray


def without_position(projections: np.ndarray, prompts: pd.DataFrame) -> dict[str, Units]:
    """Takes the mean of the prompts with S first, and with S second, off the projections, template by template.

    Args:
        projections: ``[prompts, directions]``.
        prompts: The prompts, four a case, columns ``group, template, pattern, io, s``.

    Returns:
        The units by ``ALIKE`` and ``UNALIKE``; the mean squares of the two add up to that of what the position leaves.
    """
    prompts = prompts.reset_index(drop=True)
    second = prompts["pattern"].map(VALUES) == VALUES["ABB"]
    values = pd.DataFrame(projections)
    rest = values - values.groupby([prompts["template"], second]).transform("mean")
    unit = [prompts["group"], prompts["pattern"].isin(["CDD", "DCD"])]
    signed = rest.mul(np.where(second, 1, -1), axis=0)
    about = prompts.groupby(unit)[["io", "s", "template"]].first()
    shape = (about.index.get_level_values(0).nunique(), 2)
    names = {name: about[column].to_numpy().reshape(shape) for name, column in NAMES.items()}
    template = about["template"].to_numpy().reshape(shape)[:, 0]
    found = {}
    for half, of_half in {ALIKE: rest, UNALIKE: signed}.items():
        means = of_half.groupby(unit).mean().to_numpy()
        left = ratio((means**2).mean(0), values.var(ddof=0).to_numpy())
        found[half] = Units(means.reshape(*shape, -1), names, template, left)
    return found


@dataclass(frozen=True)
class Analysis:
    """One-way analysis of variance of every direction's units across names.

    Attributes:
        names: Number of names.
        units: Number of units.
        f: F of each direction; NaN where every name comes once, so that nothing can be told.
        omega_squared: Share of the units' variance that the names explain, less what they would by chance.
        explained: The share before that is taken off, ``[1 + permutations, directions]``: first of the names as they
            are, then permuted.
    """

    names: int
    units: int
    f: np.ndarray
    omega_squared: np.ndarray
    explained: np.ndarray

    def p(self, *directions: int) -> float:
        """The permutation p of one direction, or of several by the mean share that their names explain."""
        if np.isnan(self.f[list(directions)]).any():
            return np.nan
        share = self.explained[:, directions].mean(1)
        return permutation_p(share[0] * (1 - 1e-9), share[1:])  # equal sums of another order differ in the last digit


def analyse(units: Units, name: str, permutations: int, seed: int) -> Analysis:
    """Asks whether the units of one name lie closer together than those of different names.

    A permutation gives the names of each case to another case of its template, both units' at once: what the units of a
    case share stays together, and so do the names that were drawn together.

    Args:
        units: The units.
        name: Which name, one of ``NAMES``.
        permutations: Number of permutations.
        seed: Their seed.
    """
    _, number = np.unique(units.names[name], return_inverse=True)
    order = number.ravel().argsort(kind="stable")
    starts = np.unique(number.ravel()[order], return_index=True)[1]
    counts = np.diff([*starts, len(order)])[:, None]
    total = (units.values**2).sum((0, 1))  # the mean of all units of a template is zero

    def between(cases: np.ndarray) -> np.ndarray:
        """Sum of squares between names, ``[directions]``, with the cases' values in this order."""
        in_order = units.values[cases].reshape(len(order), -1)[order]
        return (np.add.reduceat(in_order, starts) ** 2 / counts).sum(0)

    rng = numpy_generator(seed, "permuted names", name)
    of_template = [np.flatnonzero(units.template == template) for template in np.unique(units.template)]
    found = [between(np.arange(len(units.values)))]
    for _ in range(permutations):
        cases = np.arange(len(units.values))
        for rows in of_template:
            cases[rows] = rng.permutation(rows)
        found.append(between(cases))
    names, n = len(starts), len(order)
    freedom = n - names - (len(of_template) - 1)  # each template's mean has been taken off too
    if freedom < 1 or names < 2:
        nothing = np.full(len(total), np.nan)
        return Analysis(names, n, nothing, nothing, ratio(np.stack(found), total))
    within = (total - found[0]) / freedom
    f = ratio(found[0] / (names - 1), within)
    omega_squared = ratio(found[0] - (names - 1) * within, total + within)
    return Analysis(names, n, f, omega_squared, ratio(np.stack(found), total))


def tell_names(
    x: torch.Tensor,
    prompts: pd.DataFrame,
    axes: Mapping[SubspaceKey, torch.Tensor],
    *,
    random_directions: int,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """Tests whether projections tell the names apart, and for comparison those on random directions.

    Args:
        x: Activations of held-out prompts, ``[n, d]``.
        prompts: The prompts, columns as in ``without_position``.
        axes: Directions ``[d, 1]``.
        random_directions: How many random directions to put beside them.
        permutations: Number of permutations.
        seed: Seed of permutations and random directions.

    Returns:
        One row a method, seed, half (``ALIKE``, ``UNALIKE``) and name (``IO``, ``S``); a way with several seeds
        has a pooled row too, whose p is that of the mean over seeds. Columns ``subspace, seed, half, name, directions``
        (their number), ``names, units``, ``f, omega_squared`` (means over the seeds; medians over random directions),
        ``p`` (of the random directions the median), ``permutations``, ``share_told`` (share of the directions with p
        below ``SIGNIFICANT``), ``left`` (share of the projection's variance that ``omega_squared`` is a share of).
    """
    random = [random_basis(x.shape[1], 1, seed, "told names", draw) for draw in range(random_directions)]
    directions = torch.cat([*axes.values(), *random], 1).double()
    halves = without_position((x.double() @ directions).numpy(), prompts)
    groups: dict[SubspaceKey, list[int]] = {}
    for place, key in enumerate(axes):
        groups.setdefault(key.pooled, []).append(place)
        if key.seed is not None:
            groups[key] = [place]
    groups[SubspaceKey(RANDOM)] = list(range(len(axes), directions.shape[1]))
    rows = []
    for half, name in product(halves, NAMES):
        units = halves[half]
        found = analyse(units, name, permutations, seed)
        single = np.array([found.p(place) for place in range(directions.shape[1])])
        for key, places in groups.items():
            is_random = key.method == RANDOM
            middle = np.median if is_random else np.mean
            rows.append(
                dict(subspace=key.subspace, seed=key.seed_text, half=half, name=name, directions=len(places))
                | dict(names=found.names, units=found.units)
                | dict(f=middle(found.f[places]), omega_squared=middle(found.omega_squared[places]))
                | dict(p=np.median(single[places]) if is_random else found.p(*places), permutations=permutations)
                | dict(share_told=np.nan if np.isnan(single).any() else np.mean(single[places] < SIGNIFICANT))
                | dict(left=middle(units.left[places]))
            )
    return table(rows)
