"""The components and subspaces that an audit is given, whatever form they come in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from subspace_illusion.core.other_names import our_site
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.keys import LABELS, is_label
from subspace_illusion.subspace.user_subspaces import UserSubspace, parse_spec, read_user_subspace, user_subspace

EVERY = "blocks.*."
"""How a hook begins that names a component of every block."""


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
            here = our_site(hook.replace("*", "0"))
            hint = "name the hook and the head" if here is None else f"here it is {here.replace('blocks.0.', EVERY)}"
            raise InputError(f"'{hook}': * stands for all blocks, in {EVERY} alone; {hint}")
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
