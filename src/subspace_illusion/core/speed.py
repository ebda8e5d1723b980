"""How fast a device multiplies matrices in each dtype."""

import time

import torch

from subspace_illusion.core.checkpoints import DTYPES, dtype_name

SIZE, TRIES = 512, 3


def products_per_second(device: torch.device) -> dict[str, float]:
    """Floating-point operations a second of the fastest of a few products of square matrices, by dtype's name."""
    return {dtype_name(dtype): _speed(dtype, device) for dtype in dict.fromkeys(DTYPES.values())}


def _speed(dtype: torch.dtype, device: torch.device) -> float:
    a, b = (torch.ones(SIZE, SIZE, dtype=dtype, device=device) for _ in range(2))
    seconds = []
    for _ in range(TRIES):
        start = time.perf_counter()
        (a @ b)[0, 0].item()  # waits for it
        seconds.append(time.perf_counter() - start)
    return 2 * SIZE**3 / min(seconds)
