"""Planting changes what a component holds and nothing that the model computes, in every architecture and place."""

import pytest
import torch

from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.planting.plant import Mediator, Signal, plant, stream_before, stream_behind, unread, writes_as

BLOCK = 1
PLACES = (
    "mlp.hook_post",
    "attn.hook_z",
    "attn.hook_z.2",
    "hook_attn_out",
    "hook_mlp_out",
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
)


def planted(model: Model, place: str, dose: float, position: int | None = None):
    site = Site.parse(f"blocks.{BLOCK}.{place}")
    stream, behind = stream_before(model, site), stream_behind(model, site)
    pairs = some_pairs(model, [site, stream, behind], BLOCK, position=position)
    generator = torch.Generator().manual_seed(3)
    v = torch.nn.functional.normalize(torch.randn(pairs.base(stream).shape[1], generator=generator), dim=0)
    readout = model.readout(site)
    mediator = Mediator(v, True) if readout is None else Mediator(writes_as(v, readout), False)
    return site, pairs, Signal(v, stream), mediator, plant(pairs, site, Signal(v, stream), mediator, dose, batch=3)


@pytest.mark.parametrize("place", PLACES)
def test_every_run_is_the_models_own(model: Model, place: str):
    if model.parallel_blocks and place == "hook_resid_mid":
        pytest.skip("a parallel block has no stream between attention and MLP")
    site, pairs, _, _, with_signal = planted(model, place, dose=0.7)
    rows = torch.arange(len(pairs))
    clean, run = (replay(model, p.tail(site.start)(rows), {}, start=site.start).logits for p in (pairs, with_signal))
    torch.testing.assert_close(run, clean, atol=1e-4, rtol=0)
    assert (with_signal.base(site) - pairs.base(site)).norm() > 0.1


@pytest.mark.parametrize("position", [None, 4], ids=["END", "before END"])
@pytest.mark.parametrize("place", PLACES)
def test_a_patch_does_what_the_full_forward_does(model: Model, place: str, position: int | None):
    if model.parallel_blocks and place == "hook_resid_mid":
        pytest.skip("a parallel block has no stream between attention and MLP")
    site, pairs, _, _, with_signal = planted(model, place, dose=0.7, position=position)
    base, source = with_signal.base(site), with_signal.source(site)
    basis = random_basis(base.shape[1], 1, 4)
    change = (source - base) @ basis @ basis.T
    replayed = replay(model, with_signal.tail(site.start)(torch.arange(len(pairs))), {site: change}).logits
    prompts = prompts_and_pairs(position=position)[0].set_index("prompt")
    for row in (0, 5):
        number = pairs.base_prompts[row]
        own = with_signal.prompts.planted_in([number])
        full = record(
            model,
            torch.tensor([prompts["tokens"][number]]),
            changes=own.beside({site: change[row : row + 1]}),
            position=int(prompts["position"][number]),
        )
        torch.testing.assert_close(replayed[row : row + 1], full.logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("place", PLACES)
def test_the_mediator_carries_the_dose(model: Model, place: str):
    if model.parallel_blocks and place == "hook_resid_mid":
        pytest.skip("a parallel block has no stream between attention and MLP")
    site, pairs, signal, mediator, with_signal = planted(model, place, dose=0.3)
    s = pairs.base(signal.stream) @ signal.direction
    held, own = with_signal.base(site), pairs.base(site)
    if mediator.instead:
        torch.testing.assert_close(held @ mediator.vector, 0.3 * s, atol=1e-4, rtol=1e-4)
    else:
        torch.testing.assert_close(held - own, 0.3 * s[:, None] * mediator.vector, atol=1e-4, rtol=1e-4)
    off = torch.eye(len(mediator.vector)) - mediator.unit @ mediator.unit.T
    torch.testing.assert_close(held @ off, own @ off, atol=1e-4, rtol=1e-4)


def test_nothing_is_planted_in_replays_from_behind_the_component(llama: Model):
    _, pairs, _, _, with_signal = planted(llama, "mlp.hook_post", dose=0.7)
    after = residual_after(BLOCK)
    change = torch.randn(len(pairs), 32, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(len(pairs))
    there, own = (replay(llama, p.tail(after.start)(rows), {after: change}).logits for p in (with_signal, pairs))
    torch.testing.assert_close(there, own)


def test_a_signal_is_written_as_it_is(llama: Model):
    readout = llama.readout(Site(BLOCK, "mlp.hook_post"))
    v = torch.nn.functional.normalize(torch.randn(32, generator=torch.Generator().manual_seed(3)), dim=0)
    u = writes_as(v, readout)
    written = u @ readout
    assert float(written @ v) / float(written.norm()) > 0.9
    null = unread(readout, 0, 1e-5)
    torch.testing.assert_close(null @ readout, torch.zeros(32), atol=1e-5, rtol=0)
    assert float(null.norm()) == pytest.approx(1)
    assert unread(llama.readout(Site(BLOCK, "attn.hook_z")), 0, 1e-5) is None
