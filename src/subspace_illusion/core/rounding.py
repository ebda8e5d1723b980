"""How far apart two ways of computing the same may come out in a dtype."""

import torch

ALLOWED = 1e-3
"""As a share of the size of what is compared: a hundredth of the smallest effect that is judged, where it is the clean
LD."""
ROUNDINGS = 32
"""In 16 bits so many times what a number of size 1 is rounded by, likewise: the noise is measured, and what is further
off is another fault."""


def allowed_share(dtype: torch.dtype) -> float:
    """What may be off in a model of a dtype, as a share of the size of what is compared."""
    return max(ALLOWED, ROUNDINGS * torch.finfo(dtype).eps)
