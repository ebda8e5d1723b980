"""E4, E5: the row part and the null part of what was trained."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.decompose import decompose_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, with_ends
from subspace_illusion.statistics import Estimate

_SPLIT = dict(
    component="component", seed="seed", row_norm="norm of the row part", null_norm="of the null part",
    cos_v_true="cos with v_true", cos_random="of random directions", cos_mean_difference="with the mean difference",
)  # fmt: skip
_APART = dict(
    component="component", seed="seed", gap_whole="gap, whole", gap_row="row part", gap_null="null part",
    d_prime_whole="d', whole", d_prime_row="row part", d_prime_null="null part", lent_share="lent share",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """What the readout sees of every trained subspace, and along which part the positions lie apart."""
    summaries = {name: results.large(f"decompositions/{name}/summary.parquet") for name in results.components}
    together = pd.concat([summary.assign(component=name) for name, summary in summaries.items()])
    together = together.reindex(columns=list(dict.fromkeys([*_SPLIT, *_APART, "lent_share_lo", "lent_share_hi"])))
    split = [name for name, summary in summaries.items() if "row_norm" in summary]
    pictures = []
    for name in split:
        projections = results.large(f"decompositions/{name}/projections.parquet")
        first = projections[projections["seed"] == projections["seed"].min()]
        alt = f"Held-out prompts projected on the direction at {name} and on its parts"
        pictures.append(Picture(f"decompose__{name}", alt, decompose_figure(first, name)))
    yield Section(
        "E4, E5  The row part and the null part",
        "What of a direction does its component's output matrix see, and along which part do the positions lie apart?",
        "A direction of hidden activations is the sum of a row part, which the output matrix sees, and a null part, "
        "which it maps to zero. The gap is the distance between the two positions' means on held-out prompts, the gaps "
        "of the parts add up to the whole's; d' is the same distance in units of the standard deviation within a "
        "position. The lent share is the null part's gap over the whole's: of what a patch along the direction adds, "
        "so much has been read where the output sees nothing (intervals over cases). The post calls the row part "
        "dormant where it hardly varies with the position; d' and the gap say how far it does. "
        + _said(summaries[results.v_mlp], results.v_mlp),
        pictures,
        [
            Grid.of(together, _SPLIT),
            Grid.of(together[together["component"].isin(split)], _APART, ("lent_share",)),
        ],
    )


def _said(summary: pd.DataFrame, name: str) -> str:
    """What the tables say of v_mlp, in means over seeds with the single values."""
    if not {"gap_row", "gap_null"} <= set(summary):
        return ""

    def mean(measure: str) -> str:
        return with_ends(Estimate.over(summary[measure]))

    return (
        f"At {name} the positions lie {mean('gap_row')} apart along the row part, with d' {mean('d_prime_row')}, and "
        f"{mean('gap_null')} along the null part, with d' {mean('d_prime_null')}; the null part lends "
        f"{mean('lent_share')} (in brackets the single seeds)."
    )
