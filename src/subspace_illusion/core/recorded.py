"""Prompts that were run just now: what was read of them and their tails, batch by batch, as far as they fit a limit in
memory, and beyond it on disk.

The keys and values of 5,000 prompts of 500 tokens are larger than most models. A batch that is put away is mapped for
as long as rows are taken from it, and the folder goes with the object, or with the process, however that ends.
"""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

import torch
from safetensors import SafetensorError

from subspace_illusion.core.replay import Recording
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail, padded
from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line, read_tensors, remove, write_tensors

Part = TypeVar("Part")

MOST = 2**28
"""Bytes that are kept in memory where nobody says how many."""


@dataclass(frozen=True)
class _Batch:
    """Some prompts of one length and position.

    Attributes:
        layout: Their length, and the token that their tails begin with.
        span: Which tokens of the tails are read, as of ``Tail``; ``None`` where the first alone is.
        tensors: Activations, token ids, residual streams, keys and values by name; or the file that holds them.
    """

    layout: tuple[int, int]
    span: torch.Tensor | None
    tensors: Mapping[str, torch.Tensor] | Path

    @property
    def opened(self) -> Mapping[str, torch.Tensor]:
        """The tensors; from a file, mapped, for as long as they are held."""
        return read_tensors(self.tensors) if isinstance(self.tensors, Path) else self.tensors

    def tail(self, start: int, rows: torch.Tensor) -> Tail:
        """The tail of some of its prompts from a block on."""
        parts: dict[str, dict[int, torch.Tensor]] = dict(residual={}, keys={}, values={})
        opened = self.opened
        for name, x in opened.items():
            part, _, block = name.partition(".")
            if part in parts and int(block) >= start:
                parts[part][int(block)] = x[rows]
        lengths, positions = (torch.full((len(rows),), number) for number in self.layout)
        of_span = None if self.span is None else self.span[rows]
        return Tail(
            lengths, positions, opened[_IDS][rows], parts["residual"], parts["keys"], parts["values"], span=of_span
        )


class Recorded:
    """Prompts by their number, as ``subspace.pairs.Prompts`` has them.

    Args:
        most: Bytes that are kept in memory. What comes after is written to a temporary folder (``TMPDIR``).
    """

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self._batches: list[_Batch] = []
        self._places: dict[int, tuple[int, int]] = {}
        self._folder: Path | None = None

    def add(self, prompts: Sequence[int], recording: Recording) -> None:
        """Puts a batch in.

        Args:
            prompts: Their numbers, all of one length and position.
            recording: What was recorded of them, with their tail.

        Raises:
            InputError: If what is past the limit cannot be written.
        """
        tail = recording.tail
        assert tail is not None
        tensors = {_IDS: tail.tokens} | {_name(site): x for site, x in recording.activations.items()}
        tensors |= {_name(site, by_token=True): x for site, x in recording.tokens.items()}
        for part in ("residual", "keys", "values"):
            tensors |= {f"{part}.{block}": x for block, x in getattr(tail, part).items()}
        self._left -= sum(x.nbytes for x in tensors.values())
        number = len(self._batches)
        held = tensors if self._left >= 0 else self._put_away(number, tensors)
        self._batches.append(_Batch((int(tail.lengths[0]), int(tail.positions[0])), tail.span, held))
        self._places |= {int(prompt): (number, row) for row, prompt in enumerate(prompts)}

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations ``[n, d]``, in the order given."""
        parts, back = self._gathered(prompts, lambda batch, rows: batch.opened[_name(site)][rows])
        return torch.cat(parts)[back]

    def at_tokens(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations of each token of a span ``[n, longest span, d]``, in the order given; zeros behind those of
        shorter ones, as far as the longest of all that was put in."""
        name = _name(site, by_token=True)
        parts, back = self._gathered(prompts, lambda batch, rows: batch.opened[name][rows])
        return padded(parts, self._longest)[back]

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        """The tails from block ``start`` on, in the order given."""
        parts, back = self._gathered(prompts, lambda batch, rows: batch.tail(start, rows))
        tail = Tail.cat(parts).rows(back)
        return tail if tail.span is None else replace(tail, span=padded([tail.span], self._longest))

    @property
    def _longest(self) -> int:
        return max(0 if batch.span is None else batch.span.shape[1] for batch in self._batches)

    def tail_lengths(self, prompts: Sequence[int]) -> torch.Tensor:
        """How many tokens the tails have, ``[n]``, in the order given."""
        layouts = torch.tensor([self._batches[self._places[int(prompt)][0]].layout for prompt in prompts])
        return layouts[:, 0] - layouts[:, 1]

    def _put_away(self, number: int, tensors: Mapping[str, torch.Tensor]) -> Path:
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="subspace-illusion-"))
            weakref.finalize(self, remove, self._folder)  # which is done at exit too
        file = self._folder / f"{number:05}.safetensors"
        try:
            write_tensors(file, tensors)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"what is recorded cannot be written to {self._folder} ({one_line(error)}): let TMPDIR name a folder "
                "with room, or keep more in memory (recorded_gb)"
            ) from error
        return file

    def _gathered(
        self, prompts: Sequence[int], of_batch: Callable[[_Batch, torch.Tensor], Part]
    ) -> tuple[list[Part], torch.Tensor]:
        """What a function gives of every batch and its rows that are asked for; and the index ``[n]`` that puts rows
        side by side into the order given."""
        places = torch.tensor([self._places[int(prompt)] for prompt in prompts])
        parts, order = [], []
        for number in places[:, 0].unique().tolist():
            here = (places[:, 0] == number).nonzero().flatten()
            parts.append(of_batch(self._batches[number], places[here, 1]))
            order.append(here)
        return parts, torch.cat(order).argsort()


@dataclass(frozen=True)
class ByToken:
    """The same prompts, read at each token of their spans."""

    recorded: Recorded

    def at(self, site: Site, prompts: Sequence[int]) -> torch.Tensor:
        """Activations ``[n, longest span, d]``, as ``Recorded.at_tokens`` gives them."""
        return self.recorded.at_tokens(site, prompts)

    def tail(self, start: int, prompts: Sequence[int]) -> Tail:
        """As ``Recorded`` has them."""
        return self.recorded.tail(start, prompts)

    def tail_lengths(self, prompts: Sequence[int]) -> torch.Tensor:
        """As ``Recorded`` has them."""
        return self.recorded.tail_lengths(prompts)


_IDS = "ids"


def _name(site: Site, by_token: bool = False) -> str:
    return f"{'tokens' if by_token else 'at'}.{site.name}"
