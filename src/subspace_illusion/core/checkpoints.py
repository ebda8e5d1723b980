"""Checkpoints: HF folders with safetensors weights and a tokenizer, converted from gguf, checked, and read.

Only safetensors weights are read; nothing is unpickled and no code that comes with a model is run. A folder may point
at the one that holds the model (``core.pointer``).
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from subspace_illusion.core.pointer import CONFIG, WEIGHTS, hashes, model_folder
from subspace_illusion.core.seeds import derive
from subspace_illusion.core.tokenizer import Dtype, Limits, Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import check_has_content, first_line

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The dtypes that a model runs in, by name."""
ADAPTER = "adapter_config.json"
"""What a folder has that holds what was learnt beside a model, and mostly not the model."""
_UNRECOGNISED = re.compile(r"Unrecognized configuration class <class '(?:\w+\.)*(\w+)'>")
"""What transformers says of a configuration of another kind of model."""
_SAVED_AS = {"F64": torch.float32, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""What is read of safetensors by their own names for dtypes."""


def dtype_name(dtype: torch.dtype) -> str:
    """What a dtype is called, such as ``bfloat16``."""
    return str(dtype).removeprefix("torch.")


def _transformers() -> Any:
    """The transformers package, imported late (it takes seconds) and made quiet."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("accelerate").setLevel(logging.ERROR)  # it says what a device map asks for
    return transformers


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Dequantises a gguf file once, to float32 safetensors, configuration and tokenizer in ``folder``.

    Raises:
        InputError: If the file is no gguf of a causal language model.
    """
    transformers = _transformers()
    where: dict[str, Any] = dict(pretrained_model_name_or_path=str(gguf.parent), gguf_file=gguf.name)
    try:
        with _reading_once():
            model = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
            tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
    except (ValueError, OSError, KeyError, ImportError) as error:
        raise InputError(f"{gguf.name} cannot be read as a gguf model: {first_line(error)}") from error
    # The model still calls itself quantised, and transformers would refuse to save it.
    del model.config.quantization_config
    model.hf_quantizer = None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@contextmanager
def _reading_once() -> Iterator[None]:
    """Has the gguf package read a file, and make its table of names, once within. transformers asks anew for
    configuration, weights and tokenizer, and for each of a model's some hundred modules, which takes most of the time.
    """
    gguf = import_module("gguf")  # which an extra brings, and transformers imports
    asked: dict[str, Any] = {name: getattr(gguf, name) for name in ("GGUFReader", "get_tensor_name_map")}
    for name, made in asked.items():
        setattr(gguf, name, cache(made))
    try:
        yield
    finally:
        for name, made in asked.items():
            setattr(gguf, name, made)


def check_folder(folder: Path) -> None:
    """Makes sure that a folder holds a model that can be opened, without reading its weights.

    Raises:
        InputError: If it holds no causal language model with safetensors weights and a tokenizer, or they do not fit.
    """
    check_config(folder)
    weights = sorted(folder.glob(WEIGHTS))
    if not weights:
        raise InputError(
            f"{folder} holds no model that can be read: it has no safetensors weights; where it has others, "
            "save_pretrained of transformers writes these"
        )
    try:
        for file in weights:
            check_has_content(file)
            with safe_open(file, framework="pt"):  # which reads the header, and that the file is as long as it says
                pass
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} holds no weights that can be read: {first_line(error)}") from error
    numbers = sorted({kind for name, kind, _ in _saved(folder) if name.endswith(".weight")} - {*_SAVED_AS})
    if numbers and getattr(read_config(folder), "quantization_config", None) is None:
        raise InputError(
            f"{folder} has weights in {numbers[0]}, and a {CONFIG} that does not say how they were quantised: give the "
            f"model in {', '.join(DTYPES)}"
        )
    meta_model(folder)
    open_tokenizer(folder)


def meta_model(folder: Path) -> Any:
    """The model of an HF folder without its weights: shapes alone, which take no memory.

    Raises:
        InputError: If its configuration is of none.
    """
    config = read_config(folder)
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            return _transformers().AutoModelForCausalLM.from_config(config)
    except Exception as error:  # every architecture raises its own
        raise InputError(f"{folder} holds no model that can be read: {_said_by(error)}") from error


def _said_by(error: Exception) -> str:
    """The first line of what transformers raises, in words where it has none."""
    if isinstance(error, KeyError):
        return f"its {CONFIG} has {first_line(error)}, which transformers does not know"
    if unknown := _UNRECOGNISED.match(str(error)):
        return f"a {unknown[1]} is no configuration of a causal language model"
    return first_line(error)


def check_config(folder: Path) -> None:
    """Makes sure that a folder is one of a model.

    Raises:
        InputError: If it has no configuration, or is an adapter's.
    """
    if (folder / ADAPTER).is_file():
        raise InputError(
            f"{folder} has an {ADAPTER}: an adapter is no model by itself; give a folder with its base alone, or with "
            "both merged, which merge_and_unload of peft does"
        )
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} is no model folder: it has no {CONFIG}")


def load_model(folder: Path, dtype: Dtype = "float32", device_map: Any = None) -> Any:
    """The model of an HF folder.

    Args:
        folder: The folder, or one that points at it. Nothing is written there, whatever happens to the model.
        dtype: What its weights are kept in.
        device_map: Where its modules go (``core.placed``); ``None`` for the processor's memory. What is to be on disk
            stays in the folder's own files, but for weights that are saved otherwise than they are computed with, such
            as experts one by one: these go to a temporary folder (``TMPDIR``) for as long as the model lives.

    Raises:
        InputError: If there is none that can be read.
    """
    place = model_folder(folder)
    check_config(place)
    kept_in = saved_dtype(place) if dtype == "auto" else DTYPES[dtype]
    where: dict[str, Any] = dict(use_safetensors=True, local_files_only=True, device_map=device_map)
    offloaded = TemporaryDirectory(prefix="subspace-illusion-")
    try:
        with torch.random.fork_rng(devices=[]):  # loading draws from torch's global stream
            model, loaded = _transformers().AutoModelForCausalLM.from_pretrained(
                place,
                dtype=kept_in,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # which are refused below, by name
                offload_folder=offloaded.name,
                **where,
            )
    except Exception as error:  # safetensors, transformers and the JSON parser each raise their own
        raise InputError(f"{place} holds no model that can be read: {_said_by(error)}") from error
    if unlike := sorted(loaded["mismatched_keys"]):
        name, saved, told = unlike[0]
        raise InputError(
            f"{place} has {name} of shape {tuple(saved)}, and a {CONFIG} that tells of {tuple(told)}: give it the "
            "configuration that its weights were trained with"
        )
    if lacking := sorted(loaded["missing_keys"]):  # transformers draws them at random
        own = (getattr(model.config, "architectures", None) or [type(model).__name__])[0]
        called = "" if own == type(model).__name__ else f" ({CONFIG} calls itself that of a {own})"
        raise InputError(
            f"{place} has no weights for {lacking[0]}{f' and {len(lacking) - 1} others' if lacking[1:] else ''} of the "
            f"{type(model).__name__} that would run{called}: give the folder of a whole language model"
        )
    if beside := sorted(name for name in loaded["unexpected_keys"] if _is_left_out(model, name)):
        raise InputError(
            f"{place} has weights, {beside[0]}{f' and {len(beside) - 1} others' if beside[1:] else ''}, that {CONFIG} "
            "leaves out, so another model would run: give it the configuration that they were trained with"
        )
    weakref.finalize(model, offloaded.cleanup)
    return model


def _is_left_out(model: Any, name: str) -> bool:
    """Whether a weight that was saved, and not loaded, has its place in a model: a bias of a linear module that has
    none, or what is in an earlier block too. Blocks that only help to predict further tokens are no part of it."""
    around, _, leaf = name.rpartition(".")
    if leaf in getattr(dict(model.named_modules()).get(around), "_parameters", ()):
        return True
    if getattr(model.config, "num_nextn_predict_layers", None):
        return False
    return re.sub(r"\.\d+\.", ".0.", name, count=1) in dict(model.named_parameters())


def saved_dtype(folder: Path) -> torch.dtype:
    """What most of a model's weights are saved in, as the headers of its safetensors say; their configuration may say
    something else.

    Raises:
        InputError: If no model runs in that, as where weights are quantised.
    """
    numbers: Counter[str] = Counter()
    for _, kind, shape in _saved(folder):
        numbers[kind] += math.prod(shape)
    most = max(numbers, key=numbers.__getitem__, default="none")
    if most not in _SAVED_AS:
        raise InputError(
            f"{folder} has its weights in {most}, in which no model runs here: name another with dtype, "
            f"{', '.join(DTYPES)}"
        )
    return _SAVED_AS[most]


def _saved(folder: Path) -> Iterator[tuple[str, str, Sequence[int]]]:
    """Name, dtype (as safetensors call it) and shape of every tensor of a model, as the headers say."""
    for file in sorted(folder.glob(WEIGHTS)):
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                saved = opened.get_slice(name)
                yield name, saved.get_dtype(), saved.get_shape()


def weights_sha256(folder: Path) -> str:
    """The hash of a model's weights: of the one safetensors file of its folder, or of the hashes of several."""
    found = [digest for name, digest in hashes(folder).items() if Path(name).match(WEIGHTS)]
    return found[0] if len(found) == 1 else hashlib.sha256("".join(found).encode()).hexdigest()


def read_config(folder: Path) -> Any:
    """The configuration of an HF folder's model.

    Args:
        folder: The folder, or one that points at it.

    Raises:
        InputError: If the folder holds none that can be read.
    """
    place = model_folder(folder)
    try:
        config = _transformers().AutoConfig.from_pretrained(place, local_files_only=True)
    except Exception as error:  # transformers and the JSON parser each raise their own
        raise InputError(f"{place} holds no configuration that can be read: {_said_by(error)}") from error
    if getattr(config, "is_encoder_decoder", False):
        raise InputError(
            f"{place} holds a {config.model_type}, an encoder with a decoder: give a causal language model, which has "
            "one row of blocks"
        )
    return config


def random_model(folder: Path, seed: int) -> Any:
    """A model of the same architecture as an HF folder's, with the weights that its own initialisation draws (E12).

    Raises:
        InputError: If the folder holds no configuration that can be read.
    """
    config = read_config(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "random model"))
        return _transformers().AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def open_tokenizer(folder: Path) -> Tokenizer:
    """Opens the tokenizer of an HF folder.

    Args:
        folder: The folder, or one that points at it.

    Raises:
        InputError: If the folder holds none, or no configuration.
    """
    place = model_folder(folder)
    try:
        hf = _transformers().AutoTokenizer.from_pretrained(place, local_files_only=True)
    except Exception as error:  # transformers and the JSON parser each raise their own
        # Where there is none, transformers lists what it would take.
        said = "" if "instantiate the backend tokenizer" in str(error) else f" ({first_line(error)})"
        raise InputError(
            f"{place} holds no tokenizer that can be read{said}: copy the model's there, tokenizer.json and "
            "tokenizer_config.json"
        ) from error
    return Tokenizer(hf, limits=Limits.told(read_config(folder)))


def reopened(tokenizer: Any) -> Any | None:
    """A tokenizer as it was before somebody changed it, opened from where it was; ``None`` where that is not here."""
    try:
        own = _transformers().AutoTokenizer.from_pretrained(tokenizer.name_or_path, local_files_only=True)
    except Exception:  # whatever transformers and the hub's client raise
        return None
    return own if own.get_vocab() == tokenizer.get_vocab() else None
