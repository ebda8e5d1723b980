"""Where a model lies: a folder of one's own and a snapshot of the hub are opened in place, and known again by hashes.

A folder such as ``data/model`` then holds one file, ``source.json``:

| key | value |
| --- | --- |
| ``path`` | the folder with the model; or |
| ``repository``, ``revision`` | the commit on the hub, which lies in the hub's cache on this machine |
| ``files`` | by name: ``sha256``; ``size`` in bytes; of a folder of one's own ``written``, its time in nanoseconds |
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from subspace_illusion.errors import InputError
from subspace_illusion.files import read_json, sha256, write_json

POINTER = "source.json"
CONFIG = "config.json"
WEIGHTS = "*.safetensors"
FILES = (WEIGHTS, "*.json", "vocab.txt", "merges.txt", "*.model", "*.jinja")
"""What is read of a model: weights, configuration, tokenizer and chat template."""
AGAIN = "run dvc repro --force fetch_model"


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that opening it may read, by name."""
    return sorted(path for pattern in FILES for path in folder.glob(pattern) if path.is_file())


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file of a model, by name.

    Args:
        folder: The model's folder, or one that points at it.

    Raises:
        InputError: As ``model_folder`` does.
    """
    return {file.name: sha256(file) for file in model_files(model_folder(folder))}


def point_at_folder(source: Path, folder: Path) -> None:
    """Makes ``folder`` point at a model in a folder of one's own."""
    files = {name: known | dict(written=(source / name).stat().st_mtime_ns) for name, known in _noted(source).items()}
    write_json(folder / POINTER, dict(path=str(source.resolve()), files=files))


def point_at_hub(repository: str, revision: str, snapshot: Path, folder: Path) -> None:
    """Makes ``folder`` point at a commit on the hub; the same file on every machine.

    Args:
        repository: Its name on the hub.
        revision: The commit.
        snapshot: Where the hub's cache has it.
        folder: The folder that is to point at it.
    """
    write_json(folder / POINTER, dict(repository=repository, revision=revision, files=_noted(snapshot)))


def _noted(folder: Path) -> dict[str, dict[str, Any]]:
    """Hash and size of every file of a model."""
    return {file.name: dict(sha256=sha256(file), size=file.stat().st_size) for file in model_files(folder)}


def pointer_of(folder: Path) -> Mapping[str, Any] | None:
    """What a folder says about where its model lies; ``None`` where it holds the model itself."""
    points = (folder / POINTER).is_file() and not (folder / CONFIG).exists()
    return read_json(folder / POINTER) if points else None


def model_folder(folder: Path) -> Path:
    """The folder in which a model really lies, the pointer followed, and its files still those noted there.

    A file of the size and time noted, or which the hub's cache keeps under the hash noted, counts as the same; any
    other is hashed, once in a process.

    Args:
        folder: The model's folder, or one that points at it.

    Raises:
        InputError: If the model has gone, or a file of it is another.
    """
    pointer = pointer_of(folder)
    if pointer is None:
        return folder
    place = _place(pointer)
    there = {file.name: file for file in model_files(place)}
    noted = pointer["files"]
    for name in sorted({*there, *noted}):
        if not (name in there and name in noted and _is_as_noted(there[name], noted[name])):
            raise InputError(f"{_words(pointer)} has changed since it was fetched ({name}): {AGAIN}")
    return place


def _is_as_noted(file: Path, noted: Mapping[str, Any]) -> bool:
    found = file.stat()
    if found.st_size != noted["size"]:
        return False
    kept_by_hash = file.resolve().name == noted["sha256"]
    return kept_by_hash or found.st_mtime_ns == noted.get("written") or sha256(file) == noted["sha256"]


def _place(pointer: Mapping[str, Any]) -> Path:
    """Where a pointer's model lies on this machine.

    Raises:
        InputError: If it has gone.
    """
    if "path" in pointer:
        place = Path(pointer["path"])
        if not place.is_dir():
            raise InputError(f"the model's folder {place} has gone: bring it back, or set model.path and {AGAIN}")
        return place
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(pointer["repository"], revision=pointer["revision"], local_files_only=True))
    except Exception as error:  # the client raises its own and the operating system's
        raise InputError(f"{_words(pointer)} has gone from the hub's cache on this machine: {AGAIN}") from error


def _words(pointer: Mapping[str, Any]) -> str:
    return pointer["path"] if "path" in pointer else f"{pointer['repository']} at {pointer['revision']}"
