import torch

from subspace_illusion.core.attribution import attention_sites
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site
from subspace_illusion.experiments.paths import Paths, heads_from, patch_paths, taken_from

TOKENS = [torch.randint(1, 500, (4, 9), generator=torch.Generator().manual_seed(i)) for i in (0, 1)]
IO, S = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 6, 7, 8])
SITE = Site(1, "hook_resid_post")


def test_paths_are_those_of_full_forward_passes(model):
    base, source = (record(model, tokens, [SITE, *attention_sites(model, 2)], tail_from=2) for tokens in TOKENS)
    change = source.activations[SITE] - base.activations[SITE]
    heads = heads_from(model, 2)
    groups = {"two": [heads[1], heads[6]], "all": heads}
    paths = patch_paths(model, SITE, change, base.tail, source.tail, IO, S, groups)
    patched = record(model, TOKENS[0], attention_sites(model, 2), changes={SITE: change})

    def moved(head: Site) -> torch.Tensor:
        z = Site(head.block, head.point)
        difference = patched.activations[z] - base.activations[z]
        return difference.unflatten(1, (4, -1))[:, head.head]

    for head in heads:
        alone = record(model, TOKENS[0], changes={head: moved(head)})
        assert abs(paths.heads[head].ld - Outcome.of(alone.logits, IO, S).ld).max() < 1e-4
    for name, listed in groups.items():
        changes = taken_from(model, base.tail, 2, listed, patched)
        together = record(model, TOKENS[0], attention_sites(model, 2), changes=changes)
        assert abs(paths.groups[name].ld - Outcome.of(together.logits, IO, S).ld).max() < 1e-4
        # The heads have the patched run's outputs, also those that the other heads' changes have moved.
        for head in listed:
            z = Site(head.block, head.point)
            now, wanted = (run.activations[z].unflatten(1, (4, -1))[:, head.head] for run in (together, patched))
            torch.testing.assert_close(now, wanted, atol=1e-4, rtol=1e-4)
    assert abs(paths.whole.ld - Outcome.of(patched.logits, IO, S).ld).max() < 1e-4
    assert {run: shares.shape for run, shares in paths.attribution.items()} == dict.fromkeys(
        ("clean", "patched", "source"), (4, len(heads))
    )
    joined = Paths.joined([paths, paths])
    assert joined.whole.ld.shape == joined.groups["two"].ld.shape == (1, 8)
    assert joined.attribution["clean"].shape == (8, len(heads))


def test_a_patch_that_changes_nothing_leaves_every_path_alone(llama):
    base = record(llama, TOKENS[0], tail_from=2)
    paths = patch_paths(llama, SITE, torch.zeros(4, 32), base.tail, base.tail, IO, S, {})
    clean = Outcome.of(base.logits, IO, S).ld
    assert max(abs(outcome.ld - clean).max() for outcome in paths.heads.values()) < 1e-4
    torch.testing.assert_close(paths.attribution["patched"], paths.attribution["source"])
