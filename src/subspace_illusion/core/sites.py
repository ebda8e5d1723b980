"""Sites: the places in a model where an activation is read or patched.

A site has one name everywhere, the name of the TransformerBridge hook, with the head appended where one head is meant:
``blocks.21.hook_resid_post``, ``blocks.20.mlp.hook_post``, ``blocks.9.attn.hook_z.6``. It is read at one token of each
prompt, the position that the task gives; with ``@end`` behind the name at END, whatever the task's position is.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from subspace_illusion.core.other_names import ours
from subspace_illusion.errors import InputError

_NAME = re.compile(r"blocks\.(\d+)\.((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*)(?:\.(\d+))?(@end)?")
_RESIDUAL_IN = ("hook_resid_pre", "hook_in")
_RESIDUAL_OUT = ("hook_resid_post", "hook_out")
Writer = Literal["attn", "mlp"]
"""The two parts of a block that write to the residual stream."""

MATRICES: Mapping[Writer, str] = {"attn": "o", "mlp": "out"}
"""The matrix of each through which the stream sees what it holds."""

_READ_BY: Mapping[Writer, str] = {"attn": "hook_z", "mlp": "hook_post"}
_OUTPUTS: Mapping[str, Writer] = {
    point: part
    for part, matrix in MATRICES.items()
    for point in (f"hook_{part}_out", f"{part}.hook_out", f"{part}.{matrix}.hook_out")
}
_READOUTS: Mapping[str, tuple[Writer, str]] = {
    f"{part}.{point}": (part, matrix)
    for part, matrix in MATRICES.items()
    for point in (_READ_BY[part], f"{matrix}.hook_in")
}


@dataclass(frozen=True, order=True)
class Site:
    """A hook of one block, or one head of it, at one token of each prompt.

    Attributes:
        block: Index of the block.
        point: The hook's name inside the block, such as ``mlp.hook_post``.
        head: Index along the head axis for hooks that hold ``[batch, pos, head, d_head]``; ``None`` takes the whole
            vector, heads concatenated.
        at_end: Whether it is read at END and not at the task's position; the two are one where that is the last token.
    """

    block: int
    point: str
    head: int | None = None
    at_end: bool = False

    @classmethod
    def parse(cls, name: str) -> "Site":
        """The site with this name.

        Raises:
            InputError: If the name is not of the form ``blocks.<block>.<hook>[.<head>]``.
        """
        match = _NAME.fullmatch(name)
        if match is None:
            if found := ours(name.removesuffix("@end")):
                site, words = found
                here = words if site is None else f"here it is {site}, {words}"
                raise InputError(f"'{name}' is a name of another library: {here}")
            raise InputError(
                f"'{name}' names no site: expected blocks.<block>.<hook>, such as blocks.20.mlp.hook_post, "
                "or blocks.<block>.attn.hook_z.<head> for one head, with @end behind it to read END"
            )
        block, point, head, end = match.groups()
        return cls(int(block), point, None if head is None else int(head), end is not None)

    @property
    def name(self) -> str:
        """The site's one name."""
        place = self.hook if self.head is None else f"{self.hook}.{self.head}"
        return f"{place}@end" if self.at_end else place

    @property
    def end(self) -> "Site":
        """The same site, read at END."""
        return replace(self, at_end=True)

    @property
    def hook(self) -> str:
        """The TransformerBridge hook at which the activation is read."""
        return f"blocks.{self.block}.{self.point}"

    @property
    def write_hook(self) -> str:
        """The hook at which a change of the activation is added.

        It is ``hook`` but for the residual stream between attention and MLP: the bridge's ``hook_resid_mid`` is the
        input of the MLP's norm, and a change there would miss the skip connection. Adding it to the attention's output
        reaches both.
        """
        if self.point == "hook_resid_mid":
            return f"blocks.{self.block}.hook_attn_out"
        return self.hook

    @property
    def start(self) -> int:
        """The first block that has to run again when this site changes."""
        return self.block + 1 if self.point in _RESIDUAL_OUT else self.block

    @property
    def enters_block(self) -> bool:
        """Whether the site is the residual stream between two blocks: the one that enters block ``start``."""
        return self.point in _RESIDUAL_IN or self.point in _RESIDUAL_OUT

    @property
    def readout(self) -> tuple[Writer, str] | None:
        """The bridge module of the block through which the residual stream sees the site: W_out or W_O, or ``None``."""
        return _READOUTS.get(self.point)

    @property
    def is_mlp_hidden(self) -> bool:
        """Whether the site is an MLP's hidden activations, which its output matrix reads."""
        return self.readout == ("mlp", "out")

    @property
    def leaves_block(self) -> bool:
        """Whether the site is the residual stream that leaves its block."""
        return self.point in _RESIDUAL_OUT

    @property
    def writer(self) -> Writer | None:
        """The module of the block, ``attn`` or ``mlp``, whose output the site holds, or has a readout into; or
        ``None``."""
        return self.readout[0] if self.readout else _OUTPUTS.get(self.point)

    @property
    def writes_residual(self) -> bool:
        """Whether what the site holds, or its readout, is a vector of the residual stream."""
        return self.is_residual_vector or self.readout is not None

    @property
    def is_residual_vector(self) -> bool:
        """Whether what the site holds is itself a vector of the residual stream."""
        return self.in_residual or self.point in _OUTPUTS

    @property
    def in_residual(self) -> bool:
        """Whether the site is the residual stream itself, between blocks or between attention and MLP."""
        return self.enters_block or self.point == "hook_resid_mid"


def mlp_input(block: int) -> Site:
    """What the MLP of ``block`` reads: the residual stream behind its norm."""
    return Site(block, "mlp.hook_in")


def mlp_output(block: int) -> Site:
    """What the MLP of ``block`` gives, before any norm behind it."""
    return Site(block, "mlp.hook_out")


def residual_entering(block: int) -> Site:
    """The residual stream that enters ``block``; for ``block == n_blocks`` the one that leaves the last block."""
    return Site(block, "hook_resid_pre") if block == 0 else residual_after(block - 1)


def residual_after(block: int) -> Site:
    """The residual stream that leaves ``block``."""
    return Site(block, "hook_resid_post")
