"""Is this the subspace you are looking for? A reproducible check of subspace patching in language models.

Rooms, each importing only from those before it: ``errors`` and ``files``; ``core`` gets a model, runs it
and patches it; ``statistics``; ``tasks``; ``subspace`` trains and patches on pairs;
``experiments``, one file each; ``report``; ``auditing``, the one call from Python; ``pipeline``; ``commands``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """``audit``, brought only when it is asked for: torch and transformer_lens take seconds."""
    if name == "audit":
        from subspace_illusion.auditing.call import audit

        return audit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
