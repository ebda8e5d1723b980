"""Places by the names that other libraries give them, and what they are called here."""

import re
from dataclasses import dataclass

_MODULE = re.compile(r"(?:^|[.\]])(?:layers?|h|blocks?)(?:\.(\d+)|\[(\d+)\])(?:\.(.+))?$", re.IGNORECASE)
_HIDDEN = re.compile(r"hidden_states?(?:\[(-?\d+)\]|\.(-?\d+)$)", re.IGNORECASE)
_NORM = re.compile(r".*norm.*|ln(?:_?\w+)?", re.IGNORECASE)
_EXPERTS = re.compile(r"(?:\w+_)?experts?", re.IGNORECASE)
_READS, _GIVES = ("input", "inputs"), ("output", "outputs")
"""Behind a module's name, what it reads and what it gives."""


@dataclass(frozen=True)
class _Part:
    """A part of a block: what the module is called, what the last matrix in it is, and the hooks on either side."""

    word: str
    modules: tuple[str, ...]
    last: tuple[str, ...]
    read: str
    given: str


_PARTS = (
    _Part(
        "attention",
        ("self_attn", "attn", "attention", "self_attention"),
        ("o_proj", "out_proj", "c_proj", "dense", "wo"),
        "attn.hook_z",
        "hook_attn_out",
    ),
    _Part(
        "the MLP",
        ("mlp", "ffn", "feed_forward", "feedforward", "block_sparse_moe", "moe"),
        ("down_proj", "dense_4h_to_h", "fc2", "fc_out", "ff_out", "c_proj", "w2", "wo"),
        "mlp.hook_post",
        "hook_mlp_out",
    ),
)
_ALONE = ("fc2", "down_proj", "ff_out")
"""Last matrices of an MLP that may stand in a block without a module around them."""


def ours(name: str) -> tuple[str | None, str] | None:
    """The site that a place of another library is, and what it holds.

    Args:
        name: A module's name, as transformers, pyvene and nnsight have them, what one reads or gives (``.input``,
            ``.output``), or an entry of ``hidden_states``.

    Returns:
        No site, and the sites around the place, where there is none in it; ``None`` where nothing tells.
    """
    if entry := _HIDDEN.search(name):
        return _hidden(int(entry[1] or entry[2]))
    module = _MODULE.search(name)
    if module is None:
        return None
    dotted, indexed, inside = module.groups()
    pieces = [piece for piece in re.sub(r"\[[^\]]*\]", "", inside or "").split(".") if piece]
    side = pieces.pop() if pieces and pieces[-1] in (*_READS, *_GIVES) else ""
    return _inside(f"blocks.{int(dotted or indexed)}", pieces, reads=side in _READS, gives=side in _GIVES)


def our_site(name: str) -> str | None:
    """The site alone, where there is one."""
    found = ours(name)
    return None if found is None else found[0]


def _hidden(entry: int) -> tuple[str | None, str]:
    """An entry of ``hidden_states``, whose number alone does not say whether it is the last."""
    last = "the last entry is no site: in most models the final norm is behind it"
    if entry == 0:
        return "blocks.0.hook_resid_pre", "the embedding"
    if entry > 0:
        return f"blocks.{entry - 1}.hook_resid_post", f"entry 0 being the embedding; {last}"
    if entry == -1:
        return None, f"{last}; before that is hook_resid_post of the last block"
    return None, f"of n blocks it is hook_resid_post of block n - {-entry}, entry 0 being the embedding"


def _inside(block: str, pieces: list[str], *, reads: bool, gives: bool) -> tuple[str | None, str]:
    """A place in a block, by the modules on the way to it."""
    stream = (
        f"the residual stream is {block}.hook_resid_pre before attention, {block}.hook_resid_mid between it and the "
        f"MLP, {block}.hook_resid_post behind the MLP"
    )
    if not pieces:
        return (
            (f"{block}.hook_resid_pre", "the residual stream that enters the block")
            if reads
            else (f"{block}.hook_resid_post", "the residual stream that leaves the block")
        )
    if any(_NORM.fullmatch(piece) for piece in pieces):
        return None, f"norms are no sites: {stream}"
    pieces = ["mlp", *pieces] if pieces[0] in _ALONE else pieces
    part = next((part for part in _PARTS if pieces[0] in part.modules), None)
    if part is None:
        return None, f"no site is known in its place: {stream}"
    given = f"{block}.{part.given}", "what is added to the residual stream there"
    if all(piece in part.modules for piece in pieces):
        return (None, f"what {part.word} reads comes from a norm, and norms are no sites: {stream}") if reads else given
    if any(_EXPERTS.fullmatch(piece) for piece in pieces):
        return None, f"what all experts give together is {given[0]}, and what a single one does is no site"
    if pieces[-1] in part.last:
        return given if gives else (f"{block}.{part.read}", "what that module reads")
    return (
        None,
        f"inside of {part.word}, {block}.{part.read} is what its last matrix reads; {given[0]} is what it gives",
    )
