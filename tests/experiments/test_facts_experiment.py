"""Facts patched and edited (E16), on a small model."""

import numpy as np
import pandas as pd
import pytest
import torch

from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion.core.basis import split
from subspace_illusion.core.edits import covariances, edit_keys, edited, edited_logits
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, mlp_output
from subspace_illusion.errors import InputError
from subspace_illusion.experiments import fact_edits
from subspace_illusion.experiments.fact_directions import (
    ONE,
    SHARED,
    WHOLE_MLP,
    change_along,
    sites_of_blocks,
    spread_over_groups,
)
from subspace_illusion.experiments.fact_edits import (
    EDIT,
    FACT_PATCH,
    PATCH_EDIT,
    SUBSPACE,
    equivalent_subspaces,
    medians,
)
from subspace_illusion.experiments.facts import facts_pairs, facts_tables
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import NULL, ROW, TRAINED
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import DIFFERENT

SITE = Site(1, "mlp.hook_post")
TEXT = torch.randint(1, 500, (6, 30), generator=torch.Generator().manual_seed(3))


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    prompts, pairs = prompts_and_pairs(cases=6, kinds=(DIFFERENT,), position=3)
    split_of = pairs["group"].isin(["case-0", "case-1", "case-2"]).map({True: "train", False: "test"})
    return prompts, pairs.assign(split=split_of)


def test_a_patch_along_the_subspace_writes_what_the_edit_writes(llama):
    generator = torch.Generator().manual_seed(0)
    readout, delta = llama.readout(SITE), torch.randn(5, 64, generator=generator)
    outputs = 0.1 * torch.randn(5, 64, generator=generator) @ readout
    found = equivalent_subspaces(outputs, delta, readout, 1e-5)
    assert found.exact.all()
    torch.testing.assert_close(found.directions.norm(dim=1), torch.ones(5))
    torch.testing.assert_close(change_along(delta, found.directions) @ readout, outputs, atol=1e-4, rtol=1e-3)
    row = split(found.directions.mT, readout, 1e-5).row_vectors.mT
    torch.testing.assert_close(row.norm(dim=1), torch.tensor(found.row_norm).float(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(row / row.norm(dim=1, keepdim=True), found.row, atol=1e-4, rtol=1e-3)


def test_an_edit_that_is_more_than_a_patch_can_do_is_told(llama):
    readout, delta = llama.readout(SITE), torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    assert not equivalent_subspaces(100 * delta @ readout, delta, readout, 1e-5).exact.any()
    with pytest.raises(InputError, match="writes nothing"):
        equivalent_subspaces(torch.zeros(3, 32), delta, readout, 1e-5)


def test_at_the_token_the_edit_adds_exactly_what_was_asked_for(model):
    tokens = torch.randint(1, 500, (4, 8), generator=torch.Generator().manual_seed(2))
    out = mlp_output(1)
    clean = record(model, tokens, [SITE, out], position=3)
    keys = edit_keys(clean.activations[SITE], covariances(model, TEXT, [SITE])[SITE], 1e-3)
    torch.testing.assert_close((clean.activations[SITE] * keys).sum(1), torch.ones(4), atol=1e-3, rtol=0)
    wanted = torch.randn(4, 32, generator=torch.Generator().manual_seed(4))
    wanted = model.centred(out, wanted)
    with edited(model, SITE, keys, wanted):
        changed = record(model, tokens, [out], position=3)
    torch.testing.assert_close(changed.activations[out] - clean.activations[out], wanted, atol=5e-3, rtol=1e-2)
    logits = edited_logits(model, tokens.tolist(), SITE, keys, wanted, batch=3)
    torch.testing.assert_close(logits, changed.logits, atol=1e-4, rtol=1e-4)


def test_an_edit_is_the_same_alone_and_among_others_that_are_done_sooner(llama, monkeypatch):
    pairs = some_pairs(llama, [SITE], 1, kinds=(DIFFERENT,), position=3)
    readout = llama.readout(SITE)
    losses: list[float] = []

    def found(of: Pairs) -> torch.Tensor:
        return fact_edits.find_edits(of, SITE, readout, steps=12, lr=0.3, matmul_dtype="float32", on_step=losses.append)

    monkeypatch.setattr(fact_edits, "ENOUGH", 6.0)
    together, steps_together = found(pairs), len(losses)
    steps = []
    for number in range(len(pairs)):
        losses.clear()
        alone = found(pairs.among(np.arange(len(pairs)) == number))
        steps.append(len(losses))
        torch.testing.assert_close(alone[0], together[number], atol=1e-4, rtol=1e-3)
    assert len(set(steps)) > 2  # some are done sooner than others
    assert max(steps) == steps_together


def test_the_tables_of_all_blocks(llama):
    prompts, pairs = tables()
    sites = sites_of_blocks(llama, SITE, [0, 2])
    train, test = facts_pairs(llama, prompts, pairs, sites, 5, 0)
    assert len(train) == len(test) == 5
    assert len(set(test.groups)) == 3
    covariance = covariances(llama, TEXT, sites)
    shared = dict(shared_steps=2, shared_batch=4, loss="cross_entropy", matmul_dtype="float32")
    settings = shared | dict(
        steps=3, lr=0.1, edit_steps=3, edit_lr=0.1, ridge=1e-3, seed=0, tolerance=1e-5, resamples=100
    )
    patched, edits = facts_tables(prompts, train, test, covariance, **settings)
    keyed = patched.set_index(["block", "what", "subspace"])
    assert set(keyed.index) == {
        (block, what, method)
        for block in (0, 2)
        for what, methods in ((ONE, (TRAINED, ROW, NULL)), (SHARED, (TRAINED, ROW, NULL)), (WHOLE_MLP, (WHOLE_MLP,)))
        for method in methods
    }
    assert keyed.xs(NULL, level="subspace")["effect"].abs().max() < 1e-4
    trained = keyed.xs(TRAINED, level="subspace")
    torch.testing.assert_close(
        torch.tensor((trained["row_norm"] ** 2 + trained["null_norm"] ** 2)[:1].to_numpy()).sqrt() <= 1.001,
        torch.tensor([True]),
    )
    of_edits = edits.set_index(["block", "what"])
    assert of_edits.loc[(0, FACT_PATCH), "effect"] == pytest.approx(keyed.loc[(0, ONE, TRAINED), "effect"], abs=1e-4)
    assert (of_edits.xs(PATCH_EDIT, level="what")["ld_apart"] >= 0).all()
    assert edits["rewrite"].notna().all()
    assert {EDIT, SUBSPACE} <= set(edits["what"])


def test_blocks_that_are_not_there_and_components_that_are_none(llama):
    with pytest.raises(InputError, match=r"facts.blocks: there is no block 9, the model has 0 to 3"):
        sites_of_blocks(llama, SITE, [0, 9])
    with pytest.raises(InputError, match="is none"):
        sites_of_blocks(llama, Site(1, "hook_resid_post"), [0])


def test_pairs_are_of_as_many_groups_as_there_are():
    _, pairs = tables()
    assert spread_over_groups(pairs, 6, 0)["group"].nunique() == 6
    assert len(spread_over_groups(pairs, 100, 0)) == len(pairs)


def test_medians_are_those_of_the_sample():
    values = torch.tensor([5.0, 1.0, 3.0, 100.0]).numpy()
    assert medians(Bootstrap.of([0, 1, 2, 3], 10, 0), values)[0] == 4
    assert medians(Bootstrap.of([0, 1, 2], 10, 0), values[:3])[0] == 3
