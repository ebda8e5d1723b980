"""Whether a model will do, before there are pairs: a patch of each kind of component beside the full forward pass."""

from collections.abc import Mapping

import torch

from subspace_illusion.auditing.proof import run_in_full
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.rounding import allowed_share
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

POINTS = ("mlp.hook_post", "hook_mlp_out", "attn.hook_z", "hook_attn_out", "hook_resid_post")
LENGTH = 6
"""Tokens of the prompts, which are the vocabulary's first ones: what they say does not matter."""
WHOLE_PROMPTS = "every patch runs the whole prompt, because not every block of this model keeps keys and values"
"""What is said of a model with ``Model.whole_prompts``."""


def replays(model: Model) -> dict[Site, float]:
    """How far the logits of a replayed patch are from those of the full pass, at most and as a share of the largest of
    them, by component of a block as near the middle as has it, without those that this architecture does not have."""
    tokens = torch.arange(1, 2 * LENGTH + 1, device=model.device).reshape(2, 1, LENGTH)
    found = {}
    from_middle = sorted(range(model.n_blocks), key=lambda block: abs(block - model.n_blocks // 2))
    for point in POINTS:
        site = next((site for block in from_middle if model.has(site := Site(block, point))), None)
        if site is None:
            continue
        base, source = (record(model, ids, [site], tail_from=site.start) for ids in tokens)
        was, value = (recording.activations[site] for recording in (base, source))
        assert base.tail is not None
        with torch.no_grad():
            patched = replay(model, base.tail, {site: value - was}).logits.float().cpu()[0]
        full = run_in_full(model, site, tokens[0, 0].tolist(), LENGTH - 1, was[0], value[0])
        found[site] = float((patched - full).abs().max() / full.abs().max())
    return found


def check_replays(found: Mapping[Site, float], model: Model) -> float:
    """Makes sure that replayed patches are those of full passes.

    Args:
        found: What ``replays`` gives.
        model: The model.

    Returns:
        How far they are off at most.

    Raises:
        InputError: If it is further than its dtype rounds, or nothing can be patched.
    """
    worst = max(found.values(), default=float("inf"))
    if not worst <= allowed_share(model.dtype):
        raise InputError(
            f"this {type(model.bridge.original_model).__name__} will not do: a replayed patch differs from the full "
            f"forward pass by {worst:.1g} of the largest logit"
        )
    return worst
