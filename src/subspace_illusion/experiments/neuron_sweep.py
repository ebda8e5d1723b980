"""How much a trained subspace can do with some of a component's neurons (E11)."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.basis import row_space, split_by
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, summaries, table
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change


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
    supports: Mapping[tuple[int, int], torch.Tensor],
    readout: torch.Tensor | None,
    ld_residual: np.ndarray,
    *,
    tolerance: float,
    seed: int,
    resamples: int,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Patches the subspace of each set of neurons, and all of the set.

    Args:
        component: The component's name.
        site: Where it is.
        test: Held-out pairs.
        bases: The subspaces by number of neurons and draw.
        supports: The sets, ``[d]`` of zeros and ones, likewise.
        readout: ``[d, d_model]``; ``None`` for sites that the residual stream does not see through a matrix.
        ld_residual: LD of the pairs with the whole residual stream after the component's block patched.
        tolerance: As for ``own_writing``.
        seed: Seed of the bootstrap.
        resamples: Draws of the bootstrap, over cases.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        One row a set of neurons: what its subspace does; ``set_share_of_residual``, what patching all of the set does;
        and what ``own_writing`` gives. Every interval is about that one set: it is over cases.
    """
    changes = {run: test.along(site, basis) for run, basis in bases.items()}
    outcomes = test.patch(site, changes, batch, on_patch)
    whole = test.along(site, None)

    def all_of(support: torch.Tensor) -> Change:
        return lambda rows: whole(rows) * support

    of_sets = test.patch(site, {run: all_of(support) for run, support in supports.items()}, batch, on_patch)
    bootstrap = Bootstrap.of(test.groups, resamples, seed)
    over = dict(share_of_residual=ld_residual)

    def about(run: tuple[int, int]) -> dict[str, object]:
        return dict(component=component, neurons=run[0], draw=run[1])

    of_subspaces, of_wholes = (
        summaries(patched, about, test.ld_clean, bootstrap, over) for patched in (outcomes, of_sets)
    )
    sets = of_wholes.filter(regex=r"^share_of_residual").add_prefix("set_")
    difference = test.source(site) - test.base(site)
    written = [own_writing(difference, bases[run], supports[run], readout, tolerance) for run in bases]
    return table(of_subspaces.join(sets).join(pd.DataFrame(written)).to_dict("records"))


def own_writing(
    difference: torch.Tensor, basis: torch.Tensor, support: torch.Tensor, readout: torch.Tensor | None, tolerance: float
) -> dict[str, float]:
    """What of a patch's writing a set of neurons does itself, and what a null part of the set lends.

    A patch along V writes Delta V V^T W. All of the set, patched, writes Delta_S W, which has a part along that too:
    ``own_written`` is the mean share of it, by least squares. It is one where the patch moves no more than the neurons
    really move along what it writes, and nothing where they do not write there. ``null_lent`` is the share of the patch
    that comes from the part of V that the set's own readout maps to zero; with at most d_model neurons there is none.

    Args:
        difference: Source minus base, ``[n, d]``.
        basis: The subspace, ``[d, k]``, inside the set.
        support: The set, ``[d]`` of zeros and ones.
        readout: ``[d, d_model]``, or ``None``: then there is nothing to tell.
        tolerance: Singular values of the set's readout below this share of the largest count as zero.
    """
    if readout is None:
        return dict(own_written=float("nan"), null_lent=float("nan"))
    neurons = support.bool()
    moved, vectors, seen = (x.double() for x in (difference[:, neurons], basis[neurons], readout[neurons]))
    patched = moved @ vectors
    written = patched @ vectors.mT @ seen
    own = (written * (moved @ seen)).sum() / written.square().sum()
    null = split_by(vectors, row_space(seen, tolerance)).null_vectors.double()
    lent = (patched * (moved @ null)).sum() / patched.square().sum()
    return dict(own_written=float(own), null_lent=float(lent))


def linear_fit(swept: pd.DataFrame) -> dict[str, float]:
    """The least-squares line of the effect's share against the number of neurons, with its R2.

    Args:
        swept: Columns ``neurons, share_of_residual``.
    """
    from scipy.stats import linregress

    fit = linregress(swept["neurons"].to_numpy(float), swept["share_of_residual"].to_numpy(float))
    figures = dict(slope_per_neuron=fit.slope, intercept=fit.intercept, r2=fit.rvalue**2, points=len(swept))
    return {name: round(float(value), 9) for name, value in figures.items()}
