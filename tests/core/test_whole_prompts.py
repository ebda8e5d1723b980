"""Models in which not every block keeps keys and values: their tails are whole prompts, and all else is the same."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from test_activations import cached_in, prompts_of

import tiny
from architectures import small_model
from some_pairs import prompts_and_pairs
from subspace_illusion import audit
from subspace_illusion.auditing import call, component
from subspace_illusion.auditing.fitness import replays
from subspace_illusion.auditing.settings import Das
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import how_blocks_run
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sampling import sample_text
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.measures.localise import patch_tokens, swaps_of
from subspace_illusion.subspace.das import train_das
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs

STREAM, HIDDEN = Site(1, "hook_resid_post"), Site(2, "mlp.hook_post")


@pytest.fixture(scope="module")
def whole(llama: Model) -> Model:
    """A model that could do with less, for comparison."""
    return replace(llama, whole_prompts=True)


@pytest.fixture(scope="module")
def hybrid() -> Model:
    return small_model("Qwen3.5")


def read_at_many(model: Model, span: str = "last") -> Pairs:
    """Prompts of several lengths, read at several tokens."""
    prompts, table = prompts_and_pairs()
    prompts["position"] = [2, 4, 6, 1] * 4
    prompts["span"] = [2, 1, 3, 1] * 4
    return recorded_pairs(model, prompts, table, [STREAM, HIDDEN], 1, batch=3, span=span)


@pytest.mark.parametrize("span", ["last", "mean"])
def test_figures_are_those_of_tails_that_begin_at_the_position(llama, whole, span):
    of_tails, of_prompts = (read_at_many(model, span) for model in (llama, whole))
    for site in (STREAM, HIDDEN):
        torch.testing.assert_close(of_tails.base(site), of_prompts.base(site), atol=1e-5, rtol=1e-5)
        patched = [pairs.patch(site, {0: pairs.along(site, None)}, batch=5)[0].ld for pairs in (of_tails, of_prompts)]
        np.testing.assert_allclose(*patched, atol=1e-4)
        assert np.abs(patched[0] - of_tails.ld_clean).max() > 1e-2
        trained = [
            train_das(
                pairs.model,
                site,
                pairs.examples(site),
                rank=1,
                seeds=[0],
                steps=3,
                batch=8,
                lr=0.1,
                loss="cross_entropy",
            ).bases
            for pairs in (of_tails, of_prompts)
        ]
        torch.testing.assert_close(*trained, atol=1e-3, rtol=1e-3)


def test_tokens_are_patched_where_they_stand(llama, whole):
    prompts, table = prompts_and_pairs()
    prompts["position"] = [2, 4, 6, 1] * 4
    answer, foil = (torch.tensor(table[name].tolist()) for name in ("answer_id", "foil_id"))
    for rows in swaps_of(prompts, table).values():
        at = torch.tensor(list(rows))
        of_each = [patch_tokens(model, [*rows.values()], answer[at], foil[at]) for model in (llama, whole)]
        for one, other in zip(*of_each, strict=True):
            np.testing.assert_allclose(one.ld, other.ld, atol=1e-4)


def test_the_cache_on_disk_holds_whole_prompts(tmp_path, whole):
    prompts = prompts_of((6, 6, 9, 6, 6), (2, 4, 8, 2, 4))
    cached = cached_in(tmp_path, whole, prompts, dict(mlp2=HIDDEN), 64)
    tail = cached.tail(2, [2, 0, 1])
    assert tail.lengths.tolist() == [9, 6, 6]
    assert tail.positions.tolist() == [0, 0, 0]
    assert tail.read_at.tolist() == [8, 2, 4]
    assert tail.tokens[1, :6].tolist() == prompts["tokens"][0]
    assert tail.residual[2].shape[1] == 9
    assert cached.tail_lengths([2, 0]).tolist() == [9, 6]


def test_a_hybrid_model_is_audited(hybrid, monkeypatch, capsys):
    assert hybrid.whole_prompts
    monkeypatch.setattr(call, "LONGEST_PLANTING", float("inf"))
    monkeypatch.setattr(component, "DOSES", (0.0, 1.0))
    monkeypatch.setattr(component, "MIXTURES", 1)
    settings = dict(filter_incorrect=False, resamples=100, controls=False, das=Das(steps=3, batch=8), progress=True)
    found = audit(hybrid, pd.read_csv(tiny.EXAMPLE)[:24], STREAM.name, **settings)
    assert found.proof.replay < 1e-4
    assert [*found.remarks.values()] == ["readers are left out: block 2 has no heads"]
    assert {"training", "planted"} <= found.tables.keys()
    assert "every patch runs the whole prompt" in capsys.readouterr().out


def test_tokens_of_a_span_from_each_its_own_are_refused(hybrid):
    with pytest.raises(InputError, match=r"^span is all, but not every block .* take mean, or last$"):
        read_at_many(hybrid, "all")


def test_a_block_without_attention_has_no_stream_between(hybrid):
    hybrid.check(Site(1, "hook_resid_mid"))
    with pytest.raises(InputError, match=r"can be read and not changed: that takes blocks\.2\.hook_attn_out"):
        hybrid.check(Site(2, "hook_resid_mid"))


def test_tokens_that_later_blocks_read_again_are_their_own(tmp_path):
    """Per-layer embeddings, of Gemma 4 for one: a tail's tokens are run with it, also from disk."""
    model, at = small_model("Gemma-4"), (2, 4, 8, 2, 4)
    assert not model.whole_prompts
    prompts = prompts_of((6, 6, 9, 6, 6), at)
    cached = cached_in(tmp_path, model, prompts, dict(mlp2=HIDDEN), 64)
    change = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    replayed = replay(model, cached.tail(2, range(5)), {HIDDEN: change}).logits
    for row, tokens in enumerate(prompts["tokens"]):
        full = record(model, torch.tensor([tokens]), changes={HIDDEN: change[row : row + 1]}, position=at[row])
        torch.testing.assert_close(replayed[row : row + 1], full.logits, atol=1e-4, rtol=1e-4)


def test_what_would_not_arrive_as_it_is_put_in_is_refused():
    """Falcon-H1 multiplies what attention gives, and RWKV halves its stream, before the next part reads it."""
    for name, site, said in (
        (
            "Falcon-H1, with factors",
            "blocks.1.hook_resid_mid",
            "at blocks.1.hook_attn_out does not arrive",
        ),
        ("RWKV", "blocks.2.hook_resid_pre", "which a replay begins with; take blocks.1.hook_resid_post"),
    ):
        model = small_model(name)
        with pytest.raises(InputError, match=said):
            model.check(Site.parse(site))
        model.check(Site(1, "hook_resid_post"))


def test_a_run_that_fails_for_want_of_memory_says_nothing_of_the_model(llama, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(type(llama.bridge.original_model), "forward", full)
    with pytest.raises(InputError, match="no room"):
        how_blocks_run(llama.bridge, tiny.CPU)


def test_text_is_sampled_from_whole_prompts_alike(llama, whole):
    assert torch.equal(sample_text(llama, 3, 6, seed=0), sample_text(whole, 3, 6, seed=0))


def test_a_fit_model_is_tried_where_it_has_each_kind_of_component(hybrid):
    assert Site(1, "attn.hook_z") in replays(hybrid)
    assert Site(2, "mlp.hook_post") in replays(hybrid)
