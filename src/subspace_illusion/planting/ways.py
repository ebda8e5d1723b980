"""Ways of finding directions in a component that a signal was planted in: each by itself, mixtures, planes of two."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from subspace_illusion.core.basis import SMALLEST_PART, mean_difference, orthonormal
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.tail import Planted, Tail
from subspace_illusion.measures.ablation import which_way
from subspace_illusion.measures.controls import arbitrary_labels
from subspace_illusion.planting.plant import PromptsWithSignal, unread
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import Examples, train_das
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, OFF_ROUTE, PROBE

MIXTURE, PLANE = "mixture", "plane"
NOISE = 0.3
"""How much of a random direction a mixture has at most, beside the directions that were found."""


def is_found_by_itself(found: str) -> bool:
    """Whether a subspace is one that people find: no mixture, no plane of two, and not off the route, for which the
    mediator has to be known."""
    return found != OFF_ROUTE and not found.startswith((MIXTURE, PLANE))


def found_in(
    component: Component,
    different: Component,
    pulls: torch.Tensor,
    mediator: torch.Tensor,
    given: Mapping[str, torch.Tensor],
    *,
    mixtures: int,
    seed: int,
    labels: Sequence[object],
    tolerance: float,
) -> dict[str, torch.Tensor]:
    """Subspaces ``[d, k]`` by how they were found: each way, mixtures of them with random and unread ones, and planes
    of two.

    Args:
        component: In training pairs.
        different: In those of different values.
        pulls: The gradients of LD in these, ``[n, d]``.
        mediator: The direction that carries the signal, ``[d, 1]``.
        given: Directions ``[d, 1]`` that were found elsewhere, such as by DAS.
        mixtures: How many.
        seed: Of the draws.
        labels: What tells these draws from others.
        tolerance: Singular values of a readout below this share of the largest count as zero.
    """
    both, values = torch.cat([component.base, component.source]), torch.cat(component.pairs.values)
    found = dict(given) | {
        MEAN_DIFFERENCE: mean_difference(both, values),
        PROBE: probe(both, values),
        GRADIENT: orthonormal(pulls.mean(0)[:, None]),
    }
    for direction in list(given.values())[:1]:
        off = direction - mediator @ (mediator.mT @ direction)
        if off.norm() > SMALLEST_PART:  # else it is the mediator, and what is left over is rounding
            found[OFF_ROUTE] = orthonormal(off)
    turned, change = which_way(different), different.change
    signed = [basis * torch.sign((turned * (change @ basis)).mean()) for basis in found.values()]
    draw = torch_generator(seed, "mixtures", *labels)
    nothing = None if component.readout is None else unread(component.readout, seed, tolerance)
    mixed = []
    for number in range(mixtures):
        weights = torch.randn(len(signed), generator=draw).abs() * (torch.rand(len(signed), generator=draw) < 0.5)
        weights[number % len(signed)] += 0.5  # so that none is empty
        random = orthonormal(torch.randn(len(mediator), 1, generator=draw)) * NOISE * torch.rand(1, generator=draw)
        beside = random if nothing is None or number % 3 else random + nothing[:, None]
        mixed.append(torch.stack([w * basis for w, basis in zip(weights, signed, strict=True)]).sum(0) + beside)
    found |= {f"{MIXTURE} {number}": orthonormal(basis) for number, basis in enumerate(mixed)}
    for number, (one, other) in enumerate(zip(mixed[::2], mixed[1::2], strict=False)):
        found[f"{PLANE} {number}"] = orthonormal(torch.cat([one, other], 1))
    return found


def probe(activations: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """A probe's direction, ``[d, 1]``: the weights of a logistic regression that tells two values apart.

    Args:
        activations: ``[n, d]``.
        values: Each value as its place in the list of all, ``[n]``.
    """
    from sklearn.linear_model import LogisticRegression

    centred = (activations - activations.mean(0)).double().numpy()
    scale = np.sqrt((centred**2).sum(1).mean())  # one number, so that the direction is the weights' own
    fitted = LogisticRegression(C=1.0, max_iter=2000).fit(centred / scale, values.numpy())
    return orthonormal(torch.tensor(fitted.coef_[-1:].T, dtype=torch.float32))


def trained_at_once(components: Sequence[Component], das: Mapping[str, Any], seed: int) -> torch.Tensor:
    """What DAS finds at each dose, all in one batch, ``[doses, d, 1]``.

    Args:
        components: The component with each dose, in training pairs.
        das: How a run goes.
        seed: Of every run.
    """
    return _trained(components[0], examples_of(components), das, [seed] * len(components))


def by_heart(components: Sequence[Component], das: Mapping[str, Any], seed: int) -> torch.Tensor:
    """What DAS learns from labels that were tossed up (E12), in all its steps, at the full dose, ``[d, 1]``.

    Args:
        components: The component with each dose, in training pairs, the full dose last.
        das: How a run goes.
        seed: Of the tosses and the run.
    """
    tossed = arbitrary_labels(examples_of(components), [seed])
    assert tossed.own is not None
    at_full = replace(tossed, own=tossed.own[-1:])
    return _trained(components[-1], at_full, dict(das) | dict(min_gain=0.0), [seed])[0]


def _trained(component: Component, examples: Examples, das: Mapping[str, Any], seeds: list[int]) -> torch.Tensor:
    """One direction a seed, ``[seeds, d, 1]``."""
    readout = None if component.through is None else component.through.expand(len(seeds), -1, -1)
    model, site = component.pairs.model, component.site
    return train_das(model, site, examples, rank=1, seeds=seeds, readout=readout, **das).bases


def examples_of(components: Sequence[Component]) -> Examples:
    """The same pairs once for every dose; each run learns from its own."""
    first, n = components[0], len(components[0].pairs)
    planted = [
        c.pairs.prompts.planted_in(c.pairs.base_prompts.tolist())
        for c in components
        if isinstance(c.pairs.prompts, PromptsWithSignal)
    ]
    everything, tail = Planted.cat(planted) if planted else None, first.pairs.tail(first.site.start)

    def tail_of(rows: torch.Tensor) -> Tail:
        return replace(tail(rows % n), planted=None if everything is None else everything.rows(rows))

    doses = len(components)
    target, other, differs = (torch.cat([of_pairs] * doses) for of_pairs in first.pairs.targets)
    base, source = (torch.cat([getattr(c, side) for c in components]) for side in ("base", "source"))
    own = torch.arange(doses * n).view(doses, n)
    return Examples(base, source, target, other, differs, tail_of, own)
