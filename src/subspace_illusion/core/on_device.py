"""What a GPU does otherwise than a processor: it keeps the tails, takes changes together, and records its launches.

Replaying some hundred tails through a small model takes a GPU less time than it takes Python to launch its thousand
kernels. So what is patched again and again goes through the model together, as much as the free memory holds; and a DAS
step, whose shapes stay the same, is launched once and recorded (a CUDA graph).
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from subspace_illusion.core.checkpoints import first_line
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import Tail, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

TailOf = Callable[[torch.Tensor], Tail]
"""Gives the tail of some prompts by their index ``[m]``."""


class Held:
    """A ``TailOf`` whose tails are all on a GPU.

    Attributes:
        tail: Of all the prompts.
    """

    def __init__(self, tail: Tail) -> None:
        self.tail = tail

    def __call__(self, index: torch.Tensor) -> Tail:
        return self.tail.rows(index)


def held(tail: TailOf, prompts: int, device: torch.device) -> TailOf:
    """The tails of some prompts on their device for good, where that is a GPU with four times the memory they take."""
    if device.type != "cuda" or prompts * tail(torch.zeros(1, dtype=torch.long)).nbytes > free_bytes(device) / 4:
        return tail
    return Held(tail(torch.arange(prompts)).to(device))


def free_bytes(device: torch.device) -> int:
    """How much of a GPU's memory nobody has: what its driver has left, and what torch has given back to itself."""
    mine = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(torch.cuda.mem_get_info(device)[0]) + mine


def at_once(model: Model, tail: Tail) -> int:
    """How often a tail should be in one batch: once on a processor, which gains nothing, and as often as half of the
    free memory holds on a GPU."""
    if model.device.type != "cuda":
        return 1
    streams = sum(x.nbytes for x in tail.residual.values())
    # The keys and values twice; of a block's inside, which is freed after it, a multiple of the stream; two copies of
    # the logits, which are asked for where the foil is likelier.
    one = 2 * tail.nbytes + 32 * streams + 8 * len(tail) * int(model.bridge.cfg.d_vocab)
    return max(1, int(free_bytes(model.device) / 2 / one))


def replaying(model: Model, site: Site, tail: TailOf) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """A function that replays one change at a site, batch after batch, differentiable with respect to the change.

    Where the tails are ``held``, the launches of a replay and of its gradient are recorded with the first batch of a
    size. The model must then stay as it is: what its modules compute with is in the record.

    Args:
        model: The model.
        site: Where the change is made.
        tail: The tails of the base prompts.

    Returns:
        The logits at END ``[m, vocabulary]``, valid until the next call, from a change ``[m, d]`` and an index ``[m]``.
        It raises ``InputError`` if the launches cannot be recorded, as where the forward pass asks for a value.
    """
    if not isinstance(tail, Held):
        return lambda change, index: replay(model, tail(index), {site: change}).logits
    everything = tail.tail
    recorded: dict[int, Any] = {}

    def launch(change: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        return replay(model, everything.as_padded(index), {site: change}).logits

    def again(change: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        change, index = change.to(model.device), index.to(model.device)
        if len(index) not in recorded:
            # Buffers of the record's own, into which every later batch is copied.
            buffers = change.detach().clone().requires_grad_(), index.clone()
            # They are older than the stream on which the record is made, as is meant.
            torch.autograd.graph.set_warn_on_accumulate_grad_stream_mismatch(False)
            try:
                with _nothing_collected():
                    recorded[len(index)] = torch.cuda.make_graphed_callables(launch, buffers)
            except RuntimeError as error:
                raise InputError(
                    f"the GPU cannot record a DAS step of this model at {site.name} ({first_line(error)}): run it on "
                    "the processor, with CUDA_VISIBLE_DEVICES= before the command"
                ) from error
        logits: torch.Tensor = recorded[len(index)](change, index)
        return logits

    return again


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Keeps Python from letting go of an older record while a new one is made, which would spoil the new one."""
    collects = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
