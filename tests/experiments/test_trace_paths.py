import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from some_pairs import some_pairs
from subspace_illusion.core.attribution import attention_sites
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.heads import replay_holding
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.experiments.trace_paths import (
    ALL_HEADS,
    ALL_READERS,
    MOVERS,
    PATCH,
    READERS,
    HeadPaths,
    clean_run,
    group_table,
    groups_of,
    head_table,
    of_head,
    trace,
    trace_groups,
    trace_heads,
)
from subspace_illusion.measures.find_readers import MINOR, MOVER, NEGATIVE, OTHER, READER, heads_reached
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import POOLED
from subspace_illusion.tasks.table import DIFFERENT

TOKENS = [torch.randint(1, 500, (4, 9), generator=torch.Generator().manual_seed(i)) for i in (0, 1)]
IO, S = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])


@pytest.mark.parametrize("site", [Site(1, "hook_resid_post"), Site(1, "mlp.hook_post")], ids=["residual", "mlp"])
def test_paths_are_those_of_full_forward_passes(model, site):
    base, source = (record(model, tokens, [site, *attention_sites(model, 1)], tail_from=1) for tokens in TOKENS)
    change = source.activations[site] - base.activations[site]
    heads = heads_reached(4, 4, site)
    groups = {"two": [heads[1], heads[6]], "all": heads, "none": []}
    clean, tail = clean_run(model, site, base.tail)
    replayed = replay(model, tail, {site: change}, attention_sites(model, 2), site.start)
    alone = trace_heads(model, tail, 2, clean, replayed, IO, S)
    together = trace_groups(model, tail, clean, replayed, groups, IO, S)
    patched = record(model, TOKENS[0], attention_sites(model, 2), changes={site: change})
    assert list(alone) == heads
    for head in heads:
        moved = of_head(patched, head, 4) - of_head(base, head, 4)
        by_hand = record(model, TOKENS[0], changes={head: moved})
        assert abs(alone[head].ld - Outcome.of(by_hand.logits, IO, S).ld).max() < 1e-4
    for name, listed in groups.items():
        # Block by block, because a head reacts to those before it: what is still missing is added.
        changes: dict[Site, torch.Tensor] = {}
        for block in (2, 3):
            now = record(model, TOKENS[0], attention_sites(model, 2), changes=changes)
            changes |= {h: of_head(patched, h, 4) - of_head(now, h, 4) for h in listed if h.block == block}
        by_hand = record(model, TOKENS[0], changes=changes)
        assert abs(together[name].ld - Outcome.of(by_hand.logits, IO, S).ld).max() < 1e-4
    np.testing.assert_allclose(together["none"].ld, Outcome.of(base.logits, IO, S).ld, atol=1e-4)
    np.testing.assert_allclose(together[PATCH].ld, Outcome.of(patched.logits, IO, S).ld, atol=1e-4)


def test_all_heads_held_at_the_patched_run_do_not_change_the_patch(model):
    """What they do not carry, the patch does past them: with its own change in place nothing is missing."""
    site = Site(1, "hook_resid_post")
    base, source = (record(model, tokens, [site], tail_from=2) for tokens in TOKENS)
    change = source.activations[site] - base.activations[site]
    patched = replay(model, base.tail, {site: change}, attention_sites(model, 2), 2)
    moved = dataclasses.replace(base.tail, residual={2: base.tail.residual[2] + change[:, None]})
    held = replay_holding(model, moved, {h: of_head(patched, h, 4) for h in heads_reached(4, 4, site)}, 2)
    torch.testing.assert_close(held, patched.logits.cpu(), atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def pairs(llama):
    site = Site(1, "mlp.hook_post")
    return site, some_pairs(llama, [site], 1, kinds=[DIFFERENT])


def test_tracing_every_seed(pairs):
    """The first seed head by head, every seed in groups; in batches as in one go."""
    site, some = pairs
    bases = {seed: random_basis(64, 1, seed) for seed in (3, 1)}
    heads = heads_reached(4, 4, site)
    ticks: list[int] = []
    paths = trace(some, site, bases, {READERS: heads[:2]}, 3, ticks.append)
    assert list(paths.groups) == [3, 1]
    assert sum(ticks) == 2 * len(some)
    assert {name: x.shape for name, x in paths.heads.attribution.items()} == dict.fromkeys(
        ("clean", "patched", "source"), (len(some), 8)
    )
    whole = some.patch(site, {seed: some.along(site, basis) for seed, basis in bases.items()}, 10)
    for seed in bases:
        np.testing.assert_allclose(paths.groups[seed][PATCH].ld, whole[seed].ld, atol=1e-4)
    at_once = trace(some, site, {3: bases[3]}, {READERS: heads[:2]}, 100)
    np.testing.assert_allclose(at_once.groups[3][READERS].ld, paths.groups[3][READERS].ld, atol=1e-4)
    for head in heads:  # none of them of the MLP's own block
        np.testing.assert_allclose(at_once.heads.alone[head].ld, paths.heads.alone[head].ld, atol=1e-4)
        assert head.block > site.block


def test_a_patch_that_changes_nothing_leaves_every_path_alone(pairs):
    site, some = pairs
    same = dataclasses.replace(some, table=some.table.assign(source=some.table["base"]))
    heads = heads_reached(4, 4, site)
    paths = trace(same, site, {0: random_basis(64, 1, 0)}, {ALL_HEADS: heads}, 10)
    for outcome in (*paths.heads.alone.values(), *paths.groups[0].values()):
        np.testing.assert_allclose(outcome.ld[0], some.ld_clean, atol=1e-4)
    torch.testing.assert_close(paths.heads.attribution["patched"], paths.heads.attribution["source"])


def test_groups_are_those_that_were_found():
    heads = [Site(2, "attn.hook_z", head) for head in range(4)]
    found = pd.DataFrame(
        dict(head=["2.1", "2.2", "2.0"], reader=[READER, MINOR, READER], role=[MOVER, OTHER, NEGATIVE])
    )
    groups = groups_of(found, heads)
    assert {name: [head.head for head in listed] for name, listed in groups.items()} == {
        READERS: [0, 1], ALL_READERS: [0, 1, 2], MOVERS: [1], ALL_HEADS: [0, 1, 2, 3],
    }  # fmt: skip


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < 0)


def test_distances_and_shares_by_hand():
    """Head 0 goes all the way to minus the source's attribution, pair by pair; head 1 stays; head 2 goes half."""
    heads = [Site(2, "attn.hook_z", head) for head in range(3)]
    clean = torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])
    source = torch.tensor([[2.0, 2.0, 2.0], [1.0, 1.0, 1.0]])
    patched = torch.tensor([[-2.0, 1.0, -0.5], [-1.0, 3.0, 1.0]])
    paths = HeadPaths(
        dict(clean=clean, patched=patched, source=source),
        {heads[0]: outcome(2, 2), heads[1]: outcome(4, 4), heads[2]: outcome(3, 3)},
    )
    found = pd.DataFrame(dict(head=["2.0"], reader=[READER], role=[MOVER]))
    table = head_table(paths, found, outcome(0, 0), np.full(2, 4.0), np.ones(2), Bootstrap.of([0, 1], 10, 0))
    assert table["distance_left"].tolist() == pytest.approx([0, 1, 0.5])
    assert table["moved"].tolist() == pytest.approx([1, 0, 0.5])
    assert table["share_of_patch"].tolist() == pytest.approx([0.5, 0, 0.25])
    assert table["reader"].tolist() == [READER, OTHER, OTHER]


def test_groups_have_a_row_for_every_seed_and_pooled_rows():
    outcomes = {
        0: {READERS: outcome(2, 2), PATCH: outcome(0, 0)},
        1: {READERS: outcome(4, 4), PATCH: outcome(2, 2)},
    }
    heads = {READERS: [Site(2, "attn.hook_z", 0)]}
    table = group_table(outcomes, heads, np.full(2, 4.0), Bootstrap.of([0, 1], 10, 0))
    assert table["seed"].tolist() == [POOLED, POOLED, "0", "0", "1", "1"]
    assert table["share_of_patch"].tolist() == pytest.approx([1 / 3, 1, 0.5, 1, 0, 1])  # mean effects, not mean shares
    assert table["heads"].tolist() == [1, 0] * 3
