"""Functions that units of work call in the tests, here and in workers."""

import os
import signal
import time
from pathlib import Path

import pandas as pd
import torch

from subspace_illusion.errors import InputError


def product(*, seed: int, log: str, hurry: bool = False) -> pd.DataFrame:
    """A table whose last digits depend on how it was computed, and a line in a log for every time it is."""
    with Path(log).open("a") as file:
        file.write(f"{seed}\n")
    x, y = (torch.randn(300, 300, generator=torch.Generator().manual_seed(seed + i)) for i in (0, 100))
    return pd.DataFrame((x @ y).softmax(1).numpy()[:3]).add_prefix("c")


def fails(*, why: str) -> pd.DataFrame:
    raise InputError(why)


def breaks(*, why: str) -> pd.DataFrame:
    raise ZeroDivisionError(why)


def takes(*, seconds: float, number: int) -> pd.DataFrame:
    time.sleep(seconds)
    return pd.DataFrame(dict(number=[number]))


def ends_its_worker(*, times: int, log: str) -> pd.DataFrame:
    """Takes its process down, so many times."""
    with Path(log).open("a") as file:
        file.write("x")
    if len(Path(log).read_text()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return pd.DataFrame(dict(tried=[len(Path(log).read_text())]))
