import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion.core.checkpoints import random_model
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.controls import RANDOM_MODEL, RANDOM_MODEL_WHOLE
from subspace_illusion.measures.random_model import random_model_control
from subspace_illusion.subspace.das import train_das
from subspace_illusion.tasks.table import DIFFERENT

SETTINGS = dict(steps=2, batch=4, lr=0.05, loss="cross_entropy")


def test_a_random_model_has_the_architecture_and_not_the_weights(tmp_path):
    tiny.write_folder(tmp_path)
    real = tiny.hf_model("llama", len(tiny.tokenizer()))
    drawn, again, other = (random_model(tmp_path, seed) for seed in (0, 0, 1))
    assert {name: p.shape for name, p in drawn.named_parameters()} == {n: p.shape for n, p in real.named_parameters()}
    (name, weight), *_ = drawn.named_parameters()
    assert torch.equal(weight, dict(again.named_parameters())[name])
    assert not torch.equal(weight, dict(other.named_parameters())[name])
    assert not torch.equal(weight, dict(real.named_parameters())[name])


@pytest.mark.parametrize("site", [Site(1, "mlp.hook_post"), Site(1, "hook_resid_post")])
def test_what_there_was_to_find_stands_beside_what_was_found(llama: Model, site: Site):
    residual = residual_after(site.block)
    pairs = some_pairs(llama, [site, residual], site.start, kinds=[DIFFERENT])
    trained = train_das(llama, site, pairs.examples(site), rank=1, seeds=[0, 1], **SETTINGS)
    rows = random_model_control("x", site, pairs, trained, batch=3).set_index("control")
    assert rows["draws"].to_dict() == {RANDOM_MODEL: 2, RANDOM_MODEL_WHOLE: 1}
    whole = pairs.patch(residual, {0: pairs.along(residual, None)}, batch=8)[0]
    assert rows.loc[RANDOM_MODEL_WHOLE, "effect"] == pytest.approx((pairs.ld_clean - whole.ld[0]).mean(), abs=1e-4)
    assert rows.loc[RANDOM_MODEL_WHOLE, "moved"] == pytest.approx(np.abs(pairs.ld_clean - whole.ld[0]).mean(), abs=1e-4)
    assert rows.loc[RANDOM_MODEL, "ld_clean_sd"] == pytest.approx(pairs.ld_clean.std(), abs=1e-5)
    # Every pair should change, and shares of a clean LD near zero mean nothing.
    assert pd.isna(rows.loc[RANDOM_MODEL, "train_accuracy_keep"])
    assert rows.loc[RANDOM_MODEL, "train_accuracy_change"] >= 0
    assert not [column for column in rows if column.startswith("fldd")]
    # One random model is no sample of them: the range over training seeds, and no interval.
    assert rows.filter(regex="_(lo|hi)$").isna().all(axis=None)
    effects = [
        (pairs.ld_clean - pairs.patch(site, {0: pairs.along(site, basis)}, batch=8)[0].ld[0]).mean()
        for basis in trained.bases
    ]
    ends = rows.loc[RANDOM_MODEL, ["effect_min", "effect_max"]].tolist()
    assert ends == pytest.approx([min(effects), max(effects)], abs=1e-4)


def test_only_the_prompts_of_the_pairs_are_run(llama: Model):
    prompts, table = prompts_and_pairs(kinds=[DIFFERENT])
    pairs = some_pairs(llama, [Site(1, "hook_resid_post")], 2, kinds=[DIFFERENT])
    assert len(prompts) == 16
    run = {*table["base"], *table["source"]}
    assert len(run) == 8
    for number in prompts["prompt"]:
        if number in run:
            assert len(pairs.prompts.tail_lengths([number])) == 1
        else:
            with pytest.raises(KeyError):
                pairs.prompts.tail_lengths([number])
