"""Readers (E3 b): the heads downstream whose share of the answer changes with the value that they are given.

A head is a reader by how it responds when the whole component is patched, and by nothing that was trained. What it
writes without a patch says something else: whether it moves names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from subspace_illusion.core.attribution import answer_directions, attention_sites, attribute_heads
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import Recording, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, interval, ratio_by_draw, table
from subspace_illusion.subspace.pairs import Pairs

READER = "reader"
MINOR = "minor reader"
OTHER = "other"
CLASSES = (READER, MINOR, OTHER)
"""Heads by their response to the patch."""
MOVER = "mover"
NEGATIVE = "negative mover"
"""Heads by what they write without a patch."""


@dataclass(frozen=True)
class Rule:
    """How heads are told apart; a head has a class and, apart from it, a role.

    Attributes:
        share: From this share of the patch's effect on, in either direction, a head's response makes it a reader.
        minor_share: From this share on a minor reader.
        mover_share: From this share of the mean LD on a head's attribution makes it a mover (of names, in IOI);
            from its negative down a negative one.
    """

    share: float
    minor_share: float
    mover_share: float

    def __str__(self) -> str:
        return (
            "On training pairs the whole component is patched. A head's response is by how much the patch lowers its "
            "direct attribution to LD, as a share of the patch's effect: "
            f"{READER} from {self.share:.0%} on in either direction, {MINOR} from {self.minor_share:.0%} on. By its "
            f"attribution without a patch, as a share of the mean LD, a head is a {MOVER} from "
            f"{self.mover_share:.0%} on and a {NEGATIVE} from -{self.mover_share:.0%} down."
        )

    def classed(self, response: float) -> str:
        """The class of a head with this response as a share of the patch's effect."""
        if abs(response) >= self.share:
            return READER
        return MINOR if abs(response) >= self.minor_share else OTHER

    def role(self, attribution: float) -> str:
        """The role of a head with this attribution as a share of the mean LD."""
        if attribution >= self.mover_share:
            return MOVER
        return NEGATIVE if attribution <= -self.mover_share else OTHER


@dataclass(frozen=True)
class Response:
    """What heads do when a component is patched.

    Attributes:
        clean: Direct attribution of each head to LD without a patch, ``[pairs, heads]``.
        patched: The same in the patched run, in the direction that the answer has in the clean one.
        ld_patched: LD of the patched run, ``[pairs]``.
    """

    clean: torch.Tensor
    patched: torch.Tensor
    ld_patched: np.ndarray


def first_reached(site: Site) -> int:
    """The first block whose attention can see a change at a site.

    What a block writes, its MLP's hidden activations among it, comes too late for the block's own attention, also where
    MLP and attention run side by side.
    """
    return site.block + 1 if site.writes_residual and not site.enters_block else site.start


def heads_reached(n_blocks: int, n_heads: int, site: Site) -> list[Site]:
    """The heads at END that a change at a site can reach, block by block.

    Raises:
        InputError: If there is none.
    """
    blocks = range(first_reached(site), n_blocks)
    if not blocks:
        raise InputError(f"no attention runs after {site.name}, so no head can read it")
    return [Site(block, "attn.hook_z", head).end for block in blocks for head in range(n_heads)]


def name_of(head: Site) -> str:
    """The short name of a head, ``<block>.<head>``."""
    return f"{head.block}.{head.head}"


def attributions(
    pairs: Pairs, recording: Recording, start: int, answer: torch.Tensor, foil: torch.Tensor
) -> torch.Tensor:
    """Direct attribution of each head from block ``start`` on to the LD of some pairs, ``[pairs, heads]``."""
    u = answer_directions(pairs.model, recording, answer, foil)
    return attribute_heads(pairs.model, recording, start, u).flatten(1)


def respond(pairs: Pairs, site: Site, batch: int, on_pairs: Callable[[int], object] = lambda pairs: None) -> Response:
    """Patches the whole of a component and attributes LD to the heads that this can reach, before and after.

    A head may respond to the patch itself or to other heads that did.

    Args:
        pairs: The pairs.
        site: The component.
        batch: Pairs at a time.
        on_pairs: Told the number of pairs after every batch.
    """
    model, start = pairs.model, first_reached(site)
    change, tail = pairs.along(site, None), pairs.tail(site.start)
    parts = []
    for rows in torch.arange(len(pairs)).split(batch):
        of_rows, answer, foil = tail(rows), pairs.answer[rows], pairs.foil[rows]
        runs = []
        for changes in ({}, {site: change(rows)}):
            with torch.no_grad():
                runs.append(replay(model, of_rows, changes, attention_sites(model, start), site.start))
        # The clean run's direction for both: the patched run's norm has another scale, and no head responds by that.
        u = answer_directions(model, runs[0], answer, foil)
        shares = [attribute_heads(model, run, start, u).flatten(1) for run in runs]
        parts.append((*shares, logit_difference(runs[1].logits.cpu(), answer, foil).double()))
        on_pairs(len(rows))
    clean, patched, ld = (torch.cat(column) for column in zip(*parts, strict=True))
    return Response(clean, patched, ld.numpy())


def reader_table(
    heads: Sequence[Site], response: Response, ld_clean: np.ndarray, bootstrap: Bootstrap, rule: Rule
) -> pd.DataFrame:
    """One row a head, the largest response first: its attribution clean and patched, its response, class and role.

    Args:
        heads: The heads, in the order of the response.
        response: How they respond.
        ld_clean: LD without a patch, ``[pairs]``.
        bootstrap: Draws of the same pairs.
        rule: What makes a reader and a mover.

    Returns:
        Columns ``head, attribution, patched, response, share`` (of the patch's effect, with its interval), ``reader``
        (the class), ``role``.
    """
    effect = bootstrap.means(ld_clean - response.ld_patched)
    rows = []
    for place, head in enumerate(heads):
        clean, patched = (bootstrap.means(x[:, place].double().numpy()) for x in (response.clean, response.patched))
        share = ratio_by_draw(clean - patched, effect)
        row = dict(head=name_of(head), attribution=clean[0], patched=patched[0], response=(clean - patched)[0])
        row |= interval("share", share)
        rows.append(row | dict(reader=rule.classed(share[0]), role=rule.role(clean[0] / ld_clean.mean())))
    return table(rows).sort_values("share", key=abs, ascending=False, kind="stable").reset_index(drop=True)


def listed(found: pd.DataFrame, column: str, value: str) -> list[str]:
    """The names of the heads of one class or role."""
    return found.loc[found[column] == value, "head"].tolist()
