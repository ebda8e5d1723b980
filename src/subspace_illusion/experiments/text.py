"""Ordinary text for E9 and E10: token sequences, and what their positions serve for.

Positions of one sequence know of one another, so whole sequences are held out: those that are measured on, and among
the others those on which the strength of a regularisation is chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from subspace_illusion.core.seeds import numpy_generator, torch_generator
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError

SKIPPED = 8
"""First positions of a sequence, which are left out: models park massive activations there, a hundred times the norm
anywhere else, so that a handful of positions would decide every mean and every regression."""

VALIDATION = 0.25
"""Share of the training part's sequences on which the strength of the regularisation is chosen."""

CHARACTERS = 8
"""Characters of text for every token wanted: ordinary text has four to six in a token, so a piece is long enough."""


def tokenise(tokenizer: Tokenizer, documents: Sequence[str], sequences: int, length: int, seed: int) -> torch.Tensor:
    """Sequences from pieces of the documents, drawn without replacement.

    Args:
        tokenizer: The model's.
        documents: Texts of any length.
        sequences: How many.
        length: Tokens in each.
        seed: Seed of the draw.

    Returns:
        Token ids, ``[sequences, length]``.

    Raises:
        InputError: If the text is too short, or has a token that the model does not take.
    """
    size = CHARACTERS * length
    pieces = [text[start : start + size] for text in documents for start in range(0, len(text), size)]
    rows: list[list[int]] = []
    for piece in numpy_generator(seed, "text").permutation(len(pieces)):
        if len(rows) == sequences:
            break
        tokens = tokenizer.encode(pieces[piece])
        if len(tokens) >= length:
            tokenizer.check("the text", tokens[:length])
            rows.append(tokens[:length])
    if len(rows) < sequences:
        raise InputError(
            f"the text is too short: it gives {len(rows)} sequences of {length} tokens, and {sequences} are wanted; "
            "take more text, or fewer or shorter sequences"
        )
    return torch.tensor(rows)


@dataclass(frozen=True)
class Rows:
    """Token positions in random order.

    Attributes:
        sequence: The sequence of each, ``[n]``.
        position: The position in it, ``[n]``.
        training: Whether it is in the training part, ``[n]``; a sequence is there as a whole or not at all.
    """

    sequence: torch.Tensor
    position: torch.Tensor
    training: torch.Tensor

    @property
    def places(self) -> torch.Tensor:
        """``[n, 2]``: the sequence, and the position in it."""
        return torch.stack([self.sequence, self.position], 1)

    @property
    def validation(self) -> torch.Tensor:
        """The rows of the training part on which a strength is chosen ``[n]``: whole sequences again."""
        of_training = self.sequence[self.training].unique()
        return torch.isin(self.sequence, of_training[-max(1, round(VALIDATION * len(of_training))) :])


@dataclass(frozen=True)
class Text:
    """What the stage ``cache_text`` leaves for the experiments.

    Attributes:
        tokens: Token ids, ``[sequences, length]``.
        rows: The positions chosen.
        residuals: The residual stream immediately before each block's MLP at these positions, ``[n, d_model]`` each.
    """

    tokens: torch.Tensor
    rows: Rows
    residuals: Sequence[torch.Tensor]

    def tensors(self) -> dict[str, torch.Tensor]:
        """Everything by name, for a file."""
        return {"tokens": self.tokens} | vars(self.rows) | {f"residual.{i}": x for i, x in enumerate(self.residuals)}

    @classmethod
    def of(cls, tensors: Mapping[str, torch.Tensor]) -> "Text":
        """From what ``tensors`` gave."""
        blocks = sum(name.startswith("residual.") for name in tensors)
        rows = Rows(tensors["sequence"], tensors["position"], tensors["training"])
        return cls(tensors["tokens"], rows, [tensors[f"residual.{i}"] for i in range(blocks)])


def choose_rows(sequences: int, length: int, positions: int, train: int, seed: int) -> Rows:
    """Draws sequences for the training part, and positions without replacement from all but the first of a sequence.

    Args:
        sequences: How many there are.
        length: Tokens in each.
        positions: How many to draw.
        train: How many of them from sequences of the training part.
        seed: Seed of the draws.

    Raises:
        InputError: If there are too few, or too few sequences for whole ones to be held out.
    """
    usable = max(0, length - SKIPPED)
    if sequences * usable < positions:
        raise InputError(
            f"cache_text: {sequences} sequences of {length} tokens hold {sequences * usable} positions after the "
            f"first {SKIPPED} of each, and {positions} are wanted: take more or longer sequences, or fewer positions"
        )
    # Two sequences at least to train on, one of them for the strength of the regularisation.
    least, most = max(2, -(-train // usable)), sequences - -(-(positions - train) // usable)
    if least > most:
        raise InputError(
            f"cache_text.sequences: whole sequences are held out, and {sequences} of {usable} usable positions do "
            f"not part into {train} positions to train on (2 sequences at least) and {positions - train} others: take "
            "more sequences, or fewer cache_text.positions"
        )
    kept = min(max(round(sequences * train / positions), least), most)
    order = torch.randperm(sequences, generator=torch_generator(seed, "held-out sequences"))
    drawn: list[torch.Tensor] = []
    for part, wanted in ((order[:kept], train), (order[kept:], positions - train)):
        places = torch.cartesian_prod(part.sort().values, torch.arange(SKIPPED, length))
        generator = torch_generator(seed, "positions", len(drawn))
        drawn.append(places[torch.randperm(len(places), generator=generator)[:wanted]])
    sequence, position = torch.cat(drawn).T
    return Rows(sequence.contiguous(), position.contiguous(), torch.arange(positions) < train)
