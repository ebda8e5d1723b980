"""One line of progress for a whole audit: its phases, and the time left by the work that they cost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

import torch
from tqdm import tqdm

from subspace_illusion.core.checkpoints import dtype_name
from subspace_illusion.tasks.as_read import AsRead

_LINE = "{percentage:3.0f}% |{bar:20}| {elapsed}, {remaining} left: {desc}"


def say_how_read(source: Mapping[str, Any]) -> None:
    """Says in the first lines what a table of pairs was taken for, where it was not written for this project.

    Args:
        source: Where the pairs are from, as ``given_pairs`` gives it.
    """
    for line in source.get("read", []):
        print(line, flush=True)


def how_read(as_read: AsRead) -> Iterator[str]:
    """The lines that say how pairs were read, the words of the first one explained behind it."""
    first, *notes = as_read.lines()
    yield first
    yield "    (END is where the model predicts; the foil is the answer that the source of the pair calls for)"
    yield from notes


def run_in(dtype: torch.dtype) -> str:
    """What a first line says of the dtype that a model runs in; nothing in float32."""
    return "" if dtype == torch.float32 else f", run in {dtype_name(dtype)}"


def rounded(seconds: float) -> int:
    """How long a first line says that a run takes, in seconds."""
    return max(5, 5 * round(seconds / 5))


class Progress:
    """A bar over the work of a run: blocks that tokens go through.

    Args:
        total: Of the whole run.
        shown: Whether there is anything to see.
    """

    def __init__(self, total: float, shown: bool) -> None:
        self._bar = tqdm(total=total, disable=not shown, bar_format=_LINE, mininterval=0.3, dynamic_ncols=True)
        self._done = 0.0

    @contextmanager
    def phase(self, words: str, work: float, parts: int = 1) -> Iterator[Callable[..., None]]:
        """A phase of the run; it counts as done when the block ends.

        Args:
            words: What is done.
            work: What it costs.
            parts: In how many parts; the function that is given is told after each of them, whatever it is told.
        """
        self._bar.set_description_str(words)
        left = [parts]

        def part_done(*told: object) -> None:
            if left[0] > 0:
                left[0] -= 1
                self._bar.update(work / parts)

        yield part_done
        self._done += work
        self._bar.update(self._done - self._bar.n)

    def more(self, work: float) -> None:
        """Adds work of which nothing was known before."""
        self._bar.total = (self._bar.total or 0) + work
        self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Ends the line: as done, unless an error ended the run."""
        if kind is None:
            self._bar.set_description_str("done")
        self._bar.close()
