"""MLPs on their own: run on inputs of one's choice, with weights of one's choice, and their weights as matrices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.parts import maps_in, norm_before
from subspace_illusion.core.placed import device_of
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError

BATCH = 8
"""Sequences in one forward pass."""

ROWS = 2048
"""Rows that an MLP runs on at a time."""

CHECKED = 8
"""Rows on which hidden activations from the residual stream are compared with those of the full run."""


def mlp_of(model: Model, block: int) -> Any:
    """The bridge's module of a block's MLP."""
    return model.bridge.blocks[block].mlp


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
    normed = normed.to(device_of(mlp, normed.device))
    found: list[torch.Tensor] = []
    handle = mlp.out.register_forward_pre_hook(lambda module, args: found.append(args[0]))
    try:
        with torch.no_grad():
            # The bridge reaches each weight by two names; swapped under both, it would not be put back.
            output = torch.func.functional_call(mlp, dict(parameters or {}), (normed,), tie_weights=False)
    finally:
        handle.remove()
    return found[0].cpu(), output.cpu()


def read_through(model: Model, block: int) -> tuple[torch.nn.Module, str]:
    """The norm through which a block's MLP reads the residual stream, and the name of the hook at that norm's input;
    where it reads the stream as it is, no norm and the MLP's own."""
    norm, name = norm_before(model.bridge.blocks[block], "mlp") or (torch.nn.Identity(), "mlp")
    return norm, f"blocks.{block}.{name}.hook_in"


def through_norm(model: Model, block: int, residual: torch.Tensor) -> torch.Tensor:
    """What a block's MLP reads where the residual stream before it is ``[n, d_model]``."""
    with torch.no_grad():
        norm = read_through(model, block)[0]
        return norm(residual.to(device_of(norm, model.device))).cpu()


def hidden_from_residual(model: Model, block: int, residual: torch.Tensor) -> torch.Tensor:
    """The hidden activations ``[n, d_mlp]`` that a block's MLP would have at a residual stream ``[n, d_model]``.

    Different blocks may run at the same time in several threads; one block may not.
    """
    mlp = mlp_of(model, block)
    return torch.cat([mlp_forward(mlp, through_norm(model, block, rows))[0] for rows in residual.split(ROWS)])


def pre_activations(model: Model, block: int, normed: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the linear maps into a block's MLP give, ``[n, d_mlp]``: ``in`` and, where it is gated, ``gate``."""
    mlp = mlp_of(model, block)
    with torch.no_grad():
        there = normed.to(device_of(mlp, model.device))
        return {name: linear(there).cpu() for name, linear in maps_in(mlp).items()}


def weight_matrices(model: Model, block: int) -> dict[str, torch.Tensor]:
    """The weights of a block's MLP: ``W_in`` and, where it is gated, ``W_gate``, ``[d_model, d_mlp]``; ``W_out``."""
    d = model.bridge.cfg.d_model
    maps = maps_in(mlp_of(model, block))
    readout = model.readout(Site(block, "mlp.hook_post"))
    assert readout is not None
    return {f"W_{name}": matrix_of(linear, d, model.device) for name, linear in maps.items()} | {"W_out": readout}


def record_residuals(
    model: Model, tokens: torch.Tensor, positions: torch.Tensor, on_batch: Callable[[int], object] = lambda n: None
) -> list[torch.Tensor]:
    """Runs sequences and keeps the residual stream immediately before the MLP of every block, ``[n, d_model]`` each.

    Args:
        model: The model.
        tokens: Token ids, ``[sequences, length]``.
        positions: Where to read, ``[n, 2]``: the sequence, and the position in it.
        on_batch: Called with the number of sequences that a forward pass took.

    Raises:
        InputError: If the model has no MLP that reads the residual stream through one norm, or takes no text so long.
    """
    if tokens.shape[1] > model.bridge.cfg.n_ctx:
        raise InputError(f"the model reads {model.bridge.cfg.n_ctx} tokens at most, and {tokens.shape[1]} are wanted")
    names = []
    for block in range(model.n_blocks):
        hidden = Site(block, "mlp.hook_post")
        model.check(hidden)
        names.append((read_through(model, block)[1], hidden.hook))
    found: dict[str, list[torch.Tensor]] = {name: [] for pair in names for name in pair}
    most = {name: most for pair in names for name, most in zip(pair, (None, CHECKED), strict=True)}
    rows = []
    for start in range(0, len(tokens), BATCH):
        batch = tokens[start : start + BATCH]
        of_batch = (positions[:, 0] // BATCH == start // BATCH).nonzero().flatten()
        sequence, position = (positions[of_batch] - torch.tensor([start, 0])).T
        rows.append(of_batch)

        def read(activation: torch.Tensor, hook: object, name: str, at: tuple[torch.Tensor, torch.Tensor]) -> None:
            found[name].append(activation[at][: most[name]].detach().cpu())

        hooks = [(name, partial(read, name=name, at=(sequence, position))) for name in found]
        with torch.no_grad(), model.bridge.hooks(fwd_hooks=hooks):
            model.bridge.original_model(input_ids=batch.to(model.device), logits_to_keep=1)
        on_batch(len(batch))
    first = next(i for i, of_batch in enumerate(rows) if len(of_batch))
    for block, (before, after) in enumerate(names):
        again = hidden_from_residual(model, block, found[before][first][:CHECKED])
        if not torch.allclose(again, found[after][first], rtol=1e-3, atol=1e-3 * float(again.abs().max())):
            raise InputError(f"the MLP of block {block} does not read the residual stream through {before}")
    order = torch.cat(rows).argsort()
    return [torch.cat(found.pop(before))[order] for before, _ in names]
