"""DAS again, within what acts."""

import pandas as pd
import pytest
import torch

import made
from some_pairs import some_pairs
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effects import Subspaces
from subspace_illusion.measures.own_difference import own_difference, what_acts
from subspace_illusion.report.sections.repair import section
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.tasks.table import DIFFERENT
from subspace_illusion.verdict.repair import see_repair, trained_within

HOOK = "blocks.1.mlp.hook_post"


@pytest.mark.parametrize(("rank", "found"), [(1, 1), (2, 2), (3, 2)])
def test_what_is_trained_again_lies_in_what_acts(llama, rank, found):
    site = Site.parse(HOOK)
    pairs = some_pairs(llama, [site], site.start, kinds=[DIFFERENT])
    acts = random_basis(64, 2, 3)
    steps = []
    learning = dict(steps=2, batch=4, lr=0.02, loss="cross_entropy")
    bases = trained_within(pairs, site, acts, rank=rank, seeds=(0, 1), on_step=steps.append, **learning)
    assert len(steps) == 2
    assert sorted(key.seed for key in bases if key.is_trained) == [0, 1]
    assert len(bases) == 2 * (1 if found == 1 else 1 + found)
    for key, basis in bases.items():
        assert basis.shape == (64, 1 if key.axis else found)
        torch.testing.assert_close(basis.mT @ basis, torch.eye(basis.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(acts @ (acts.mT @ basis), basis, atol=1e-5, rtol=0)


def test_what_a_repair_does_is_its_components_own_as_far_as_it_goes_one_way(llama):
    """Along the own difference itself the patch is the own difference: all of its effect goes through it."""
    site = Site.parse(HOOK)
    pairs = some_pairs(llama, [site, Site.parse("blocks.1.hook_resid_post")], site.start, kinds=[DIFFERENT])
    component = Component.of(pairs, site)
    acts = what_acts(component, 1e-5, 4)
    own = own_difference(component, acts)
    key, draws = SubspaceKey(TRAINED, seed=0), dict(resamples=100, seed=0, batch=4, tolerance=1e-5)
    seen = see_repair(pairs, pairs, Subspaces(site, {key: own}, llama.readout(site), 1), acts, **draws)
    assert list(seen) == [key.pooled]
    assert seen[key.pooled].own[0] == pytest.approx(1)


def test_the_section_says_what_was_found(tmp_path):
    about = dict(component=made.V_MLP, subspace=TRAINED, verdict="faithful", reason="", level=0.8, planted=40)
    measures = {f"{name}{end}": value for name, value in (("fldd", 0.3), ("whole", 0.4)) for end in ("", "_lo", "_hi")}
    table = pd.DataFrame([about | measures | dict(share=0.9, share_lo=0.7, share_hi=1.0)])
    experiments = made.EXPERIMENTS | dict(repair=(made.V_MLP,))
    (found,) = section(made.results(tmp_path, {"repairs.csv": table}, experiments=experiments))
    assert found.answer == "Of the clean LD, what it finds takes off 0.30 in mlp8 (faithful)."
    (row,) = found.grids[0].rows
    assert row[:2] == [made.V_MLP, TRAINED]
    assert row[-3:] == ["90 % [70, 100]", "80%", "faithful"]
