"""Reading and writing: outputs appear whole or not at all, and what cannot be read is named in one line."""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from subspace_illusion.errors import InputError

_POINTER = b"version https://git-lfs"
"""How a file begins that stands for one in Git LFS."""
_PAGE = re.compile(rb"\s*<(?:!doctype html|html)\b", re.IGNORECASE)
"""How a web page begins, which a download can be that went wrong."""
_BEGINNING = 64
"""Bytes of a file that tell these."""


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A place to write a file or folder that becomes ``path`` only if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    remove(partial)  # what a killed run left behind
    try:
        yield partial
        _put(partial, path)
    finally:
        remove(partial)


def _put(new: Path, path: Path) -> None:
    """Puts what is whole in its place; what is there goes only when the new stands."""
    if not path.is_dir():  # a file is replaced in one step, a folder has to make room first
        new.replace(path)
        return
    aside = path.with_name(f".{path.name}.old")
    remove(aside)
    try:
        path.replace(aside)
        new.replace(path)
    finally:
        if path.exists():
            remove(aside)
        else:
            aside.replace(path)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill that becomes ``path`` only if the block ends well."""
    with atomic_write(path) as partial:
        partial.mkdir()
        yield partial


def check_free(folder: Path, written: Sequence[str], force: bool) -> None:
    """Makes sure that a folder may be written: there is nothing in its place, or what a run like this left.

    Args:
        folder: The folder.
        written: The files that such a run writes; every run the first, which tells its folder from others.
        force: Whether an earlier run's is to make room.

    Raises:
        InputError: If something else is there, or an earlier run's that is not to make room.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is there already and is no folder: name a folder that is not there")
    held = sorted(folder.iterdir()) if folder.is_dir() else []
    ours = folder / written[0] in held
    foreign = [path.name for path in held if not (ours and path.name in written and path.is_file())]
    if foreign:
        raise InputError(
            f"{folder} is there already and holds something else ({foreign[0]}): name a folder that is not there"
        )
    if held and not force:
        raise InputError(f"{folder} is there already: name another folder, or add --force to replace it")


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def one_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split())


def first_line(error: BaseException) -> str:
    """The first line that an error has to say, with the next where it only leads to that."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else type(error).__name__


def check_is_no_address(path: Path) -> None:
    """Makes sure that what is to be a file of this machine is none of another.

    Raises:
        InputError: If it is an address.
    """
    if re.match(r"[a-z][a-z0-9]+:/", str(path)):
        raise InputError(f"{path} is an address; download the file, and name that")


def check_has_content(path: Path) -> None:
    """Makes sure that a file is no empty one, no web page, and not what Git LFS leaves in the place of a large one.

    Raises:
        InputError: If it is.
    """
    with path.open("rb") as file:
        begins = file.read(_BEGINNING)
    if not begins:
        raise InputError(f"{path} is an empty file; write or download it anew")
    if begins.startswith(_POINTER):
        raise InputError(f"{path} is a pointer of Git LFS, and not the file itself; fetch that with: git lfs pull")
    if _PAGE.match(begins):
        raise InputError(f"{path} is a web page, and not the file itself; download that file anew")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes parquet or csv, as the name says."""
    with atomic_write(path) as partial:
        if path.suffix == ".csv":
            table.to_csv(partial, index=False, lineterminator="\n")
        else:
            table.to_parquet(partial, index=False)


def read_table(path: Path, text: Sequence[str] = ()) -> pd.DataFrame:
    """Reads what ``write_table`` wrote; ``text`` names columns of a csv that hold text and look like numbers."""
    try:
        return pd.read_csv(path, dtype=dict.fromkeys(text, str)) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); remove it and run again what wrote it") from error


def read_json(path: Path) -> Any:
    """Reads what ``write_json`` wrote."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({one_line(error)}); remove it and run again what wrote it") from error


def read_yaml(path: Path) -> Any:
    """Reads a YAML file that a person wrote."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from error


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    with atomic_write(path) as partial:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file that was made here, as ``read_safetensors`` reads them.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return read_safetensors(path)[0]
    except InputError as error:
        raise InputError(f"{error}; remove it and run again what wrote it") from error


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of a safetensors file, mapped, so that only what is looked at is read from the disk; and what it says
    of them.

    Raises:
        InputError: If it cannot be read as one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            return tensors, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read as safetensors: {one_line(error)}") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not empty."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from error


def sha256(file: Path) -> str:
    """The sha256 of a file, read only if this process has not, or the file was written since."""
    found = file.stat()
    return _sha256_as_of(file, found.st_ino, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=4096)
def _sha256_as_of(file: Path, inode: int, written: int, size: int) -> str:
    with file.open("rb", buffering=0) as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def hash_of(path: Path) -> str:
    """The sha256 of a file, or of the names and hashes of all files in a folder, each as ``sha256`` gives it."""
    if not path.is_dir():
        return sha256(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    named = "".join(f"{file.relative_to(path).as_posix()} {sha256(file)}\n" for file in files)
    return hashlib.sha256(named.encode()).hexdigest()


def column(table: pd.DataFrame, name: str) -> torch.Tensor:
    """One column as a tensor of its own (pandas' arrays are not to be written to); lists of numbers become rows."""
    return torch.from_numpy(np.array(table[name].tolist()))
