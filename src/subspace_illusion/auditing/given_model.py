"""The model that an audit is given, whatever form it comes in, and its tokenizer."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from subspace_illusion.auditing.settings import Reading
from subspace_illusion.core.checkpoints import DTYPES, dtype_name, open_tokenizer, reopened, weights_sha256
from subspace_illusion.core.fetch import open_source
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import open_model, wrap_bridge
from subspace_illusion.core.placed import placed_on
from subspace_illusion.core.tokenizer import Bos, Limits, Tokenizer
from subspace_illusion.errors import InputError


@dataclass(frozen=True)
class GivenModel:
    """A model that is open, and what is known of where it comes from, as values of JSON.

    Attributes:
        model: The model.
        about: What is known.
        folder: Where its weights lie, if that is known.
    """

    model: Model
    about: Mapping[str, Any]
    folder: Path | None = None

    def digest(self) -> str | None:
        """The sha256 of the weights, where they lie in a folder."""
        return None if self.folder is None else weights_sha256(self.folder)


def given_model(given: Any, reading: Reading, tokenizer: Tokenizer) -> GivenModel:
    """The model, from a folder, a name on the hub, a TransformerBridge or what ``open_model`` gives.

    Args:
        given: Any of these, of which ``given_tokenizer`` has made sure; what is open stays in its own dtype.
        reading: Says what the weights are kept in, and where; ``auto`` is the dtype that they are saved, or open, in.
        tokenizer: Its tokenizer, of ``given_tokenizer``.

    Raises:
        InputError: If it cannot be audited, or is open in another dtype than asked for, or where it is.
    """
    if isinstance(given, str | Path):
        folder, source = open_source(str(given))
        model = open_model(folder, dtype=reading.dtype, device_map=reading.device_map, tokenizer=tokenizer)
        return GivenModel(model, _about(model) | source, folder)
    if isinstance(given, Model):
        return _opened(given, reading)
    if (found := next(given.parameters()).dtype) not in DTYPES.values():
        raise InputError(f"the model's weights are {dtype_name(found)}: make them float32, model.float()")
    return _opened(wrap_bridge(given, Tokenizer(given.tokenizer)), reading)


def _opened(model: Model, reading: Reading) -> GivenModel:
    dtype = reading.dtype
    if reading.device_map is not None:
        raise InputError(
            "there is a device_map, but the model that is given is open already, and stays where it is: leave "
            "device_map away, or give the model's folder"
        )
    if dtype not in ("auto", dtype_name(model.dtype)):
        raise InputError(
            f"dtype is {dtype}, but the model that is given is open in {dtype_name(model.dtype)} already: leave dtype "
            "away, or give the model's folder"
        )
    return GivenModel(model, _about(model))


def given_tokenizer(given: Any, bos: Bos) -> tuple[Tokenizer, list[str]]:
    """The tokenizer of a model that is given, before its weights are read, and what is to be said of it.

    A TransformerBridge's own puts a beginning-of-sequence token (BOS) before prompts wherever there is one. So that a
    bridge and a folder of one model agree, the model's own is opened again, if it is on this machine.

    Args:
        given: As ``given_model`` takes it.
        bos: Whether a BOS stands before prompts.

    Raises:
        InputError: If it is no model, or a BOS is asked for and there is none.
    """
    notes = []
    if isinstance(given, str | Path):
        tokenizer = open_tokenizer(open_source(str(given))[0])
    elif isinstance(given, Model):
        tokenizer = given.tokenizer
    elif getattr(given, "tokenizer", None) is None or not hasattr(given, "original_model"):
        raise InputError(
            f"a {type(given).__name__} is no model to audit: give a folder, a TransformerBridge with its tokenizer, or "
            "what subspace_illusion.core.opening.open_model gives"
        )
    else:
        limits = Limits.told(given.original_model.config)
        bridged, own = Tokenizer(given.tokenizer, limits=limits), reopened(given.tokenizer)
        tokenizer = bridged if own is None else Tokenizer(own, limits=limits)
        if bos == "auto" and bridged.marker is not None and (own is None or tokenizer.marker is None):
            kept = "the model's own tokenizer puts none, and none stands here (bos says otherwise)"
            unknown = "it stands here too; a folder of the model may do without (bos says which)"
            notes.append(
                f"the TransformerBridge puts {bridged.marker} before prompts; {unknown if own is None else kept}"
            )
    tokenizer = replace(tokenizer, bos=bos)
    return tokenizer, notes


def _about(model: Model) -> dict[str, Any]:
    return dict(
        architecture=type(model.bridge.original_model).__name__,
        blocks=model.n_blocks,
        d_model=int(model.bridge.cfg.d_model),
        device=str(model.device),
        dtype=dtype_name(model.dtype),
    ) | (dict(device_map=placed) if (placed := placed_on(model.bridge.original_model)) else {})
