import numpy as np
import pytest
import torch

from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion.core.activations import cache_shard, finish_cache, shards_of, sites_of, with_clean
from subspace_illusion.core.basis import patch_change, random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.pairs import cached_pairs, kept_pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT, SAME, replayed

SITE, MLP = Site(1, "hook_resid_post"), Site(2, "mlp.hook_post")


@pytest.mark.parametrize("position", [None, 3], ids=["END", "before END"])
def test_recorded_pairs_give_what_the_full_run_gives(model: Model, position: int | None):
    """By hand: every prompt alone, in full, and the patch by a hook in a full forward pass."""
    found = some_pairs(model, [SITE, MLP], 2, position=position)
    prompts, table = prompts_and_pairs(position=position)
    tokens = [torch.tensor([row]) for row in prompts["tokens"]]
    full = [record(model, row, [SITE, MLP], position=position) for row in tokens]
    for site in (SITE, MLP):
        for get, side in ((found.base, "base"), (found.source, "source")):
            by_hand = torch.cat([full[number].activations[site] for number in table[side]])
            torch.testing.assert_close(get(site), by_hand, atol=1e-4, rtol=1e-4)
    answer, foil = torch.tensor(table["answer_id"].tolist()), torch.tensor(table["foil_id"].tolist())
    logits = torch.cat([full[number].logits for number in table["base"]])
    np.testing.assert_allclose(found.ld_clean, logit_difference(logits, answer, foil).numpy(), atol=1e-4)
    assert torch.equal(found.answer, answer)
    assert torch.equal(found.foil, foil)
    assert found.groups.tolist() == table["group"].tolist()

    for site in (SITE, MLP):
        for basis in (random_basis(model.width(site), 1, 0), None):
            patched = found.patch(site, {"v": found.along(site, basis)}, batch=5)["v"]
            change = patch_change(found.base(site), found.source(site), basis)
            rows = [
                record(model, tokens[number], changes={site: change[place : place + 1]}, position=position).logits
                for place, number in enumerate(table["base"])
            ]
            by_hand = logit_difference(torch.cat(rows), answer, foil)
            np.testing.assert_allclose(patched.ld[0], by_hand.numpy(), atol=1e-4)
        assert np.abs(patched.ld[0] - found.ld_clean).max() > 1e-2  # the patch does something


def test_the_likeliest_token_need_not_be_asked_for(llama: Model):
    found = some_pairs(llama, [MLP], 2)
    rows = torch.arange(len(found))
    patched = replay(llama, found.tail(2)(rows), {MLP: found.along(MLP, None)(rows)}).logits
    found.table["foil_id"] = patched.argmax(1).tolist()
    asked, alone = (found.patch(MLP, {0: found.along(MLP, None)}, 5, top1=top1)[0] for top1 in (True, False))
    assert asked.top1_foil.all()
    np.testing.assert_allclose(alone.ld, asked.ld, atol=1e-5)
    assert not alone.top1_foil.any()


def test_patches_of_pairs_that_are_read_at_different_tokens(llama: Model):
    """Base and source need not have one position, nor the pairs."""
    prompts, table = prompts_and_pairs()
    prompts["position"] = [2, 4, 6, 1] * 4
    found = recorded_pairs(llama, prompts, table, [MLP], 2, batch=3)
    patched = found.patch(MLP, {0: found.along(MLP, None)}, batch=5)[0]
    tokens, at = prompts["tokens"], prompts["position"]
    x = [
        record(llama, torch.tensor([row]), [MLP], position=p).activations[MLP]
        for row, p in zip(tokens, at, strict=True)
    ]
    rows = [
        record(llama, torch.tensor([tokens[base]]), changes={MLP: x[source] - x[base]}, position=at[base]).logits
        for base, source in zip(table["base"], table["source"], strict=True)
    ]
    by_hand = logit_difference(torch.cat(rows), found.answer, found.foil)
    np.testing.assert_allclose(patched.ld[0], by_hand.numpy(), atol=1e-4)
    tails = prompts["end"] - at + 1
    assert found.tokens == pytest.approx(tails[table["base"]].mean())


@pytest.mark.parametrize("position", [None, 3])
def test_the_tail_of_the_sources_is_theirs(llama: Model, position: int | None):
    found = some_pairs(llama, [SITE], 2, position=position)
    rows = torch.tensor([3, 0])
    for of_sources, get in ((False, found.base), (True, found.source)):
        tail = found.tail(2, of_sources)(rows)
        torch.testing.assert_close(tail.residual[2][:, 0], get(SITE)[rows])


def test_examples_want_the_foil_where_the_value_changes(llama: Model):
    found = some_pairs(llama, [SITE], 2)
    examples = found.examples(SITE)
    same = torch.tensor((found.table["kind"] == SAME).tolist())
    assert torch.equal(examples.changes, ~same)
    assert torch.equal(examples.target_id, torch.where(same, found.answer, found.foil))
    assert torch.equal(examples.target_id + examples.other_id, found.answer + found.foil)


@pytest.mark.parametrize("position", [None, 3], ids=["END", "before END"])
@pytest.mark.parametrize("most", [None, 3])
def test_pairs_from_the_cache_are_those_from_memory(llama: Model, tmp_path, most, position):
    prompts, table = prompts_and_pairs(position=position)
    table = table.assign(split=["train" if group == "case-0" else "test" for group in table["group"]])
    prompts = prompts.assign(has_tail=prompts["prompt"].isin(replayed(table)))
    made = [
        cache_shard(tmp_path, str(i), llama, shard, table, [SITE], sites_of(SITE))
        for i, shard in enumerate(shards_of(prompts, 3))
    ]
    index, clean = zip(*made, strict=True)
    left_out = int(table.loc[(table["group"] == "case-2") & (table["kind"] == SAME), "pair"].iloc[0])
    marked = with_clean(table, clean).assign(right=True, kept=lambda pairs: pairs["pair"] != left_out)
    finish_cache(tmp_path, llama, dict(x=SITE), index, marked)
    assert kept_pairs(tmp_path)["pair"].tolist() == [pair for pair in table["pair"] if pair != left_out]

    cached = cached_pairs(llama, tmp_path, "test", DIFFERENT, SAME, most=most)
    memory = some_pairs(llama, [SITE], 2, position=position)
    wanted = memory.table[(memory.table["group"] != "case-0") & memory.table["kind"].isin([DIFFERENT, SAME])]
    places = [place for place in wanted.index if place != left_out][:most]
    assert cached.table["pair"].tolist() == memory.table["pair"].iloc[places].tolist()
    np.testing.assert_allclose(cached.ld_clean, memory.ld_clean[places], atol=1e-5)
    torch.testing.assert_close(cached.source(SITE), memory.source(SITE)[places])
    of_cached = cached.patch(SITE, {"whole": cached.along(SITE, None)}, batch=2)["whole"]
    of_memory = memory.patch(SITE, {"whole": memory.along(SITE, None)}, batch=4)["whole"]
    np.testing.assert_allclose(of_cached.ld, of_memory.ld[:, places], atol=1e-4)
    bases = prompts.set_index("prompt").loc[cached.base_prompts]
    assert cached.tokens == pytest.approx((1 + bases["end"] - bases["position"]).mean())


def test_the_clean_ld_of_both_prompts_of_a_pair(llama: Model, tmp_path):
    """In terms of the base's answer and foil, whichever shards the two prompts are in."""
    prompts, table = prompts_and_pairs()
    prompts = prompts.assign(has_tail=prompts["prompt"].isin(replayed(table)))
    shards = [prompts.iloc[[place]] for place in torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    clean = [cache_shard(tmp_path, str(i), llama, s, table, [SITE], [SITE])[1] for i, s in enumerate(shards)]
    found = with_clean(table, clean)
    assert found["pair"].tolist() == table["pair"].tolist()
    logits = torch.cat([record(llama, torch.tensor([row])).logits for row in prompts["tokens"]])
    answer, foil = (torch.tensor(table[name].tolist()) for name in ("answer_id", "foil_id"))
    for side, column in (("base", "ld"), ("source", "ld_source")):
        by_hand = logit_difference(logits[table[side].tolist()], answer, foil)
        np.testing.assert_allclose(found[column], by_hand.numpy(), atol=1e-4)


def test_pairs_of_different_values_and_rows_of_any_shape(llama: Model):
    found = some_pairs(llama, [SITE], 2)
    assert len(found.different) == (found.table["kind"] != SAME).sum()
    assert not (found.different.table["kind"] == SAME).any()
    index = torch.tensor([[1, 0, 1], [2, 2, 0]])
    for read, whole in zip(found.ends(SITE), (found.base(SITE), found.source(SITE)), strict=True):
        torch.testing.assert_close(read[index], whole[index])
