"""How many threads a process may use."""

import os
from pathlib import Path

import torch

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux tells what a container may use."""


def cores(side_by_side: int = 1, cgroups: Path = CGROUPS) -> int:
    """The cores that this process may use: those that it may run on, and no more than its group's quota; shared by so
    many processes that run side by side.

    torch takes a thread for every core of the machine otherwise, and threads without a core wait for one another.

    Args:
        side_by_side: How many processes share them.
        cgroups: Where the quota stands.
    """
    may = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(may, _quota(cgroups)) // side_by_side)


def bound_threads() -> None:
    """Lets torch have no more threads than this process may use cores."""
    if cores() < torch.get_num_threads():
        torch.set_num_threads(cores())


def _quota(cgroups: Path) -> int:
    """The processors that a quota is worth, at least one; as good as no limit where there is none."""
    try:
        if (cgroups / "cpu.max").exists():
            quota, period = (cgroups / "cpu.max").read_text().split()
        else:
            quota, period = ((cgroups / "cpu" / f"cpu.cfs_{word}_us").read_text() for word in ("quota", "period"))
        return max(1, int(quota) // int(period)) if int(quota) > 0 else 10**6
    except (OSError, ValueError):  # there is none, or "max"
        return 10**6
