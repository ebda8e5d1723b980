"""Ordinary text as token sequences: sampled from the model itself, from files, or from a dataset (E9, E10)."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.core.checkpoints import Tokenizer, first_line
from subspace_illusion.core.seeds import numpy_generator
from subspace_illusion.errors import InputError

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
        InputError: If the text is too short.
    """
    size = CHARACTERS * length
    pieces = [text[start : start + size] for text in documents for start in range(0, len(text), size)]
    rows: list[list[int]] = []
    for piece in numpy_generator(seed, "text").permutation(len(pieces)):
        if len(rows) == sequences:
            break
        tokens = tokenizer.encode(pieces[piece])
        if len(tokens) >= length:
            rows.append(tokens[:length])
    if len(rows) < sequences:
        raise InputError(
            f"the text is too short: it gives {len(rows)} sequences of {length} tokens, and {sequences} are wanted; "
            "take more text, or fewer or shorter sequences"
        )
    return torch.tensor(rows)
