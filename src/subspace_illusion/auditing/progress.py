"""One line of progress for a whole audit: its phases, and the time left by the work that they cost."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from tqdm import tqdm

_LINE = "{percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} left: {desc}"
_RATE = 1 / 4
"""The share of the rate of large products that a run reaches on the whole, roughly."""


class Progress:
    """A bar over the floating-point operations of a run.

    Args:
        total: Of the whole run.
        shown: Whether there is anything to see.
    """

    def __init__(self, total: float, shown: bool) -> None:
        self._bar = tqdm(total=total, disable=not shown, bar_format=_LINE, mininterval=0.3, dynamic_ncols=True)
        self._done = 0.0

    @contextmanager
    def phase(self, words: str, flops: float, parts: int = 1) -> Iterator[Callable[..., None]]:
        """A phase of the run; it counts as done when the block ends.

        Args:
            words: What is done.
            flops: What it costs.
            parts: In how many parts; the function that is given is told after each of them, whatever it is told.
        """
        self._bar.set_description_str(words)
        left = [parts]

        def part_done(*told: object) -> None:
            if left[0] > 0:
                left[0] -= 1
                self._bar.update(flops / parts)

        yield part_done
        self._done += flops
        self._bar.update(self._done - self._bar.n)

    def close(self) -> None:
        """Ends the line."""
        self._bar.set_description_str("done")
        self._bar.close()


def seconds(flops: float, device: torch.device) -> float:
    """How long so many floating-point operations take here, roughly, from a short measurement of the machine."""
    x = torch.randn(1024, 1024, device=device)
    (x @ x)[0, 0].item()
    start = time.perf_counter()
    (x @ x)[0, 0].item()
    rate = 2 * 1024**3 / (time.perf_counter() - start)
    return flops / rate / _RATE
