"""What else a verdict could rest on (E14): each ingredient of the estimate alone, and the evidence in common use.

Each is a figure of a case. It is turned into an estimate of the mediated share by the isotonic regression that fits
the cases of the other models best, place by place of the same kind; rising or falling, as the two vary together. The
estimate's ingredients are also taken as they are. All are compared on directions that people find: not on mixtures, of
which the evidence in common use is not measured, nor off the route, for which the mediator has to be known. Only errors
are: intervals of what was fitted would need cases that set neither the regression nor the errors.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.isotonic import IsotonicRegression

from subspace_illusion.verdict.estimate import WRITES, share_of

ESTIMATE = "the estimate"


def _over_effect(column: str) -> Callable[[pd.DataFrame], np.ndarray]:
    return lambda cases: share_of(cases[column].to_numpy(dtype=float), cases["effect"].to_numpy())


def _left(cases: pd.DataFrame) -> np.ndarray:
    """The share of an effect that the row part keeps: all of it where a component writes and nothing is unread; NaN
    where it writes through no matrix."""
    everything = cases["kept"].isna() & (cases["kind"] == WRITES)
    kept = cases["kept"].mask(everything, cases["effect"])
    return share_of(kept.to_numpy(dtype=float), cases["effect"].to_numpy())


EVIDENCE: Mapping[str, Callable[[pd.DataFrame], np.ndarray]] = {
    "nothing": lambda cases: np.zeros(len(cases)),
    "own-difference share": lambda cases: cases["own_share"].to_numpy(),
    "match with the whole component": lambda cases: cases["match"].to_numpy(),
    "what is left without the null part": _left,
    "the whole component's effect": lambda cases: cases["whole"].to_numpy(),
    "size of the effect": lambda cases: cases["effect"].to_numpy(),
    "flip rate": lambda cases: cases["flipped"].to_numpy(dtype=float),
    "interchange accuracy": lambda cases: cases["accuracy"].to_numpy(dtype=float),
    "a placebo's effect over the patch's": _over_effect("placebo"),
    "arbitrary labels' effect over the patch's": _over_effect("arbitrary"),
    "mean ablation's effect": lambda cases: cases["ablated"].to_numpy(),
    "steering's effect": lambda cases: cases["steered"].to_numpy(),
    "cosine with a probe": lambda cases: cases["probe_cosine"].to_numpy(),
}
"""The figure of every case by what it is."""


AS_IT_IS = ("own-difference share", "match with the whole component")
"""Evidence that is a share itself, so that it needs no regression."""
UNFITTED = ", as it is"


def compared(cases: pd.DataFrame) -> pd.DataFrame:
    """The median and mean error of the estimate and of everything else on models that were left out.

    Args:
        cases: Those of ``held_out.judged``, of two models or more.

    Returns:
        ``evidence, model, kind, cases, units, median_error, mean_error``; of a figure that some ``cases`` do not have,
        as that of arbitrary labels below the full dose and in most places, on those that have it.
    """
    cases = cases[cases["placebo"].notna()].reset_index(drop=True)
    tables = [cases.assign(evidence=ESTIMATE)]
    for name, figure in EVIDENCE.items():
        told = cases.assign(figure=figure(cases))
        if len(known := told[told["figure"].notna()].reset_index(drop=True)):
            tables.append(fitted(known).assign(evidence=name))
            if name in AS_IT_IS:
                tables.append(known.assign(estimate=known["figure"], evidence=f"{name}{UNFITTED}"))
    everything = pd.concat(tables, ignore_index=True)
    everything = everything.assign(error=(everything["estimate"] - everything["truth"]).abs())
    found = everything.groupby(["evidence", "model", "kind"], sort=False).agg(
        cases=("error", "size"),
        units=("unit", "nunique"),
        median_error=("error", "median"),
        mean_error=("error", "mean"),
    )
    return found.reset_index().round(6)


def fitted(cases: pd.DataFrame) -> pd.DataFrame:
    """The cases with the estimate that their ``figure`` gives by a regression on the cases of the other models."""
    parts = [cases[:0]]
    for (model, kind), here in cases.groupby(["model", "kind"], sort=False):
        others = cases[(cases["model"] != model) & (cases["kind"] == kind)]
        if len(others):
            rising = bool(np.cov(others["figure"], others["truth"])[0, 1] >= 0)
            regression = IsotonicRegression(y_min=0, y_max=1, increasing=rising, out_of_bounds="clip")
            regression.fit(others["figure"], others["truth"])
            parts.append(here.assign(estimate=regression.predict(here["figure"])))
    return pd.concat(parts).sort_index().astype(cases.dtypes)
