"""Random MLPs (E8): MLPs of the real one's shape that know nothing, to see what a subspace of them can do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch

from subspace_illusion.core.basis import patch_change
from subspace_illusion.core.mlps import mlp_of
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.random_mlp import RandomMlp, draw_random_mlp
from subspace_illusion.core.sites import Site, mlp_input, mlp_output
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, summaries
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.keys import POOLED, TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.patching import Change


def check_is_mlp(component: str, site: Site) -> None:
    """Makes sure that a component is an MLP's hidden activations, in whose place a random MLP can be put.

    Raises:
        InputError: If not.
    """
    if not site.is_mlp_hidden:
        raise InputError(
            f"random_mlp: '{component}' ({site.name}) is not an MLP's hidden activations, so no random MLP can "
            "stand in for it; take a component at mlp.hook_post"
        )


@dataclass(frozen=True)
class Stand:
    """Random MLPs beside a real one, with a subspace trained in each.

    Attributes:
        block: The real MLP's block.
        mlps: The random ones, one a draw.
        bases: Their subspaces, ``[draws, d_mlp, k]``.
    """

    block: int
    mlps: Sequence[RandomMlp]
    bases: torch.Tensor

    def beside(self, pairs: Pairs, draw: int) -> Change:
        """What patching a random MLP changes in its output, to be added to the real one's."""
        of_draw, reads = self.mlps[draw], mlp_input(self.block)
        base, source = of_draw.hidden(pairs.base(reads)), of_draw.hidden(pairs.source(reads))
        return lambda rows: patch_change(base[rows], source[rows], self.bases[draw]) @ of_draw.readout


def train_random_mlps(
    component: str,
    site: Site,
    train: Pairs,
    *,
    rank: int,
    draws: int,
    seed: int,
    settings: Mapping[str, Any],
    on_step: Callable[[float], None] = lambda loss: None,
) -> Stand:
    """Draws random MLPs and trains a subspace of each, all in one batch of runs.

    Args:
        component: The component's name.
        site: The real MLP's hidden activations.
        train: Pairs to train on.
        rank: Dimension of the subspaces.
        draws: How many random MLPs.
        seed: Seed of the draws.
        settings: How a DAS run goes.
        on_step: Told the mean loss after every step.
    """
    check_is_mlp(component, site)
    mlp, reads = mlp_of(train.model, site.block), mlp_input(site.block)
    read = train.base(reads), train.source(reads)
    mlps = [draw_random_mlp(mlp, read[0], seed, component, draw) for draw in range(draws)]
    base, source = (torch.stack([of_draw.hidden(x) for of_draw in mlps]) for x in read)
    trained = train_das(
        train.model,
        mlp_output(site.block),
        replace(train.examples(reads), base=base, source=source),
        rank=rank,
        seeds=[seed + draw for draw in range(draws)],
        readout=torch.stack([of_draw.readout for of_draw in mlps]),
        on_step=on_step,
        **settings,
    )
    return Stand(site.block, mlps, trained.bases)


def random_mlp(
    component: str,
    stand: Stand,
    test: Pairs,
    real: pd.DataFrame,
    *,
    seed: int,
    resamples: int,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Patches the subspaces of the random MLPs and adds what that changes in their output to the real MLP's.

    Args:
        component: The component's name.
        stand: The random MLPs.
        test: Held-out pairs.
        real: What patches of the real MLP did to the held-out pairs: LD under its trained subspace and with the whole
            residual stream after its block patched, as ``measures.effects.by_pair`` gives it.
        seed: Seed of the bootstrap.
        resamples: Draws of the bootstrap, over cases; of the row that pools the random MLPs, over these too.
        batch: Pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        One row a random MLP, and one that pools them.
    """
    changes: dict[int | str, Change] = {draw: stand.beside(test, draw) for draw in range(len(stand.mlps))}
    outcomes = test.patch(mlp_output(stand.block), changes, batch, on_patch)
    outcomes[POOLED] = Outcome.pooled(list(outcomes.values()))
    over = dict(
        share_of_real=real[SubspaceKey(TRAINED).subspace].to_numpy(), share_of_residual=real["residual"].to_numpy()
    )
    bootstrap = Bootstrap.of(test.groups, resamples, seed)

    def about(draw: int | str) -> dict[str, object]:
        return dict(component=component, draw=draw)

    return summaries(outcomes, about, test.ld_clean, bootstrap, over, drawn=(POOLED,))
