"""Places by the names that other libraries give them, and what they are called here."""

import re

_MODULE = re.compile(r"(?:^|[.\]])(?:layers?|h|blocks?)(?:\.(\d+)|\[(\d+)\])(?:\.(.+))?$", re.IGNORECASE)
_HIDDEN = re.compile(r"hidden_states?\[(\d+)\]", re.IGNORECASE)
_LAST_MAP = r"down_proj|dense_4h_to_h|fc2|fc_out|c_proj|\bw2\b|wo\b"
_PLACES = (
    (rf"(?:mlp|ffn|feed_forward)\.(?:{_LAST_MAP})|^(?:fc2|down_proj)\b", "mlp.hook_post", "what that module reads"),
    (r"attn\w*\.(?:o_proj|out_proj|c_proj|dense)|attention\.(?:o_proj|dense|out_proj)", "attn.hook_z",
     "what that module reads"),
    (r"mlp|ffn|feed_forward|experts", "hook_mlp_out", "what is added to the residual stream there"),
    (r"attn|attention", "hook_attn_out", "what is added to the residual stream there"),
    (r"^(?:input_layernorm|ln_1|norm_1)\b", "hook_resid_pre", "what that module reads"),
    (r"^(?:post_attention_layernorm|ln_2|norm_2)\b", "hook_resid_mid",
     "the residual stream between attention and MLP"),
)  # fmt: skip
"""Of a module inside a block: how its name looks, the hook in its place, and what that holds; the first counts."""


def ours(name: str) -> tuple[str, str] | None:
    """The site that a place of another library most likely is, and what it holds; ``None`` where nothing tells.

    Args:
        name: A module's name, as transformers, pyvene and nnsight have them, or an entry of ``hidden_states``.
    """
    if entry := _HIDDEN.search(name):
        number = int(entry.group(1))
        if number == 0:
            return "blocks.0.hook_resid_pre", "the embedding"
        return f"blocks.{number - 1}.hook_resid_post", "entry 0 is the embedding"
    module = _MODULE.search(name)
    if module is None:
        return None
    dotted, indexed, inside = module.groups()
    block = f"blocks.{int(dotted or indexed)}"
    for pattern, point, holds in _PLACES:
        if inside and re.search(pattern, inside):
            return f"{block}.{point}", holds
    return f"{block}.hook_resid_post", "the residual stream that leaves the block"
