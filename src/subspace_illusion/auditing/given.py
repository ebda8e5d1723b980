"""What an audit is given, whatever form it comes in: a model, pairs, hooks, subspaces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from subspace_illusion.auditing.settings import Reading
from subspace_illusion.core.checkpoints import DTYPES, dtype_name, open_tokenizer, reopened, weights_sha256
from subspace_illusion.core.fetch import open_source
from subspace_illusion.core.model import Model, open_model, wrap_bridge
from subspace_illusion.core.placed import placed_on
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tokenizer import Bos, Limits, Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import sha256
from subspace_illusion.subspace.keys import LABELS, is_label
from subspace_illusion.subspace.user_subspaces import UserSubspace, parse_spec, read_user_subspace, user_subspace
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.tasks.pairs_file import RawPairs
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.rows import read_rows
from subspace_illusion.tasks.table import Span
from subspace_illusion.tasks.tokenise import Tokenised

EVERY = "blocks.*."
"""How a hook begins that names a component of every block."""


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
            "what subspace_illusion.core.model.open_model gives"
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


@dataclass(frozen=True)
class GivenPairs:
    """A raw table of pairs.

    Attributes:
        raw: The table.
        about: Where it is from, as values of JSON.
    """

    raw: RawPairs
    about: Mapping[str, Any]

    def read(
        self,
        tokenizer: Tokenizer,
        reading: Reading,
        test_share: float,
        *,
        said: Sequence[str] = (),
        span: Span = "last",
    ) -> tuple[Tokenised, AsRead]:
        """The tables of prompts and of pairs for a model, before its weights are read; and how they were read.

        Args:
            tokenizer: The model's, of ``given_tokenizer``.
            reading: How they are read.
            test_share: Share of the groups that make up the test split.
            said: What is to be said of the tokenizer.
            span: Which tokens of a position of several count.

        Raises:
            InputError: If rows are wrong, and are not to be left out.
        """
        found = self.raw.tokenised(tokenizer, test_share, reading.seed, span)
        return found, AsRead.from_tables(found.prompts, found.pairs, [*said, *found.notes], tokenizer)


def given_pairs(given: Any, reading: Reading) -> GivenPairs:
    """The raw table of pairs; what is wrong with its rows is kept beside it.

    Args:
        given: A file, a data frame, a list of rows, or a mapping of columns.
        reading: How they are read.

    Raises:
        InputError: If it is none of these, or no table of pairs; not if rows of one are wrong.
    """
    if isinstance(given, str | Path):
        path = Path(given)
        raw = RawPairs.read(read_rows(path), str(path), reading)
        return GivenPairs(raw, dict(file=path.name, sha256=sha256(path)) | _told(raw))
    try:
        table = pd.DataFrame(given)
        if any(name is not None for name in table.index.names):
            table = table.reset_index()
        rows = table.to_dict("records")
    except (ValueError, TypeError) as error:
        raise InputError(
            f"a {type(given).__name__} is no table of pairs: give a file, a data frame, or a list with a mapping of "
            "base, source, base_answer and source_answer for every pair"
        ) from error
    if twice := [str(column) for column in table.columns[table.columns.duplicated()]]:
        raise InputError(f"the pairs have the column {quoted(twice[0])} twice; remove or rename one")
    listed = [{str(column): value for column, value in row.items()} for row in rows]
    raw = RawPairs.read(listed, "the pairs", reading)
    return GivenPairs(raw, _told(raw))


def _told(raw: RawPairs) -> dict[str, Any]:
    """How a table was read, where that has to be said."""
    return dict(read=list(raw.said)) if raw.said else {}


def given_sites(hooks: str | Sequence[str], n_blocks: int) -> list[Site]:
    """The components, in the order given; ``*`` for the block names one of every block.

    Raises:
        InputError: If one is none, or comes twice.
    """
    listed = list(hooks) if isinstance(hooks, Sequence) and not isinstance(hooks, str) else [hooks]
    if not listed:
        raise InputError("there is no hook to look at: give one, such as blocks.20.mlp.hook_post")
    sites: list[Site] = []
    for hook in listed:
        if not isinstance(hook, str):
            raise InputError(f"{hook!r} names no hook: give text, such as blocks.20.mlp.hook_post")
        if "*" in hook.removeprefix(EVERY):
            raise InputError(f"'{hook}': * stands for all blocks, in {EVERY} alone; name the hook and the head")
        blocks = range(n_blocks) if hook.startswith(EVERY) else [0]
        sites += [Site.parse(hook.replace(EVERY, f"blocks.{block}.")) for block in blocks]
    for site in sites:
        if site.at_end:
            raise InputError(f"'{site.name}': components are read at the pairs' position; leave @end away")
        if sites.count(site) > 1:
            raise InputError(f"'{site.name}' is asked for twice: give it once")
    return sites


class Widths(Protocol):
    """What tells how wide components are: a model, or its configuration."""

    def width(self, site: Site) -> int:
        """Dimensions of the activation at a site."""


def given_subspaces(given: Mapping[str, Any], sites: Sequence[Site], model: Widths) -> dict[str, UserSubspace]:
    """The user's subspaces by label.

    Args:
        given: By label a tensor or array ``[d]``, ``[k, d]`` or ``[d, k]``, or a file, as text with ``#tensor:rows``
            behind it where that has to be said.
        sites: The components, all of the width that the subspaces have.
        model: The model.

    Raises:
        InputError: If one is wrong, or its label is that of another method.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"subspaces are a {type(given).__name__}: give them by label, such as {{'mine': w}}")
    widths = {model.width(site): site for site in sites}
    if given and len(widths) > 1:
        raise InputError(
            "the hooks hold vectors of different length ("
            + ", ".join(f"{site.name}: {width}" for width, site in widths.items())
            + "), so no direction fits all of them: audit them one by one"
        )
    for label in given:
        if not (isinstance(label, str) and is_label(label)):
            raise InputError(f"'{label}' is no label for a subspace: {LABELS}")
    return subspaces_of_width(given, *widths) if given else {}


def subspaces_of_width(given: Mapping[str, Any], width: int) -> dict[str, UserSubspace]:
    """The user's subspaces by label, of components of one width.

    Raises:
        InputError: If one is wrong.
    """
    found = {}
    for label, subspace in given.items():
        if isinstance(subspace, str | Path):
            file, tensor, rows = parse_spec(str(subspace))
            found[label] = read_user_subspace(file, width, tensor, rows)
        else:
            found[label] = user_subspace(label, _tensor(label, subspace), width)
    return found


def _tensor(label: str, given: Any) -> torch.Tensor:
    try:
        return torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{label} is a {type(given).__name__}: give a tensor, an array or a file") from error
