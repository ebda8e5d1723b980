"""How a process that does one piece of work and ends treats memory: it keeps what it has freed, and seldom looks for
garbage."""

import atexit
import ctypes
import gc

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names of glibc's settings, from its ``malloc.h``."""
_NEVER, _NONE = -1, 0

YOUNG = 100_000
"""Objects that are made before Python looks for garbage among them; its own default is below a few thousand."""


def spare_memory_management() -> None:
    """Spares this process work with memory, for a higher peak of it.

    glibc hands a tensor of more than 32 MB back to the system when it is freed, and every page of the next one is
    mapped and cleared anew. Where malloc is not glibc's, it stays as it is; dask's workers have settings of their own.
    And much of the time that it takes to import transformer_lens, open a model and end again goes into looking for
    garbage among things that stay until the end.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, _NONE)
        mallopt(_TRIM_THRESHOLD, _NEVER)
    gc.set_threshold(YOUNG, 10, 10)
    atexit.register(gc.freeze)  # nothing that lives until then has work left for __del__
