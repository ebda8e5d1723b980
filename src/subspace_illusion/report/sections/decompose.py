"""E4, E5: the row part and the null part of what was trained and of the user's own subspaces."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.decompose import decompose_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey, with_keys

_ABOUT = dict(component="component", subspace="subspace", seed="seed")
_SPLIT = dict(
    row_norm="norm of the row part", null_norm="of the null part", cos_v_true="cos with v_true",
    cos_random="of random directions", cos_mean_difference="with the mean difference",
)  # fmt: skip
_APART = dict(
    gap_whole="gap, whole", gap_row="row part", gap_null="null part", d_prime_whole="d', whole",
    d_prime_row="row part", d_prime_null="null part", lent_share="lent share",
)  # fmt: skip


def section(results: Results) -> Iterator[Section]:
    """What the readout sees of every subspace, and along which part the values lie apart."""
    summaries = {name: results.large(f"decompositions/{name}/summary.parquet") for name in results.components}
    together = with_keys(pd.concat([summary.assign(component=name) for name, summary in summaries.items()]))
    together = together.reindex(columns=[*_ABOUT, *_SPLIT, *_APART, "lent_share_lo", "lent_share_hi"])
    together["seed"] = ["" if pd.isna(seed) else str(seed) for seed in together["seed"]]
    split = [name for name, summary in summaries.items() if "row_norm" in summary]
    grids = [Grid.of(together, _ABOUT | _SPLIT)]
    if split:
        grids.append(Grid.of(together[together["component"].isin(split)], _ABOUT | _APART, ("lent_share",)))
    if results.own_subspaces:
        grids.append(_cosines(results))
    pictures = []
    for name in split:
        projections = results.large(f"decompositions/{name}/projections.parquet")
        alt = f"Held-out prompts projected on the directions at {name} and on their parts"
        pictures.append(Picture(f"decompose__{name}", alt, decompose_figure(with_keys(projections), name)))
    yield Section(
        "E4, E5  The row part and the null part",
        "What of a direction does its component's output matrix see, and along which part do the values lie apart?",
        _answer(results),
        "A direction of hidden activations is the sum of a row part, which the output matrix sees, and a null part, "
        "which it maps to zero. The gap is the distance between the two values' means on held-out prompts (of more "
        "than two values, twice the standard deviation of their means), the gaps of the parts add up to the whole's; "
        "d' is the same distance in units of the standard deviation within a value. The lent share is the null part's "
        "gap over the whole's: of what a patch along the direction adds, so much has been read where the output sees "
        "nothing (intervals over groups). The post calls the row part dormant where it hardly varies with the value; "
        f"d' and the gap say how far it does. {_among(results)}".rstrip(),
        pictures,
        grids,
    )


def _answer(results: Results) -> str:
    """What the null part lends at v_mlp."""
    v_mlp = None if results.v_mlp is None else SubspaceKey(TRAINED, component=results.v_mlp)
    summary = None if v_mlp is None else results.summary(v_mlp)
    if summary is None or "lent_share" not in summary:
        return "Where there is a null part, the table says what it lends."
    return (
        f"At {results.v_mlp} the null part lends {with_ends(Estimate.over(summary['lent_share']))} of what the patch "
        "writes (in brackets the single seeds)."
    )


def _among(results: Results) -> str:
    return (
        "The last table has the cosines among the subspaces of a component, the trained one that of the first seed, "
        "beside the root mean square of random ones; of more than one dimension it is that of the smallest principal "
        "angle."
        if results.own_subspaces
        else ""
    )


def _cosines(results: Results) -> Grid:
    """Cosines between every two subspaces of the components that have some of the user's own."""
    tables = []
    for name in dict.fromkeys(key.component for key in results.own_subspaces):
        users = (SubspaceKey.user(label) for label in results.own[name])
        order = {key: place for place, key in enumerate((SubspaceKey(TRAINED), *users))}
        cosines = with_keys(results.large(f"decompositions/{name}/cosines.parquet")).assign(component=name)
        tables.append(cosines.sort_values("subspace", key=lambda keys, order=order: keys.map(order), kind="stable"))
    columns = dict(component="component", subspace="subspace", other="beside", cosine="cosine")
    return Grid.of(pd.concat(tables), columns)
