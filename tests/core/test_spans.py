"""Positions of several tokens: read, patched and replayed."""

import pytest
import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import record, record_all, replay
from subspace_illusion.core.sites import Site

SITES = [Site(1, "hook_resid_pre"), Site(1, "mlp.hook_post"), Site(1, "attn.hook_z", 1), Site(2, "hook_resid_post")]
LAST, SPAN = 5, 3


def in_full(model: Model, site: Site, tokens: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """The logits at END of a full forward pass with a change ``[n, SPAN, d]`` added by a hook, token by token."""

    def add(activation: torch.Tensor, hook: object) -> torch.Tensor:
        changed = activation.clone()
        for place, of_token in enumerate(change.unbind(1)):
            here = changed[:, LAST - SPAN + 1 + place]
            here = here if site.head is None else here[:, site.head]
            here += of_token.view_as(here)
        return changed

    with torch.no_grad():
        return model.bridge.run_with_hooks(tokens, fwd_hooks=[(site.write_hook, add)])[:, -1].float()


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_a_replay_of_a_span_is_the_full_run_with_a_change_at_each_token(model: Model, site: Site):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 500, (3, 8), generator=generator)
    recording = record(model, tokens, [site], 1, position=LAST, span=SPAN)
    each = 0.3 * torch.randn(3, SPAN, model.width(site), generator=generator)
    for change in (each, each[:, 0]):
        expected = in_full(model, site, tokens, change if change.ndim == 3 else change[:, None].expand(-1, SPAN, -1))
        with torch.no_grad():
            got = replay(model, recording.tail, {site: change}).logits
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
        again = record(model, tokens, changes={site: change}, position=LAST, span=SPAN).logits
        torch.testing.assert_close(again, expected, atol=1e-4, rtol=0)
    singles = [record(model, tokens, [site], position=LAST - place).activations[site] for place in (2, 1, 0)]
    torch.testing.assert_close(recording.tokens[site], torch.stack(singles, 1), atol=1e-5, rtol=0)
    torch.testing.assert_close(recording.activations[site], torch.stack(singles).mean(0), atol=1e-5, rtol=0)


def test_prompts_of_any_spans_share_a_batch(llama: Model):
    site, generator = Site(1, "hook_resid_post"), torch.Generator().manual_seed(1)
    prompts = [torch.randint(1, 500, (length,), generator=generator).tolist() for length in (7, 9, 9, 6)]
    lasts, spans = [4, 8, 3, 5], [2, 1, 4, 3]
    recording = record_all(llama, prompts, lasts, [site], 1, 4, spans)
    assert recording.tail.span.sum(1).tolist() == spans
    assert recording.tail.positions.tolist() == [3, 8, 0, 3]
    change = torch.randn(4, 4, 32, generator=generator)
    rows = torch.tensor([2, 0, 3, 1, 0])
    with torch.no_grad():
        got = replay(llama, recording.tail.rows(rows), {site: change[rows]}).logits
    for place, row in enumerate(rows.tolist()):
        alone = dict(position=lasts[row], span=spans[row])
        expected = record(
            llama, torch.tensor([prompts[row]]), [site], changes={site: change[[row], : spans[row]]}, **alone
        )
        torch.testing.assert_close(got[[place]], expected.logits, atol=1e-4, rtol=0)
        assert not recording.tokens[site][row, spans[row] :].any()


def test_a_span_of_one_token_is_that_token_and_gradients_reach_each(llama: Model):
    site, tokens = Site(1, "mlp.hook_post"), torch.randint(1, 500, (2, 6))
    one, plain = (record(llama, tokens, [site], 1, position=3, span=span) for span in (1, None))
    torch.testing.assert_close(one.activations[site], plain.activations[site])
    change = torch.randn(2, llama.width(site))
    with torch.no_grad():
        same = [replay(llama, run.tail, {site: change}).logits for run in (one, plain)]
    torch.testing.assert_close(*same)
    each = torch.zeros(2, 3, llama.width(site), requires_grad=True)
    tail = record(llama, tokens, [site], 1, position=3, span=3).tail
    replay(llama, tail, {site: each}).logits.sum().backward()
    assert (each.grad.abs().sum(-1) > 0).all()
