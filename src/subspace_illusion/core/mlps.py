"""MLPs on their own: run on inputs of one's choice, with weights of one's choice, and their weights as matrices."""

from collections.abc import Mapping
from typing import Any

import torch

from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site


def mlp_forward(
    mlp: Any, normed: torch.Tensor, parameters: Mapping[str, torch.Tensor] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs an MLP alone, without gradients, wherever its weights are; what goes in and comes out is on the CPU.

    Args:
        mlp: The bridge's module, ``model.bridge.blocks[i].mlp``.
        normed: What the norm before the MLP gives, ``[n, d_model]``.
        parameters: Weights to use instead of the module's own, by their names in ``mlp.named_parameters()``.

    Returns:
        The hidden activations after the non-linearity ``[n, d_mlp]`` and the output ``[n, d_model]``.
    """
    normed = normed.to(next(mlp.parameters()).device)
    found: list[torch.Tensor] = []
    handle = mlp.out.register_forward_pre_hook(lambda module, args: found.append(args[0]))
    try:
        with torch.no_grad():
            # The bridge reaches each weight by two names; swapped under both, it would not be put back.
            output = torch.func.functional_call(mlp, dict(parameters or {}), (normed,), tie_weights=False)
    finally:
        handle.remove()
    return found[0].cpu(), output.cpu()


def norm_before(block: Any) -> tuple[torch.nn.Module, str]:
    """The norm through which a block's MLP reads the residual stream, and the name of the hook at that norm's input.

    It is the MLP's own, or the one it shares with attention (Phi, GPT-J); the name is inside the block. In OLMo 2 the
    MLP reads the residual stream itself.
    """
    for name in ("ln2", "ln1"):
        if hasattr(block, name):
            return getattr(block, name), f"{name}.hook_in"
    return torch.nn.Identity(), "mlp.hook_in"


def weight_matrices(model: Model, block: int) -> dict[str, torch.Tensor]:
    """The weights of a block's MLP: ``W_in`` and, where it is gated, ``W_gate``, ``[d_model, d_mlp]``; ``W_out``.

    Found by sending unit vectors through the modules, as ``Model.readout`` does, which gives ``W_out``.
    """
    mlp = model.bridge.blocks[block].mlp
    identity = torch.eye(model.bridge.cfg.d_model, device=model.device)
    matrices = {}
    with torch.no_grad():
        for name in ("in", "gate"):
            if hasattr(mlp, name):
                linear = getattr(mlp, name)
                matrices[f"W_{name}"] = (linear(identity) - linear(torch.zeros_like(identity[:1]))).cpu()
    readout = model.readout(Site(block, "mlp.hook_post"))
    assert readout is not None
    return matrices | {"W_out": readout}


def hidden_from_residual(block: Any, residual: torch.Tensor) -> torch.Tensor:
    """The hidden activations ``[n, d_mlp]`` that a block's MLP would have at a residual stream ``[n, d_model]``."""
    with torch.no_grad():
        normed = norm_before(block)[0](residual.to(next(block.mlp.parameters()).device))
    return mlp_forward(block.mlp, normed)[0]
