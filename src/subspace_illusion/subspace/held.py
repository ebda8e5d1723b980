"""What a file with directions holds, whoever wrote it: its tensors by name, and what it says beside them."""

import json
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.files import check_has_content, check_is_no_address, one_line, read_safetensors

CONTROL_VECTOR = re.compile(r"direction\.(\d+)")
"""What a gguf control vector calls the direction that is added to the output of a block."""
_SAES = (
    ("SAELens", "sae_weights.safetensors", "cfg.json"),
    ("sparsify", "sae.safetensors", "cfg.json"),
    ("dictionary_learning", "ae.pt", "config.json"),
)
"""The tools that save an SAE as a folder: its weights and its configuration."""
_NUMBERS = "biufc"
"""The kinds of numpy's arrays that hold numbers."""
_OF_NUMPY = b"\x93NUMPY"
"""How an array of numpy begins, whatever the file is called."""
_PICKLES = (".pkl", ".pickle", ".joblib", ".sav", ".dill")
_TEXTS = {".csv": ", delimiter=','", ".tsv": "", ".txt": ""}
"""Tables of text, and what numpy has to be told of what stands between their cells, if it is no white space."""
_BESIDE = ("{}_metadata.json", "{}.json")
"""How a file is called that says of another, by that one's name, where it is from."""


@dataclass(frozen=True)
class Held:
    """What a file holds.

    Attributes:
        tensors: By name; one that has none goes by the empty one. The names inside of dictionaries and lists are joined
            by dots.
        said: The numbers and words beside them, by name: in the file itself, its metadata or its folder.
        tool: Whose layout it is, where that can be told from the file's or the folder's name.
    """

    tensors: Mapping[str, torch.Tensor]
    said: Mapping[str, Any]
    tool: str = ""


def read_held(file: Path) -> Held:
    """Reads a file or a folder; nothing in it is unpickled but tensors.

    Raises:
        InputError: If it is missing, of another kind, refused or broken, or holds no tensors.
    """
    check_is_no_address(file)
    if file.is_dir():
        return _read_folder(file)
    if (suffix := file.suffix.lower()) in _PICKLES:
        raise InputError(f"{file} is a pickle, which may run anything when it is opened; {_alone(file, 'joblib')}")
    if suffix in _TEXTS:
        saved = f"numpy.save('{file.with_suffix('.npy')}', numpy.loadtxt('{file}'{_TEXTS[suffix]}))"
        raise InputError(
            f'{file} is a table of text; save its numbers alone: python -c "import numpy; {saved}" (skiprows=1 leaves '
            "out a line of names, usecols=1 takes a column)"
        )
    read = READERS.get(suffix)
    if read is None and (suffix or file.exists()):
        raise InputError(f"{file} is none of {', '.join(READERS)}; save the subspace as one of these")
    if read is None or not file.is_file():
        raise InputError(f"{file} is not there; name a file with a subspace")
    check_has_content(file)
    if any(file.name == weights and (file.parent / config).is_file() for _, weights, config in _SAES):
        return _read_folder(file.parent)
    held = _apart(file, read(file), "gguf" if suffix == ".gguf" else "")
    return replace(held, said={**_said_beside(file), **held.said})


def _said_beside(file: Path) -> dict[str, Any]:
    """The numbers and words of a configuration that lies beside a file and is called after it; none where none does."""
    said: dict[str, Any] = {}
    for path in (file.with_name(name.format(file.stem)) for name in _BESIDE):
        if path != file and path.is_file():
            try:
                config = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                continue
            said |= dict(_inside(config, path.name)) if isinstance(config, dict) else {}
    return {name: value for name, value in said.items() if isinstance(value, str | int | float)}


def _apart(file: Path, found: Mapping[str, Any], tool: str = "") -> Held:
    """Tensors, and what stands beside them; where there are longer ones, those of one number are numbers.

    Raises:
        InputError: If there are no tensors.
    """
    entries = {name: value for name, value in found.items() if isinstance(value, torch.Tensor) and not value.is_meta}
    long = {name: value for name, value in entries.items() if value.numel() != 1}
    tensors = long or {name: value for name, value in entries.items() if value.ndim} or entries
    if not tensors:
        raise InputError(f"{file} holds no tensors; save the subspace's tensor in it")
    numbers = {name: value.item() for name, value in entries.items() if name not in tensors}
    said = {name: value for name, value in found.items() if isinstance(value, str | int | float)}
    return Held(tensors, said | numbers, tool)


def _inside(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """What dictionaries and lists hold, however deep, by the names on the way to it; a list's only tensor, such as what
    a module's outputs begin with, goes by the list's own name."""
    if isinstance(value, Mapping | list | tuple):
        named = dict(value.items() if isinstance(value, Mapping) else enumerate(value))
        tensors = [inner for inner, entry in named.items() if isinstance(entry, torch.Tensor)]
        if not isinstance(value, Mapping) and len(tensors) == 1:
            yield name, named.pop(tensors[0])
        for inner, entry in named.items():
            yield from _inside(entry, f"{name}.{inner}" if name else str(inner))
    else:
        yield name, value


def _read_folder(folder: Path) -> Held:
    """An SAE, as one of the tools that are known saves it, with what its configuration says.

    Raises:
        InputError: If the folder is none, or its configuration cannot be read.
    """
    for tool, weights, config in _SAES:
        if (folder / weights).is_file() and (folder / config).is_file():
            found = READERS[Path(weights).suffix](folder / weights)
            found |= dict(_inside(_read_config(folder / config), config))
            # sparsify calls the folder as transformers calls the module.
            found |= dict(hookpoint=folder.resolve().name) if tool == "sparsify" else {}
            return _apart(folder, found, tool)
    for _, weights, config in _SAES:
        if (folder / weights).is_file():
            raise InputError(f"{folder} is a folder without {config}; name a file, or a folder that SAELens saved")
    known = " or ".join(weights for _, weights, _ in _SAES)
    inner = sorted(path.parent.name for _, weights, _ in _SAES for path in folder.glob(f"*/{weights}"))
    which = f"; it has folders that do: name one, as in {folder / inner[0]}" if inner else "; name a file"
    raise InputError(
        f"{folder} is a folder without {known}, so no SAE of {', '.join(tool for tool, *_ in _SAES)}{which}"
    )


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} is no object with settings; name a folder that SAELens saved")
    return config


def _read_safetensors(file: Path) -> dict[str, Any]:
    tensors, about = read_safetensors(file)
    return about | tensors


def _read_numpy(file: Path) -> dict[str, Any]:
    """An array, or those of an archive, whatever the file is called."""
    if zipfile.is_zipfile(file) and any(name.endswith("data.pkl") for name in zipfile.ZipFile(file).namelist()):
        raise InputError(f"{file} is a file of torch.save; call it .pt")
    try:
        opened = np.load(file, allow_pickle=False, mmap_mode="c")
        if not isinstance(opened, np.ndarray):
            with opened:
                return {name: _from_archive(opened, name) for name in opened.files}
    except Exception as error:  # numpy promises none in particular for a broken file
        if isinstance(error, ValueError) and re.search("pickle|Python objects", str(error)):
            raise InputError(
                f"{file} holds no array of numbers (pickled objects are not opened); save one with np.save or "
                "safetensors"
            ) from error
        raise InputError(f"{file} cannot be read as {file.suffix[1:]}: {one_line(error)}") from error
    if opened.dtype.kind not in _NUMBERS:
        raise not_floats(str(file), str(opened.dtype))
    return {"": _tensor(opened)}


def _from_archive(archive: Any, name: str) -> torch.Tensor | str | None:
    """A tensor or a word; ``None`` for anything else, such as what would have to be unpickled."""
    try:
        array = archive[name]
    except ValueError:
        return None
    if array.dtype.kind in _NUMBERS:
        return _tensor(array)
    return str(array.item()) if array.dtype.kind == "U" and array.size == 1 else None


def _tensor(array: np.ndarray) -> torch.Tensor:
    """The tensor of numbers; torch takes no other byte order than the machine's and no long double."""
    size = min(array.itemsize, 8) if array.dtype.kind == "f" else array.itemsize
    return torch.from_numpy(np.asarray(array.astype(f"{array.dtype.kind}{size}", copy=False)))


def _read_torch(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        is_of_numpy = opened.read(len(_OF_NUMPY)) == _OF_NUMPY
    if is_of_numpy:
        raise InputError(f"{file} is a file of numpy.save; call it .npy")
    try:
        with warnings.catch_warnings(action="ignore"):
            value = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message is several lines long and says how to open the file all the same.
        tool = "torch" if zipfile.is_zipfile(file) else "joblib"
        raise InputError(
            f"{file} cannot be opened without unpickling more than tensors, which is refused; {_alone(file, tool)}"
        ) from error
    except Exception as error:  # a broken pickle may raise anything
        # What torch says behind its first sentence is how to open the file all the same.
        said = f"{type(error).__name__} {one_line(error)}".partition(". ")[0]
        raise InputError(f"{file} cannot be read as a torch file: {said}; save a tensor anew") from error
    if not isinstance(value, torch.Tensor | Mapping | list | tuple):
        raise InputError(f"{file} holds a {type(value).__name__}; save a tensor, or a dict of tensors by name")
    return dict(_inside(value))


def _read_gguf(file: Path) -> dict[str, Any]:
    """The directions of a control vector; a whole model has none."""
    import gguf

    try:
        reader = gguf.GGUFReader(file)
        tensors = {
            tensor.name: torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
            for tensor in reader.tensors
            if CONTROL_VECTOR.fullmatch(tensor.name)
        }
        return {name: field.contents() for name, field in reader.fields.items() if name.startswith("control")} | tensors
    except Exception as error:  # what a broken file raises is not documented
        raise InputError(f"{file} cannot be read as gguf: {type(error).__name__} {one_line(error)}") from error


def _read_json(file: Path) -> dict[str, Any]:
    """The lists of numbers, however deep."""
    try:
        return dict(_inside(_with_tensors(json.loads(file.read_text(encoding="utf-8-sig")))))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as json: {one_line(error)}") from error


def _with_tensors(value: Any) -> Any:
    """What JSON says, with tensors for its lists of numbers."""
    if isinstance(value, dict):
        return {name: _with_tensors(inner) for name, inner in value.items()}
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value)
    except ValueError:  # lists of different lengths
        return [_with_tensors(inner) for inner in value]
    return _tensor(array) if array.dtype.kind in _NUMBERS else [_with_tensors(inner) for inner in value]


READERS: Mapping[str, Callable[[Path], dict[str, Any]]] = {
    ".safetensors": _read_safetensors,
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".bin": _read_torch,
    ".gguf": _read_gguf,
    ".json": _read_json,
}
"""By a file's ending how it is read; each gives tensors, numbers and words by name."""


def _alone(file: Path, tool: str) -> str:
    """How somebody who trusts a pickle saves the numbers in it alone."""
    load = f"joblib.load('{file}')" if tool == "joblib" else f"torch.load('{file}', weights_only=False)"
    return (
        "save the vector alone, if you trust the file: "
        f"python -c \"import numpy, {tool}; numpy.save('{file.with_suffix('.npy')}', {load})\" "
        "(with what is meant behind the load: a probe's .coef_, a module's .weight.detach(), a dictionary's entry)"
    )


def not_floats(where: str, dtype: str) -> InputError:
    """What is said of a tensor of other numbers."""
    return InputError(f"{where} holds {dtype}; a subspace needs real floating-point numbers, save it as float32")
