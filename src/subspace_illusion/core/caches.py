"""Caches of keys and values: one that keeps every token's, and one that hands out those of earlier tokens."""

import functools
from collections.abc import Mapping
from typing import Any

import torch


def every_position() -> Any:
    """An empty cache that keeps every position, also where attention slides: it knows no model's configuration."""
    from transformers.cache_utils import Cache, DynamicLayer

    return Cache(layer_class_to_replicate=DynamicLayer)


def of_earlier(
    earlier: int, keys: Mapping[int, torch.Tensor], values: Mapping[int, torch.Tensor], n_blocks: int
) -> Any:
    """A cache that holds what earlier tokens left behind, and keeps nothing of those that are run with it.

    Args:
        earlier: How many earlier tokens there are.
        keys: Their keys, ``[n, kv_heads, earlier, d_head]``, by block; blocks that are not run need none.
        values: Their values, likewise.
        n_blocks: Blocks of the model.
    """
    from transformers.cache_utils import Cache

    layer = _frozen_layer()
    return Cache(layers=[layer(earlier, keys.get(block), values.get(block)) for block in range(n_blocks)])


@functools.cache
def _frozen_layer() -> type:
    """The class of a cache layer that hands out the earlier keys and values and keeps nothing of the tail's own."""
    from transformers.cache_utils import DynamicLayer

    class Frozen(DynamicLayer):
        keys: Any
        values: Any

        def __init__(self, length: int, keys: Any = None, values: Any = None) -> None:
            super().__init__()
            self.length, self.keys, self.values, self.is_initialized = length, keys, values, True

        def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> Any:
            # Where a model is on several devices, every block's are where it computes.
            earlier = (x.to(key_states.device, non_blocking=True) for x in (self.keys, self.values))
            keys, values = (torch.cat(ends, -2) for ends in zip(earlier, (key_states, value_states), strict=True))
            return keys, values

        def get_seq_length(self) -> int:
            return self.length

    return Frozen
