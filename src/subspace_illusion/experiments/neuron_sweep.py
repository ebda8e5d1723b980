"""How much a trained subspace can do with some of a component's neurons (E11)."""

import torch

from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.errors import InputError


def random_supports(
    d: int, shares: list[float], draws: int, rank: int, seed: int
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
        raise InputError(f"neuron_sweep.shares {shares} give only {len(sizes)} sizes of sets of {d} neurons")
    runs = [(size, draw) for size in sizes for draw in range(draws)]
    supports = torch.zeros(len(runs), d)
    orders = [torch.randperm(d, generator=torch_generator(seed, "neurons", draw)) for draw in range(draws)]
    for place, (size, draw) in enumerate(runs):
        supports[place, orders[draw][:size]] = 1
    return runs, supports


def linear_fit(neurons: torch.Tensor, share: torch.Tensor) -> dict[str, float]:
    """The least-squares line of the effect's share against the number of neurons, both ``[n]``, with its R2."""
    from scipy.stats import linregress

    fit = linregress(neurons.double().numpy(), share.double().numpy())
    figures = dict(slope_per_neuron=fit.slope, intercept=fit.intercept, r2=fit.rvalue**2, points=len(neurons))
    return {name: round(float(value), 9) for name, value in figures.items()}
