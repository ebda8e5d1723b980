"""DAS on a model of the same architecture with random weights (E12), beside what there was for it to find."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.controls import RANDOM_MODEL, RANDOM_MODEL_WHOLE
from subspace_illusion.statistics import Bootstrap, summarise, table
from subspace_illusion.subspace.das import Trained, late_accuracy
from subspace_illusion.subspace.pairs import Pairs


def random_model_control(
    component: str,
    site: Site,
    test: Pairs,
    trained: Trained,
    *,
    batch: int,
    on_patch: Callable[[int], object] = lambda pairs: None,
) -> pd.DataFrame:
    """Patches the subspaces that were trained in a random model, and its whole residual stream after the same block.

    Args:
        component: The component's name.
        site: Where it is.
        test: Held-out pairs, run by the random model.
        trained: What DAS found in it, on pairs of different values.
        batch: Held-out pairs at a time.
        on_patch: Told the number of pairs after every batch of every patch.

    Returns:
        Two rows. The model solves nothing, so shares of its clean LD mean nothing and are left out; instead there is
        ``ld_clean_sd``, how much its LD varies over pairs, and ``moved``, the mean size of the change in LD. There are
        no intervals, because all figures are of one random model; ``effect_min`` and ``effect_max`` are the range over
        training seeds.
    """
    residual = residual_after(site.block)
    found = dict(enumerate(test.along(site, basis) for basis in trained.bases))
    tried = {
        RANDOM_MODEL: test.patch(site, found, batch, on_patch),
        RANDOM_MODEL_WHOLE: test.patch(residual, {0: test.along(residual, None)}, batch, on_patch),
    }
    accuracy = {f"train_accuracy_{kind}": late_accuracy(trained.curve, kind) for kind in ("change", "keep")}
    once = Bootstrap.of(test.groups, 0, 0)
    rows = []
    for control, outcomes in tried.items():
        pooled = Outcome.pooled(list(outcomes.values()))
        measured, effects = summarise(pooled, test.ld_clean, once), test.ld_clean.mean() - pooled.ld.mean(1)
        rows.append(
            dict(component=component, control=control, draws=len(outcomes), pairs=len(test))
            | (accuracy if control == RANDOM_MODEL else dict.fromkeys(accuracy, np.nan))
            | dict(ld_clean_sd=float(test.ld_clean.std()), moved=float(np.abs(test.ld_clean - pooled.ld).mean()))
            | {name: value for name, value in measured.items() if not name.startswith("fldd")}
            | dict(effect_min=float(effects.min()), effect_max=float(effects.max()))
        )
    return table(rows)
