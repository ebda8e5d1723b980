"""What machine a benchmark ran on, and what it can do."""

import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

from subspace_illusion.core.device import multiplies


def seconds(run: Callable[[], object]) -> float:
    """How long something takes, with all that it leaves a GPU to do."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product."""
    n = 8192 if device.type == "cuda" else 2048
    x = torch.randn(n, n, device=device, dtype=dtype)
    return 2 * n**3 / min(seconds(lambda: (x @ x)[0, 0].item()) for _ in range(8))


def read_rate(device: torch.device) -> float:
    """Bytes per second that a sum over 256 MB of the device's memory reads."""
    x = torch.randn(1 << 26, device=device)
    return x.nbytes / min(seconds(lambda: x.sum().item()) for _ in range(5))


def machine(device: torch.device) -> dict[str, object]:
    """The machine: processor or GPU, threads, versions, rates (GFLOP/s of large products, GB/s of reading memory)."""
    cpu = Path("/proc/cpuinfo")
    models = [line.partition(": ")[2] for line in cpu.read_text().splitlines() if line.startswith("model name")]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else (models or [platform.processor()])[0]
    kinds = [torch.float32, torch.bfloat16] if multiplies(device, torch.bfloat16) else [torch.float32]
    rates = {str(kind).removeprefix("torch."): round(product_rate(device, kind) / 1e9) for kind in kinds}
    about = dict[str, object](processor=name, threads=torch.get_num_threads(), torch=torch.__version__)
    return about | dict(gflops=rates, gigabytes_per_second=round(read_rate(device) / 1e9))
