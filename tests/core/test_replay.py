"""The replay is the full forward pass: for every architecture, site, length and batch, forward and backward."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from subspace_illusion.core.model import Model
from subspace_illusion.core.on_device import groups, replaying
from subspace_illusion.core.replay import _at_end, record, record_all, replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.core.tail import PADDED, Tail, alike
from subspace_illusion.errors import InputError

TOLERANCE = 1e-4
some_examples = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def all_sites(model: Model) -> list[Site]:
    """Every site of the model, single heads included, in an order of its own."""
    sites = []
    for name in sorted(model._probe):
        if name.startswith("blocks."):
            _, block, point = name.split(".", 2)
            for head in (None, 0, 3):
                site = Site(int(block), point, head)
                try:
                    model.check(site)
                except InputError:
                    continue
                sites.append(site)
    return sites


def prompts(length: int, n: int, seed: int) -> torch.Tensor:
    return torch.randint(1, 500, (n, length), generator=torch.Generator().manual_seed(seed))


@some_examples
@given(data=st.data())
def test_replay_equals_the_full_forward_with_hooks(model, data):
    """Whatever the site, the token that is changed and those that are run again, in prompts of mixed length."""
    site = data.draw(st.sampled_from(all_sites(model)), label="site")
    site = site.end if data.draw(st.booleans(), label="at END") else site
    lengths = data.draw(st.lists(st.integers(2, 14), min_size=1, max_size=3), label="lengths")
    positions = [data.draw(st.integers(0, length - 1), label="position") for length in lengths]
    seed = data.draw(st.integers(0, 1000), label="seed")
    start = data.draw(st.integers(0, site.block), label="start")
    tokens = [prompts(length, 2, seed + i) for i, length in enumerate(lengths)]
    change = torch.randn(2 * len(lengths), model.width(site), generator=torch.Generator().manual_seed(seed))

    laid_out = list(zip(tokens, positions, change.split(2), strict=True))
    expected = [record(model, batch, changes={site: of_batch}, position=at) for batch, at, of_batch in laid_out]
    tail = Tail.cat([record(model, batch, tail_from=start, position=at).tail for batch, at, _ in laid_out])
    for begin in {start, site.start}:
        if begin >= start:
            with torch.no_grad():
                got = replay(model, tail, {site: change}, start=begin).logits
            logits = torch.cat([recording.logits for recording in expected])
            torch.testing.assert_close(got, logits, atol=TOLERANCE, rtol=0)


def test_rows_may_be_chosen_and_repeated(model):
    tail = Tail.cat([record(model, prompts(n, 3, n), tail_from=1, position=n // 2).tail for n in (5, 9)])
    site = Site(2, "hook_mlp_out")
    change = torch.randn(6, model.width(site), generator=torch.Generator().manual_seed(0))
    index = torch.tensor([4, 0, 4])
    with torch.no_grad():
        whole = replay(model, tail, {site: change}).logits
        some = replay(model, tail.rows(index), {site: change[index]}).logits
    torch.testing.assert_close(some, whole[index], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("position", [3, 7])
def test_several_changes_at_once_and_what_is_read(model, position):
    tokens = prompts(8, 3, 1)
    first, second, last = Site(1, "mlp.hook_post"), Site(2, "attn.hook_z", 2).end, residual_after(3)
    read = [first, last, last.end]
    changes = {site: torch.randn(3, model.width(site)) for site in (first, second)}
    full = record(model, tokens, read, changes=changes, position=position)
    tail = record(model, tokens, tail_from=0, position=position).tail
    with torch.no_grad():
        tailored = replay(model, tail, changes, read=read)
    torch.testing.assert_close(tailored.logits, full.logits, atol=TOLERANCE, rtol=0)
    for site in read:
        torch.testing.assert_close(tailored.activations[site], full.activations[site], atol=TOLERANCE, rtol=0)


def test_the_residual_stream_of_a_whole_tail_can_be_read_and_replayed_from(model):
    tokens = prompts(9, 2, 6)
    tail = record(model, tokens, tail_from=1, position=4).tail
    with torch.no_grad():
        clean = replay(model, tail, {}, start=1, entering=[2, 3])
        later = replay(model, replace(tail, residual=dict(clean.entering)), {}, start=3)
    torch.testing.assert_close(later.logits, clean.logits, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(clean.entering[2], tail.residual[2], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("start", [0, 1])
def test_blocks_that_nobody_reads_need_not_run(model, start):
    tokens, site, read = prompts(8, 3, 1), Site(start, "mlp.hook_post"), residual_after(start + 1)
    tail = record(model, tokens, tail_from=start, position=4).tail
    change = torch.randn(3, model.width(site), generator=torch.Generator().manual_seed(0))
    ran = []
    handle = model.bridge.blocks[start + 2].mlp.register_forward_hook(lambda *args: ran.append(args))
    with torch.no_grad():
        whole, short = (
            replay(model, tail, {site: change}, [read], until=until).activations[read] for until in (None, start + 2)
        )
    handle.remove()
    assert torch.equal(short, whole)
    assert len(ran) == 1


def test_the_last_mlp_runs_end_alone_unless_more_of_its_block_is_asked_for(model):
    tokens, last = prompts(8, 3, 1), residual_after(model.n_blocks - 1)
    site = Site(1, "mlp.hook_post")
    full = record(model, tokens, [last], tail_from=1, position=4)
    given, nothing = [], {site: torch.zeros(3, model.width(site))}
    handle = model.bridge.blocks[-1].mlp.register_forward_hook(lambda mlp, args, output: given.append(args[0].shape[1]))
    with torch.no_grad():
        alone, read = replay(model, full.tail, nothing), replay(model, full.tail, nothing, [last])
        streams = replay(model, full.tail, nothing, entering=[model.n_blocks])
    handle.remove()
    assert given == [1, 4, 4]
    for run in (alone, read, streams):
        torch.testing.assert_close(run.logits, full.logits, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(read.activations[last], full.activations[last], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(streams.entering[model.n_blocks], full.tail.residual[model.n_blocks], atol=1e-3, rtol=0)


def test_gradient_equals_that_of_the_full_forward(model):
    site, tokens = Site(1, "mlp.hook_post"), prompts(9, 3, 2)
    weights = torch.randn(3, model.bridge.cfg.d_vocab)
    change = torch.randn(3, model.width(site), requires_grad=True)

    def full(activation, hook):
        return torch.cat([activation[:, :4], activation[:, 4:5] + change[:, None], activation[:, 5:]], 1)

    with model.bridge.hooks(fwd_hooks=[(site.hook, full)]):
        logits = model.bridge.original_model(input_ids=tokens).logits[:, -1]
    (expected,) = torch.autograd.grad((logits * weights).sum(), change)
    tail = record(model, tokens, tail_from=1, position=4).tail
    (got,) = torch.autograd.grad((replay(model, tail, {site: change}).logits * weights).sum(), change)
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-3)


def test_a_change_between_attention_and_mlp_reaches_the_skip_connection(llama):
    site, tokens = Site(1, "hook_resid_mid"), prompts(6, 2, 3)
    after, mlp = residual_after(1), Site(1, "hook_mlp_out")
    clean = record(llama, tokens, [site])
    change = torch.randn(2, 32)
    changed = record(llama, tokens, [site, mlp, after], changes={site: change})
    torch.testing.assert_close(changed.activations[site], clean.activations[site] + change)
    skip = changed.activations[after] - changed.activations[mlp]
    torch.testing.assert_close(skip, clean.activations[site] + change, atol=1e-5, rtol=0)


def test_the_model_is_left_as_it_was(model):
    tokens = prompts(7, 2, 4)
    before = record(model, tokens, tail_from=2)
    with pytest.raises(RuntimeError):
        replay(model, before.tail, {Site(2, "mlp.hook_post"): torch.randn(2, 3)})
    replay(model, before.tail, {Site(2, "mlp.hook_post"): torch.randn(2, model.width(Site(2, "mlp.hook_post")))})
    after = record(model, tokens)
    assert torch.equal(before.logits, after.logits)


def test_what_the_tail_lacks_is_named(llama):
    tail = record(llama, prompts(5, 2, 5), tail_from=2).tail
    with pytest.raises(InputError, match="does not hold block 1"):
        replay(llama, tail, {Site(1, "mlp.hook_post"): torch.zeros(2, 64)})
    with pytest.raises(InputError, match="blocks.2.mlp.hook_post cannot be changed or read in a replay that starts at"):
        replay(llama, tail, {Site(2, "mlp.hook_post"): torch.zeros(2, 64)}, start=3)
    with pytest.raises(InputError, match="has 3 rows for 2 prompts"):
        replay(llama, tail, {Site(2, "mlp.hook_post"): torch.zeros(3, 64)})


def test_sites_that_do_not_exist_are_refused(model):
    for name, message in {
        "blocks.4.hook_resid_post": "blocks 0 to 3",
        "blocks.1.hook_nothing": "no hook 'blocks.1.hook_nothing'",
        "blocks.1.attn.hook_pattern": "one vector per prompt and position",
        "blocks.1.attn.hook_z.4": "heads 0 to 3",
        "blocks.1.hook_resid_post.0": "no head axis",
    }.items():
        with pytest.raises(InputError, match=message):
            model.check(Site.parse(name))


@pytest.mark.parametrize("point", ["mlp.hook_post", "attn.hook_z"])
def test_the_readout_is_what_the_output_sees(model, point):
    """Output of the changed run minus output of the clean run is the change times the readout."""
    site = Site(1, point)
    output = Site(1, "mlp.hook_out" if point.startswith("mlp") else "attn.hook_out")
    tokens, change = prompts(6, 2, 6), torch.randn(2, model.width(site))
    clean = record(model, tokens, [output]).activations[output]
    changed = record(model, tokens, [output], changes={site: change}).activations[output]
    torch.testing.assert_close(changed - clean, change @ model.readout(site), atol=1e-4, rtol=0)
    if point == "attn.hook_z":
        rows = model.readout(Site(1, point, 2))
        assert torch.equal(rows, model.readout(site)[16:24])


def test_prompts_of_any_lengths_are_recorded_in_their_order(model):
    prompts_of = [prompts(length, 1, length)[0].tolist() for length in (9, 5, 9, 7, 5)]
    site = Site(1, "mlp.hook_post")
    positions = [8, 2, 3, 6, 0]
    together = record_all(model, prompts_of, positions, [site], 1, batch=2)
    for place, tokens in enumerate(prompts_of):
        alone = record(model, torch.tensor([tokens]), [site], 1, position=positions[place])
        torch.testing.assert_close(together.activations[site][place], alone.activations[site][0], atol=1e-5, rtol=1e-4)
        change = {site: torch.ones(1, model.width(site))}
        # One row of the tail, which needs less padding than all of them do.
        one = replay(model, together.tail.rows(torch.tensor([place])), change).logits
        torch.testing.assert_close(one, replay(model, alone.tail, change).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("point", ["hook_resid_mid", "hook_attn_out", "hook_resid_post"])
def test_residual_vectors_are_read_without_the_mean_that_the_norms_remove(point):
    """Also by a model just opened, whose hooks are on while it is asked."""
    for architecture in ("gpt2", "llama"):
        model = tiny.tiny_model(architecture)
        x = record(model, prompts(6, 2, 0), [Site(1, point)]).activations[Site(1, point)]
        assert (x.mean(1).abs().max() < 1e-5) == (architecture == "gpt2")


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_tails_that_go_together_are_alike_and_none_is_lost(lengths):
    groups = [group.tolist() for group in alike(torch.tensor(lengths))]
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        of_group = [lengths[index] for index in group]
        assert max(of_group) <= PADDED * min(of_group)
    shortest = [lengths[group[0]] for group in groups]
    assert all(later > PADDED * earlier for earlier, later in pairwise(shortest))


def test_on_a_gpu_tails_of_all_lengths_go_together():
    lengths = torch.tensor([5, 1, 3])
    of_device = {kind: SimpleNamespace(device=torch.device(kind)) for kind in ("cpu", "cuda")}
    assert [group.tolist() for group in groups(cast(Model, of_device["cuda"]), lengths)] == [[1, 2, 0]]
    assert [group.tolist() for group in groups(cast(Model, of_device["cpu"]), lengths)] == [[1], [2], [0]]


def test_what_is_trained_on_is_the_same_whatever_is_padded(model: Model):
    """Tails of one token and of seven go apart, there and back, and come back in their order."""
    tails = [record(model, prompts(9, 2, at), tail_from=1, position=at).tail for at in (2, 8, 2, 5)]
    tail, site = Tail.cat([each for each in tails if each is not None]), residual_after(1)
    index = torch.tensor([7, 0, 2, 5, 4, 1])
    change = torch.randn(len(index), model.width(site), generator=torch.Generator().manual_seed(0))
    outcomes = []
    for run in (replaying(model, site, tail.rows), lambda x, rows: replay(model, tail.rows(rows), {site: x}).logits):
        x = change.clone().requires_grad_()
        logits = run(x, index)
        outcomes.append((logits.detach(), *torch.autograd.grad(logits.square().sum(), x)))
    for apart, together in zip(*outcomes, strict=True):
        torch.testing.assert_close(apart, together, rtol=1e-3, atol=1e-3)


def test_an_mlp_is_given_end_alone_by_place_or_by_name_and_may_give_more():
    """What has something for every token is cut and filled up again, and nothing else."""
    ends, x = torch.tensor([1, 2]), torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))

    class Mlp(torch.nn.Module):
        def forward(self, x, scale, beside):
            assert x.shape == beside.shape == (2, 1, 4)
            return x * scale + beside, x[:, 0, :2], scale

    mlp, unembed = Mlp(), torch.nn.Identity()
    bridge = SimpleNamespace(unembed=unembed, blocks=[SimpleNamespace(mlp=mlp)])
    with _at_end(cast(Model, SimpleNamespace(bridge=bridge)), ends, 3, last_mlp=True):
        out, in_a_row, scale = mlp(x, torch.tensor(2.0), beside=x)
        out += x  # as some blocks do
        assert torch.equal(unembed(out)[:, 0], 4 * x[[0, 1], ends])
    assert out.shape == x.shape
    assert in_a_row.shape == (6, 2)
    assert scale == 2
