"""What a stage does to its process: memory is kept."""

import subprocess
import sys

import pytest

ASK = """
import gc, resource
import torch
from subspace_illusion.pipeline.process import spare_memory_management

def faults():
    torch.ones(40_000_000)  # freed at once, and larger than what comes next
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
spare_memory_management()
print(before, faults(), gc.get_threshold()[0], gc.get_freeze_count())
"""


def test_memory_that_is_freed_is_used_again_and_garbage_is_seldom_looked_for():
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    before, after, young, frozen = map(int, done.stdout.split())
    assert young > 10_000
    assert frozen == 0  # only when the process ends
    if before < 10_000:  # of the 15,625 pages of 4 KiB
        pytest.skip("this system keeps what is freed by itself, or maps it in larger pages")
    assert after < before / 10
