"""The path to another device.

Without one it goes as far as ``meta``, which computes no values but knows devices: adding a tensor there to one on the
CPU is an error, as it would be with a GPU; multiplying their matrices is not. What needs a GPU is skipped without one.
"""

import gc
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import tiny
from some_pairs import some_pairs
from subspace_illusion.core import on_device
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.matmul import matmul_in
from subspace_illusion.core.model import Model
from subspace_illusion.core.on_device import Kept, kept, replaying
from subspace_illusion.core.replay import record, record_all, replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.core.tail import Tail
from subspace_illusion.errors import InputError
from subspace_illusion.subspace import patching
from subspace_illusion.subspace.das import train_das

META = torch.device("meta")
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no GPU")
SITES = (Site(1, "mlp.hook_post"), Site(1, "attn.hook_z", 2), residual_after(1))


@pytest.mark.parametrize("position", [7, 4], ids=["END", "before END"])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_replay_forward_and_backward_stays_on_the_device(architecture: str, position: int):
    model = tiny.tiny_model(architecture)
    widths, tail = {site: model.width(site) for site in SITES}, tail_of_three(model, position)
    there = on_meta(model)
    for site, width in widths.items():
        for kind in ("float32", "bfloat16"):
            change = torch.zeros(3, width, device=META, requires_grad=True)
            with matmul_in(there, kind, site.start):
                logits = replay(there, tail, {site: change}).logits
            assert logits.device == META
            assert logits.shape == (3, there.bridge.cfg.d_vocab)
            (gradient,) = torch.autograd.grad(logits.sum(), change)
            assert (gradient.device, gradient.shape) == (META, change.shape)


class NothingGoesOver(TorchDispatchMode):
    """Within, nothing is copied to ``meta`` from the CPU: a GPU's launches cannot be captured where something is."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        from_cpu = [x for x in args if isinstance(x, torch.Tensor) and x.device.type == "cpu" and x.ndim]
        assert not (from_cpu and isinstance(given, torch.Tensor) and given.device == META), func
        return given


@pytest.mark.parametrize("position", [7, 4], ids=["END", "before END"])
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_replay_of_tails_that_lie_on_the_device_needs_nothing_from_the_processor(architecture: str, position: int):
    model = tiny.tiny_model(architecture)
    widths, tail = {site: model.width(site) for site in SITES}, tail_of_three(model, position).to(META)
    there = on_meta(model)
    for site, width in widths.items():
        with NothingGoesOver():
            replay(there, tail, {site: torch.zeros(3, width, device=META)})


def test_a_tensor_on_the_wrong_device_would_be_seen():
    with pytest.raises(RuntimeError, match="device"):
        torch.zeros(3, device=META) + torch.zeros(3)


@pytest.fixture
def mixed() -> tuple[Model, Tail]:
    """Prompts of two lengths and three positions."""
    model = tiny.tiny_model("gemma3")
    prompts = torch.randint(1, 500, (9, 9), generator=torch.Generator().manual_seed(0)).tolist()
    prompts = [prompt[: 8 + i % 2] for i, prompt in enumerate(prompts)]
    tail = record_all(model, prompts, [5 + i % 3 for i in range(9)], (), tail_from=1, batch=4).tail
    assert tail is not None
    return model, tail


def test_padding_that_nobody_needs_changes_nothing(mixed):
    model, tail = mixed
    few = torch.tensor([0, 6, 0])  # those with the fewest tokens before and behind
    change = {SITES[0]: torch.randn(3, model.width(SITES[0]), generator=torch.Generator().manual_seed(1))}
    wide, narrow = tail.rows(few, trim=False), tail.rows(few)
    assert wide.earlier > narrow.earlier
    assert wide.residual[1].shape[1] > narrow.residual[1].shape[1]
    padded, exact = (replay(model, of_few, change).logits for of_few in (wide, narrow))
    torch.testing.assert_close(padded, exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["cpu", pytest.param("cuda", marks=on_a_gpu)])
def test_changes_in_one_batch_do_what_each_does_alone(monkeypatch, name):
    model = tiny.tiny_model("llama", torch.device(name))
    monkeypatch.setattr(patching, "at_once", lambda model, tail: 1)
    pairs = some_pairs(model, [SITES[0]], 1, position=4)
    changes = {seed: pairs.along(SITES[0], random_basis(model.width(SITES[0]), 2, seed)) for seed in range(5)}
    told: list[int] = []
    alone = pairs.patch(SITES[0], changes, batch=7, on_patch=told.append)
    monkeypatch.setattr(patching, "at_once", lambda model, tail: 2)
    together = pairs.patch(SITES[0], changes, batch=7, on_patch=told.append)
    for key in changes:
        torch.testing.assert_close(together[key].ld, alone[key].ld, atol=1e-5, rtol=1e-5)
        assert (together[key].top1_foil == alone[key].top1_foil).all()
    assert sum(told) == 2 * len(changes) * len(pairs)


def test_a_processor_keeps_no_tails_and_takes_changes_together_while_they_are_few(mixed, monkeypatch):
    model, tail = mixed
    assert kept(tail.rows, len(tail), model.device) == tail.rows
    tokens = len(tail) * (int(tail.ends.max()) + 1)
    assert on_device.at_once(model, tail) == on_device.TOKENS // tokens > 1
    assert on_device.at_once(model, tail.repeat(100)) == 1
    monkeypatch.setattr(on_device, "BYTES", 2 * tail.nbytes)
    assert on_device.at_once(model, tail) == 2


def test_launches_are_captured_when_the_size_changes_while_nothing_is_collected(mixed, monkeypatch):
    """An older capture that is let go while another is made spoils it, as a GPU has shown."""
    model, tail = mixed
    collecting, sizes = [], []

    def capture(function, buffers):
        collecting.append(gc.isenabled())
        sizes.append(len(buffers[1]))
        assert buffers[0].requires_grad

        def repeat(change, index):
            with torch.no_grad():
                for buffer, given in zip(buffers, (change, index), strict=True):
                    assert buffer.data_ptr() != given.data_ptr()
                    buffer.copy_(given)
            return function(*buffers)

        return repeat

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)
    site = SITES[2]
    captured, plain = (replaying(model, site, of) for of in (Kept(tail), tail.rows))
    for size in (4, 4, 2, 4):
        index = torch.randint(0, len(tail), (size,), generator=torch.Generator().manual_seed(size))
        change = torch.randn(size, model.width(site), generator=torch.Generator().manual_seed(size))
        torch.testing.assert_close(captured(change, index), plain(change, index), atol=1e-5, rtol=1e-5)
    assert sizes == [4, 2, 4]
    assert not any(collecting)
    assert gc.isenabled()


NOT_PERMITTED = RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NOT_PERMITTED,
            (InputError, r"blocks.1.hook_resid_post cannot be captured \(CUDA.*\): .*CUDA_VISIBLE_DEVICES="),
        ),
        (torch.OutOfMemoryError("17 GiB"), (InputError, "does not fit the GPU's memory: lower das.batch")),
        (RuntimeError("shapes differ"), (RuntimeError, "shapes differ")),
    ],
)
def test_what_cannot_be_captured_is_an_error_that_says_what_to_do(mixed, monkeypatch, error, said):
    model, tail = mixed

    def fails(function, buffers):
        raise error

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", fails)
    change, index = torch.zeros(2, model.width(SITES[2])), torch.tensor([0, 1])
    with pytest.raises(said[0], match=said[1]):
        replaying(model, SITES[2], Kept(tail))(change, index)
    assert gc.isenabled()


def test_a_batch_on_a_gpu_has_so_many_tails_or_what_memory_holds(mixed, monkeypatch):
    model, tail = mixed
    there = replace(model, device=torch.device("cuda"))
    monkeypatch.setattr(on_device, "free_bytes", lambda device: 80e9)
    assert on_device.at_once(there, tail) == on_device.ROWS // len(tail)
    monkeypatch.setattr(on_device, "free_bytes", lambda device: 100 * tail.nbytes)
    assert 1 <= on_device.at_once(there, tail) < 25
    monkeypatch.setattr(on_device, "free_bytes", lambda device: 0)
    assert on_device.at_once(there, tail) == 1
    assert kept(tail.rows, len(tail), there.device) == tail.rows  # there is no room


@on_a_gpu
@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_a_gpu_gives_what_the_processor_gives_captured_or_not(architecture):
    here, there = (tiny.tiny_model(architecture, torch.device(name)) for name in ("cpu", "cuda"))
    tokens = torch.randint(1, 500, (6, 9), generator=torch.Generator().manual_seed(0))
    tail = record(here, tokens, tail_from=1, position=6).tail
    on_gpu = kept(tail.rows, len(tail), there.device)
    assert isinstance(on_gpu, Kept)
    for site in SITES:
        captured = replaying(there, site, on_gpu)
        for seed in range(3):
            index = torch.randint(0, 6, (4,), generator=torch.Generator().manual_seed(seed))
            change = torch.randn(4, here.width(site), generator=torch.Generator().manual_seed(seed))
            runs = []
            for run in (replaying(here, site, tail.rows), replaying(there, site, tail.rows), captured):
                asked = change.clone().requires_grad_()
                logits = run(asked, index)
                logits[:, 7].sum().backward()
                runs.append((logits.detach().cpu().clone(), asked.grad))
            for logits, gradient in runs[1:]:
                torch.testing.assert_close(logits, runs[0][0], atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(gradient, runs[0][1], atol=1e-4, rtol=1e-4)


@on_a_gpu
def test_a_gpu_trains_the_same_bytes_again_and_what_the_processor_trains():
    settings = dict(rank=1, seeds=[0, 1], steps=20, batch=8, lr=0.02, loss="cross_entropy", min_gain=0.1)
    bases = []
    before = gc.get_threshold()
    for name in ("cpu", "cuda", "cuda"):
        model = tiny.tiny_model("llama", torch.device(name))
        examples = some_pairs(model, SITES, 1).examples(SITES[0])
        gc.set_threshold(1)  # so that the first capture is let go as soon as it may be, at worst during the second
        bases.append(train_das(model, SITES[0], examples, **settings).bases)
        gc.set_threshold(*before)
    assert torch.equal(bases[1], bases[2])
    torch.testing.assert_close(bases[1], bases[0], atol=1e-3, rtol=0)


def tail_of_three(model: Model, position: int) -> Tail:
    """The tail of three prompts from block 1 on, on the CPU, as the cache gives it."""
    tokens = torch.randint(1, 500, (3, 8), generator=torch.Generator().manual_seed(0))
    tail = record(model, tokens, tail_from=1, position=position).tail
    assert tail is not None
    return tail


def on_meta(model: Model) -> Model:
    model.bridge.original_model.to(META)
    return replace(model, device=META)
