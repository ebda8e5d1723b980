import numpy as np
import pytest
import torch

from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion.core.activations import cache_shard, finish_cache, sites_of
from subspace_illusion.core.frames import patch_change, random_frame
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site
from subspace_illusion.files import write_table
from subspace_illusion.subspace import pairs as module
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import OPPOSITE, SAME_UNRELATED

SITE, MLP = Site(1, "hook_resid_post"), Site(2, "mlp.hook_post")


def test_recorded_pairs_give_what_the_full_run_gives(model: Model):
    """By hand: every prompt alone, in full, and the patch by a hook in a full forward pass."""
    found = some_pairs(model, [SITE, MLP], 2)
    prompts, table = prompts_and_pairs()
    tokens = [torch.tensor([row]) for row in prompts["tokens"]]
    full = [record(model, row, [SITE, MLP]) for row in tokens]
    for site in (SITE, MLP):
        for get, side in ((found.base, "base"), (found.source, "source")):
            by_hand = torch.cat([full[number].activations[site] for number in table[side]])
            torch.testing.assert_close(get(site), by_hand, atol=1e-4, rtol=1e-4)
    answer, foil = torch.tensor(table["io_id"].tolist()), torch.tensor(table["s_id"].tolist())
    logits = torch.cat([full[number].logits for number in table["base"]])
    np.testing.assert_allclose(found.ld_clean, logit_difference(logits, answer, foil).numpy(), atol=1e-4)
    assert torch.equal(found.answer, answer)
    assert found.groups.tolist() == table["case"].tolist()

    for site in (SITE, MLP):
        frame = random_frame(model.width(site), 1, 0)
        patched = found.patch(site, {"v": found.along(site, frame)}, batch=5)["v"]
        change = patch_change(found.base(site), found.source(site), frame)
        rows = [
            record(model, tokens[number], changes={site: change[place : place + 1]}).logits
            for place, number in enumerate(table["base"])
        ]
        by_hand = logit_difference(torch.cat(rows), answer, foil)
        np.testing.assert_allclose(patched.ld[0], by_hand.numpy(), atol=1e-3)


def test_the_tail_of_the_sources_is_theirs(llama: Model):
    found = some_pairs(llama, [SITE], 2)
    rows = torch.tensor([3, 0])
    for of_sources, get in ((False, found.base), (True, found.source)):
        tail = found.tail(2, of_sources)(rows)
        torch.testing.assert_close(tail.residual[2], get(SITE)[rows])


def test_examples_want_the_foil_where_the_value_changes(llama: Model):
    found = some_pairs(llama, [SITE], 2)
    examples = found.examples(SITE)
    same = torch.tensor((found.table["kind"] == SAME_UNRELATED).tolist())
    assert torch.equal(examples.changes, ~same)
    assert torch.equal(examples.target_id, torch.where(same, found.answer, found.foil))
    assert torch.equal(examples.target_id + examples.other_id, found.answer + found.foil)


@pytest.mark.parametrize("most", [None, 3])
def test_pairs_from_the_cache_are_those_from_memory(llama: Model, tmp_path, monkeypatch, most):
    prompts, table = prompts_and_pairs()
    table = table.assign(split=["train" if case == "case-0" else "test" for case in table["case"]])
    asked = table.drop_duplicates("base").set_index("base")[["io_id", "s_id"]].astype(int)
    prompts = prompts.join(asked, on="prompt").assign(is_base=prompts["prompt"].isin(asked.index))
    prompts = prompts.fillna(dict(io_id=0, s_id=0)).astype(dict(io_id=int, s_id=int))
    prompts["end"] = prompts["tokens"].map(len) - 1
    shards = [shard for _, shard in prompts.groupby(["end", "is_base"])]
    index = [cache_shard(tmp_path, str(i), llama, shard, sites_of(SITE), 2) for i, shard in enumerate(shards)]
    finish_cache(tmp_path, llama, dict(x=SITE), index)
    write_table(tmp_path / "pairs.parquet", table)
    monkeypatch.setattr(module, "ACTIVATIONS", tmp_path)
    monkeypatch.setattr(module, "PAIRS", tmp_path / "pairs.parquet")
    cached = cached_pairs(llama, "test", OPPOSITE, SAME_UNRELATED, most=most)
    memory = some_pairs(llama, [SITE], 2)
    wanted = memory.table[(memory.table["case"] != "case-0") & memory.table["kind"].isin([OPPOSITE, SAME_UNRELATED])]
    places = wanted.index[:most].tolist()
    assert cached.table["pair"].tolist() == memory.table["pair"].iloc[places].tolist()
    np.testing.assert_allclose(cached.ld_clean, memory.ld_clean[places], atol=1e-5)
    torch.testing.assert_close(cached.source(SITE), memory.source(SITE)[places])
    of_cached = cached.patch(SITE, {"whole": cached.along(SITE, None)}, batch=2)["whole"]
    of_memory = memory.patch(SITE, {"whole": memory.along(SITE, None)}, batch=4)["whole"]
    np.testing.assert_allclose(of_cached.ld, of_memory.ld[:, places], atol=1e-4)
