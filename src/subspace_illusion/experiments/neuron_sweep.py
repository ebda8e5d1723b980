"""How much a trained subspace can do with some of a component's neurons (E11)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, summaries
from subspace_illusion.subspace.pairs import Pairs


def random_supports(
    d: int, shares: Sequence[float], draws: int, rank: int, seed: int
) -> tuple[list[tuple[int, int]], torch.Tensor]:
    """Random sets of neurons.

    Within a draw the sets are nested: a larger one has the neurons of the smaller ones and more, so that a curve over
    their number shows what more neurons do and not what other neurons do.

    Args:
        d: Number of neurons.
        shares: How large the sets are, as shares of all.
        draws: Sets of each size.
        rank: Dimension of the subspaces that they are for: no set is smaller.
        seed: Seed of the draws.

    Returns:
        Number of neurons and draw of each set, and the sets, ``[sets, d]`` of zeros and ones.

    Raises:
        InputError: If two sizes come out the same.
    """
    sizes = sorted({max(rank, round(share * d)) for share in shares})
    if len(sizes) < len(shares):
        raise InputError(f"neuron_sweep.shares {list(shares)} give only {len(sizes)} sizes of sets of {d} neurons")
    runs = [(size, draw) for size in sizes for draw in range(draws)]
    supports = torch.zeros(len(runs), d)
    orders = [torch.randperm(d, generator=torch_generator(seed, "neurons", draw)) for draw in range(draws)]
    for place, (size, draw) in enumerate(runs):
        supports[place, orders[draw][:size]] = 1
    return runs, supports


def neuron_sweep(
    component: str,
    site: Site,
    test: Pairs,
    bases: Mapping[tuple[int, int], torch.Tensor],
    ld_residual: np.ndarray,
    *,
    seed: int,
    resamples: int,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Patches the subspace of each set of neurons.

    Args:
        component: The component's name.
        site: Where it is.
        test: Held-out pairs.
        bases: The subspaces by number of neurons and draw.
        ld_residual: LD of the pairs with the whole residual stream after the component's block patched.
        seed: Seed of the bootstrap.
        resamples: Draws of the bootstrap, over cases.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        One row a set of neurons, which every interval is about: it is over cases.
    """
    outcomes = test.patch(site, {run: test.along(site, basis) for run, basis in bases.items()}, batch, on_patch)
    bootstrap = Bootstrap.of(test.groups, resamples, seed)
    over = dict(share_of_residual=ld_residual)

    def about(run: tuple[int, int]) -> dict[str, object]:
        return dict(component=component, neurons=run[0], draw=run[1])

    return summaries(outcomes, about, test.ld_clean, bootstrap, over)


def linear_fit(swept: pd.DataFrame) -> dict[str, float]:
    """The least-squares line of the effect's share against the number of neurons, with its R2.

    Args:
        swept: Columns ``neurons, share_of_residual``.
    """
    from scipy.stats import linregress

    fit = linregress(swept["neurons"].to_numpy(float), swept["share_of_residual"].to_numpy(float))
    figures = dict(slope_per_neuron=fit.slope, intercept=fit.intercept, r2=fit.rvalue**2, points=len(swept))
    return {name: round(float(value), 9) for name, value in figures.items()}
