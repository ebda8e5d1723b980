"""What was found at components, before anything is judged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from subspace_illusion.auditing.proof import Proof
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.seen import Seen

PLANTED, REPAIR = "planted", "repair"
"""The tables of cases planted in the component itself, and of what is trained again where a subspace is illusory."""
OPTIONAL = ("training", "controls", "readers", PLANTED, REPAIR)
"""The tables that are there only where they were made."""
TABLES = ("effects", "outcomes", "decomposition", "cosines", "off_distribution", *OPTIONAL)
"""What is found, in the order in which one asks."""


@dataclass(frozen=True)
class Findings:
    """What was found at some components.

    Attributes:
        sites: The components.
        tables: Some of ``TABLES``, each with a column ``component``.
        bases: ``[d, k]``, parts and axes among them; the component of a key is its hook.
        seen: What verdicts rest on, by subspace of a component.
        proof: How far off was, at most, what has to be equal.
        remarks: By component what was left out there, or holds only in part, and why.
    """

    sites: Sequence[Site]
    tables: Mapping[str, pd.DataFrame]
    bases: Mapping[SubspaceKey, torch.Tensor]
    seen: Mapping[SubspaceKey, Seen]
    proof: Proof
    remarks: Mapping[str, str]


def joined(found: Sequence[Findings]) -> Findings:
    """What was found at several components, each in one of those given, together."""
    listed = {name: [each.tables[name] for each in found if name in each.tables] for name in TABLES}
    return Findings(
        sites=[site for each in found for site in each.sites],
        tables={name: pd.concat(parts, ignore_index=True) for name, parts in listed.items() if parts},
        bases={key: basis for each in found for key, basis in each.bases.items()},
        seen={key: one for each in found for key, one in each.seen.items()},
        proof=Proof.worst([each.proof for each in found]),
        remarks={hook: remark for each in found for hook, remark in each.remarks.items()},
    )
