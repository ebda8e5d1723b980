"""MLPs of a real one's shape with random weights and biases, as loud as it is (E8)."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.func import functional_call

from subspace_illusion.core.linear import matrix_of
from subspace_illusion.core.mlps import mlp_forward
from subspace_illusion.core.parts import has_experts
from subspace_illusion.core.placed import device_of
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.errors import InputError


@dataclass(frozen=True)
class RandomMlp:
    """One draw of random weights and biases for an MLP.

    Attributes:
        mlp: The bridge module of the real MLP, whose shape it has.
        parameters: Its parameters by name.
        readout: ``[d_mlp, d_model]``: what its output makes of its hidden activations, scaled so that the mean norm of
            its output is the real one's.
    """

    mlp: Any
    parameters: dict[str, torch.Tensor]
    readout: torch.Tensor

    def hidden(self, normed: torch.Tensor) -> torch.Tensor:
        """Hidden activations ``[n, d_mlp]`` from what the MLP reads, ``[n, d_model]``."""
        return mlp_forward(self.mlp, normed, self.parameters)[0]


def draw_random_mlp(mlp: Any, normed: torch.Tensor, seed: int, *labels: object) -> RandomMlp:
    """Draws a random MLP.

    Every weight and bias is normal with the standard deviation of the real one's tensor; then the output's matrix and
    bias are scaled together, so that on the given inputs the mean norm of the output is the real MLP's.

    Args:
        mlp: The bridge module of the real MLP, gated or not.
        normed: What the MLP reads on training prompts, ``[n, d_model]``.
        seed: Seed of the draw.
        labels: What else tells this draw from others.

    Raises:
        InputError: If the MLP has no single output matrix, as a mixture of experts.
    """
    if has_experts(mlp):
        raise InputError(f"{type(mlp).__name__} has no single output matrix, so no random MLP can stand in for it")
    own = dict(mlp.named_parameters())
    drawn = {}
    for name, parameter in own.items():
        noise = torch.randn(parameter.shape, generator=torch_generator(seed, "random MLP", *labels, name))
        drawn[name] = noise.to(parameter) * parameter.detach().std()
    real, random = (mlp_forward(mlp, normed, parameters)[1].norm(dim=1).mean() for parameters in (own, drawn))
    name_of = {id(parameter): name for name, parameter in own.items()}
    of_out = {name: name_of[id(parameter)] for name, parameter in mlp.out.named_parameters()}
    for name in of_out.values():
        drawn[name] = drawn[name] * (real / random)
    width = mlp_forward(mlp, normed[:1])[0].shape[1]
    out = partial(functional_call, mlp.out, {name: drawn[full] for name, full in of_out.items()})
    return RandomMlp(mlp, drawn, matrix_of(out, width, device_of(mlp, normed.device)))
