"""Is this the subspace you are looking for? Checks subspaces of language models for the interpretability illusion.

Rooms, each importing only from those before it: ``errors`` and ``files``; ``core`` runs a model and patches it;
``statistics``; ``tasks``, what a pair is; ``subspace``, DAS, pairs with activations, formats of other tools;
``measures``, what is asked of a subspace; ``verdict``, the score, its calibration and the one rule; ``planting``,
components whose truth is made; ``experiments``, what only the post and the paper ask; ``report``; ``auditing``, the one
call (not called ``audit``, as the function is that one imports from here); ``pipeline``; ``cli``.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """``audit`` and ``Audit``, brought only when asked for: torch and transformer_lens take seconds."""
    if name == "audit":
        from subspace_illusion.auditing.call import audit

        return audit
    if name == "Audit":
        from subspace_illusion.auditing.result import Audit

        return Audit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
