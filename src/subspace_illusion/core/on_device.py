"""What depends on the device: how much is in one batch; and a GPU keeps tails and repeats captured launches.

Replaying some hundred tails through a small model takes a GPU less time than it takes Python to launch the thousand
kernels. So what is patched in the same pairs goes through the model together; and a DAS step, whose shapes stay the
same, is launched once and captured (a CUDA graph).
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail, TailOf, alike
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line

ROWS = 4096
"""Tails in one batch on a GPU: more are hardly faster, and the same number every time gives the same last digits."""
TOKENS, BYTES = 256, 2**28
"""Tokens in one batch on a processor, whose matrix products are slower by half where there are 24; and the bytes that
their tails may take."""
SLICE = 256
"""Tails that go to a GPU at a time, so that memory need not hold them all."""


class Kept:
    """A ``TailOf`` whose tails are all on a GPU.

    Attributes:
        tail: Of all the prompts.
    """

    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    def __call__(self, index: torch.Tensor) -> Tail:
        return self.tail.rows(index)


def kept(tail: TailOf, prompts: int, device: torch.device) -> TailOf:
    """The tails of some prompts on their device for good, if that is a GPU with four times their size free."""
    if device.type != "cuda":
        return tail
    gc.collect()  # what was captured before holds memory until then
    slices = torch.arange(prompts).split(SLICE)
    if tail(slices[0]).nbytes / len(slices[0]) * prompts > free_bytes(device) / 4:
        return tail
    return Kept(Tail.cat([tail(rows).to(device) for rows in slices]))


def free_bytes(device: torch.device) -> int:
    """How much of a GPU's memory a new tensor can have: what the driver has, and what torch holds for nobody."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + unused


def groups(model: Model, lengths: torch.Tensor) -> list[torch.Tensor]:
    """Tails by their lengths ``[n]``, the index of those that are replayed together: on a processor those that are
    ``alike``, on a GPU, where every launch costs more than padding, all."""
    lengths = lengths.cpu()
    return alike(lengths) if model.device.type == "cpu" else [lengths.argsort(stable=True)]


def at_once(model: Model, tail: Tail) -> int:
    """How often a tail should be in one batch: on a processor until there are ``TOKENS``; on a GPU until there are
    ``ROWS``, or fewer where half of the free memory holds no more."""
    n, longest = len(tail), int(tail.ends.max()) + 1
    if model.device.type != "cuda":
        return max(1, min(TOKENS // (n * longest), BYTES // max(1, tail.nbytes)))
    caches = [(tail.keys[block], tail.values[block]) for block in tail.keys]
    of_block = max((keys.nbytes + values.nbytes for keys, values in caches), default=0)
    # Besides the tail: in a block its keys and values with those of the tail, and again for every head that shares
    # them; attention's scores, some times over; the hidden activations, a multiple of the stream; two copies of the
    # logits, which are asked for where the foil is likelier.
    shared = max((model.n_heads // keys.shape[1] for keys, _ in caches), default=1)
    scores = 12 * n * model.n_heads * longest * (tail.earlier + longest)
    streams = 32 * 4 * n * longest * int(model.bridge.cfg.d_model)
    one = tail.nbytes + (1 + shared) * of_block + scores + streams + 8 * n * int(model.bridge.cfg.d_vocab)
    return max(1, min(ROWS // n, int(free_bytes(model.device) / 2 / one)))


def replaying(model: Model, site: Site, tail: TailOf) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A function that replays one change at a site, batch after batch, differentiable with respect to the change.

    Where the tails are ``kept`` on a GPU that has all of the model, and are no whole prompts, the launches of a replay
    and of its gradient are captured with the first batch of a size, and repeated until another size comes. What the
    model's modules compute with must then stay.

    Args:
        model: The model.
        site: Where the change is made.
        tail: The tails of the base prompts.

    Returns:
        The logits at END ``[m, vocabulary]``, valid until the next call, from a change ``[m, d]`` and an index ``[m]``.
        It raises ``InputError`` if the launches cannot be captured, as where the forward pass asks for a value.
    """
    if not isinstance(tail, Kept) or model.is_spread or model.whole_prompts:

        def by_length(change: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
            tails = tail(index)
            if len(together := groups(model, tails.ends + 1)) == 1:
                return replay(model, tails, {site: change}).logits
            parts = [replay(model, tails.rows(rows), {site: change[rows]}).logits for rows in together]
            return torch.cat(parts)[torch.cat(together).argsort()]

        return by_length
    everything = tail.tail
    captured: dict[int, Any] = {}

    def launch(change: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return replay(model, everything.rows(index, trim=False), {site: change}).logits

    def again(change: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        change, index = change.to(model.device), index.to(model.device)
        if len(index) not in captured:
            captured.clear()  # runs end and batches shrink, so what was captured before is not needed again
            # Buffers of its own, into which every later batch is copied.
            buffers = change.detach().clone().requires_grad_(), index.clone()
            with _capturing(site):
                captured[len(index)] = torch.cuda.make_graphed_callables(launch, buffers)
        logits: torch.Tensor = captured[len(index)](change, index)
        return logits

    return again


@contextmanager
def _capturing(site: Site) -> Iterator[None]:
    """Keeps Python from letting go of an older capture within, which would spoil the new one.

    Raises:
        InputError: If the capture fails, or the memory does not suffice.
    """
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    # The buffers are older than the stream that is captured, of which autograd would warn.
    torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"a DAS step at {site.name} does not fit the GPU's memory: lower das.batch, or train fewer seeds at a time"
        ) from error
    except RuntimeError as error:
        if "captur" not in str(error):
            raise
        raise InputError(
            f"the launches of a DAS step at {site.name} cannot be captured ({first_line(error)}): run it on the "
            "processor, with CUDA_VISIBLE_DEVICES= before the command"
        ) from error
    finally:
        torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(True)
        if collects:
            gc.enable()
