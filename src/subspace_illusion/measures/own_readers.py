"""The readers of a residual vector, found on the spot (E3).

The pipeline's stages find v_true's; whoever asks about another place finds that place's own, by the same rule.
"""

import pandas as pd

from subspace_illusion.core.sites import Site
from subspace_illusion.measures.find_readers import Rule, first_reached, heads_reached, reader_table, respond
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.pairs import Pairs

RULE = Rule(share=0.1, minor_share=0.01, mover_share=0.1)
"""What makes a reader where no parameters say it: the pipeline's defaults."""


def can_be_read(site: Site, n_blocks: int) -> bool:
    """Whether what a site holds is a vector of the residual stream with attention downstream of it."""
    return site.is_residual_vector and first_reached(site) < n_blocks


def own_readers(train: Pairs, site: Site, *, seed: int, batch: int) -> pd.DataFrame | None:
    """The heads downstream of a residual vector and which of them respond to patching it, as
    ``find_readers.reader_table`` gives them by ``RULE``; ``None`` where no attention reads the site.

    Args:
        train: Pairs that tell the readers.
        site: Where the vector is.
        seed: Of the draws.
        batch: Pairs at a time.
    """
    model = train.model
    if not can_be_read(site, model.n_blocks):
        return None
    heads = heads_reached(model.n_blocks, model.n_heads, site)
    return reader_table(heads, respond(train, site, batch), train.ld_clean, Bootstrap.of(train.groups, 1, seed), RULE)
