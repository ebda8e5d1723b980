"""The readers of a residual vector, found on the spot (E3).

The pipeline's stages find v_true's; whoever asks about another place finds that place's own, by the same rule.
"""

from dataclasses import dataclass

import pandas as pd

from subspace_illusion.core.attribution import NoShareError, bends_logits
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.find_readers import Rule, first_reached, heads_reached, reader_table, respond
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import Pairs

RULE = Rule(share=0.1, minor_share=0.01, mover_share=0.1)
"""What makes a reader where no parameters say it: the pipeline's defaults."""

BENT = "logits are capped, so heads' shares are those of LD's linear part at the clean run"
SUMMED = "answers' probabilities are summed, so heads' shares are those of LD's linear part at the clean run"


HEADS_ALONE = "readers are heads alone; what else looks back in these blocks, if anything does, is not among them"


@dataclass(frozen=True)
class OwnReaders:
    """The readers of a component.

    Attributes:
        table: The heads downstream and which of them respond to patching it, as ``find_readers.reader_table`` gives
            them by ``RULE``; ``None`` where no attention reads it, or heads have no share of the answer.
        remark: What holds of them only in part, or why there are none.
    """

    table: pd.DataFrame | None
    remark: str | None = None


def can_be_read(site: Site, n_blocks: int) -> bool:
    """Whether what a site holds is a vector of the residual stream with attention downstream of it."""
    return site.is_residual_vector and first_reached(site) < n_blocks


def own_readers(train: Pairs, site: Site, *, seed: int, batch: int) -> OwnReaders:
    """The heads downstream of a residual vector that read it.

    Args:
        train: Pairs that tell the readers.
        site: Where the vector is.
        seed: Of the draws.
        batch: Pairs at a time.
    """
    model = train.model
    if not can_be_read(site, model.n_blocks):
        return OwnReaders(None)
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    try:
        response = respond(train, site, batch)
    except NoShareError as error:
        return OwnReaders(None, f"readers are left out: {error}")
    table = reader_table(heads, response, train.ld_clean, Bootstrap.of(train.groups, 1, seed), RULE)
    remark = SUMMED if train.answer.ndim > 1 else HEADS_ALONE if model.whole_prompts else None
    return OwnReaders(table, BENT if bends_logits(model) else remark)
