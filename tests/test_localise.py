import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.localise import block_sites, find_window, localise, patch_whole


@pytest.mark.parametrize(
    ("effects", "parallel", "writes", "reads", "mlps"),
    [
        ([0.0, 0.1, 3.0, 3.1, 0.2, 0.0], False, 2, 4, [2, 3]),
        ([0.0, 0.1, 3.0, 3.1, 0.2, 0.0], True, 2, 4, [3]),
        ([2.0, 0.0], False, 0, 1, [0]),
    ],
)
def test_the_window_lies_between_the_steepest_rise_and_the_steepest_fall(effects, parallel, writes, reads, mlps):
    window = find_window(effects, parallel)
    assert (window.writes, window.reads, window.mlps) == (writes, reads, mlps)


def test_one_block_has_no_window():
    with pytest.raises(InputError, match="one block"):
        find_window([1.0], False)


def test_components_are_patched_as_by_full_forward_passes(model):
    base, source = (torch.randint(1, 500, (3, 7), generator=torch.Generator().manual_seed(i)) for i in (0, 1))
    io, s = torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])
    outcomes = patch_whole(model, base, source, io, s)
    sites = [site for block in range(4) for site in block_sites(block, 4)]
    assert list(outcomes) == sites
    before, after = record(model, base, sites), record(model, source, sites)
    for site in sites:
        change = after.activations[site] - before.activations[site]
        expected = Outcome.of(record(model, base, changes={site: change}).logits, io, s)
        assert abs(outcomes[site].ld - expected.ld).max() < 1e-4


def test_patching_the_last_residual_gives_the_source(llama):
    base, source = (torch.randint(1, 500, (2, 6), generator=torch.Generator().manual_seed(i)) for i in (2, 3))
    io, s = torch.tensor([1, 2]), torch.tensor([4, 5])
    outcomes = patch_whole(llama, base, source, io, s)
    clean = Outcome.of(record(llama, source).logits, io, s)
    assert abs(outcomes[residual_after(3)].ld - clean.ld).max() < 1e-4


def test_tiny_models_are_the_same_every_time():
    a, b = (tiny.hf_model("neox", 50).state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_table_has_a_row_a_component_and_its_pairs_in_any_order(llama):
    tokens = {0: [5, 6, 7, 8], 1: [9, 6, 7, 8], 2: [5, 6, 7, 8, 9, 10], 3: [4, 6, 7, 8, 9, 10]}
    prompts = pd.DataFrame(dict(prompt=list(tokens), tokens=list(tokens.values())))
    rows = [(2, 3, "b"), (0, 1, "a"), (3, 2, "b"), (1, 0, "a")]
    pairs = pd.DataFrame([dict(base=b, source=s, case=case, io_id=1, s_id=2) for b, s, case in rows])
    ld = pd.Series(
        {n: float(record(llama, torch.tensor([t])).logits[0, [1, 2]].diff().neg()) for n, t in tokens.items()}
    )
    found = localise(llama, prompts, pairs, ld, batch=1, resamples=100, seed=0)
    assert len(found) == 4 * (4 + llama.n_heads)
    # The last residual stream gives each pair its source's LD, and the sources are the bases in another order.
    last = found[found["site"] == residual_after(3).name].iloc[0]
    assert abs(last["effect"]) < 1e-4
    assert abs(last["ld_clean"] - ld.mean()) < 1e-5
    again = localise(llama, prompts, pairs.iloc[::-1], ld, batch=4, resamples=100, seed=0)
    assert abs(again["effect"] - found["effect"]).max() < 1e-4
