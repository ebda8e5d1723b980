"""What was found at components, before anything is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from subspace_illusion.auditing.proof import Proof
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.score import Score

TABLES = ("effects", "outcomes", "decomposition", "cosines", "off_distribution", "training", "controls", "readers")
"""What is found, in the order in which one asks."""
OPTIONAL = ("training", "controls", "readers")
"""Those of them that are there only where they were made."""


@dataclass(frozen=True)
class Findings:
    """What was found at some components.

    Attributes:
        sites: The components.
        tables: Some of ``TABLES``, each with a column ``component``.
        bases: ``[d, k]``, parts and axes among them; the component of a key is its hook.
        scores: By subspace of a component.
        proof: How far off was, at most, what has to be equal.
    """

    sites: Sequence[Site]
    tables: Mapping[str, pd.DataFrame]
    bases: Mapping[SubspaceKey, torch.Tensor]
    scores: Mapping[SubspaceKey, Score]
    proof: Proof


def joined(found: Sequence[Findings]) -> Findings:
    """What was found at several components, each in one of those given, together."""
    listed = {name: [each.tables[name] for each in found if name in each.tables] for name in TABLES}
    return Findings(
        sites=[site for each in found for site in each.sites],
        tables={name: pd.concat(parts, ignore_index=True) for name, parts in listed.items() if parts},
        bases={key: basis for each in found for key, basis in each.bases.items()},
        scores={key: score for each in found for key, score in each.scores.items()},
        proof=Proof.worst([each.proof for each in found]),
    )
