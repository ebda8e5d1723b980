"""Where models run, and large matrices are factorised."""

from pathlib import Path

import torch

_FLAGS = {torch.bfloat16: {"avx512_bf16", "amx_bf16", "bf16"}, torch.float16: {"avx512_fp16", "amx_fp16", "asimdhp"}}
"""What a processor says of itself that multiplies a dtype."""


def pick_device() -> torch.device:
    """CUDA where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def multiplies(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether a device multiplies a dtype of 16 bits itself; where it does not, that is slower than float32."""
    if device.type == "cuda":
        return dtype != torch.bfloat16 or torch.cuda.is_bf16_supported(including_emulation=False)
    flags = Path("/proc/cpuinfo")
    return flags.exists() and not _FLAGS[dtype].isdisjoint(flags.read_text().split())
