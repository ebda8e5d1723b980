"""Many small problems at once, one core each."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch
from threadpoolctl import threadpool_limits

T = TypeVar("T")
R = TypeVar("R")


def on_all_cores(
    function: Callable[[T], R], items: Iterable[T], on_item: Callable[[], object] = lambda: None
) -> list[R]:
    """A function's results in the order of the items, as many items at a time as torch has threads.

    Every item has one thread: the problems are so small that threads of one problem would wait for one another more
    than they work, and so the results do not depend on the number of cores.

    Args:
        function: What to do; called from several threads, with different items.
        items: What it is done to.
        on_item: Called after every item.
    """
    cores = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1), ThreadPoolExecutor(cores, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            running = [pool.submit(function, item) for item in items]
            try:
                for done in as_completed(running):
                    done.result()
                    on_item()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            return [done.result() for done in running]
    finally:
        torch.set_num_threads(cores)
