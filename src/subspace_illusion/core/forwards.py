"""Modules that do something else for a while."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def forwards(changed: Mapping[torch.nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Within, each module calls a function in the place of its own ``forward``, or of the one that it was given before.

    It is put past the module's own attribute setter: nothing is registered, and a bridge does not put the function into
    the Hugging Face module for good. What stands in the instance goes before the class's method.
    """
    before = {module: module.__dict__.get("forward") for module in changed}
    try:
        for module, forward in changed.items():
            module.__dict__["forward"] = forward
        yield
    finally:
        for module, earlier in before.items():
            module.__dict__.pop("forward", None)
            if earlier is not None:
                module.__dict__["forward"] = earlier
