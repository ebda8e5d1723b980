"""What reads v_true, and what it tells apart (E3 b to d)."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.tell_names import ALIKE
from subspace_illusion.measures.find_readers import READER
from subspace_illusion.measures.split_directions import SEEN, UNDIVIDED, UNSEEN
from subspace_illusion.report.findings.finding import Finding, interchange, measured, pooled_rows
from subspace_illusion.report.results import Results
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import Estimate, p_in_words
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, POOLED, TRAINED, SubspaceKey, with_keys


def of_paths(results: Results) -> Iterator[Finding]:
    """How much of an effect travels through the readers (E3 b)."""
    for name, component in results.roles.items():
        if component in results.ran("trace_paths"):
            groups = results.table(f"trace_paths/{component}/groups.csv", text=("seed",))
            for group in groups["group"].unique():
                of_group = groups[groups["group"] == group]
                (row,) = pooled_rows(of_group).to_dict("records")
                if row["heads"]:
                    key = f"{name}.paths.{str(group).replace(' ', '_')}"
                    yield from measured(key, f"share of {name}'s effect through {group}", row, "share_of_patch")


def of_kept(results: Results) -> Iterator[Finding]:
    """How many of v_true's readers keep the attributions that they have without the patch (E3 b)."""
    if results.v_true in results.ran("trace_paths"):
        readers = kept_attributions(results.table(f"trace_paths/{results.v_true}/heads.csv"))
        if len(readers):
            words = f"share of {len(readers)} readers whose attribution stays within a quarter, v_true patched"
            yield Finding("v_true.attributions_kept", words, Estimate(float(readers.mean())))


def kept_attributions(heads: pd.DataFrame, sign: float = 1) -> pd.Series:
    """Whether each reader's mean attribution under the patch is within a quarter of its clean size, or of its clean
    value with the sign turned, ``sign`` being -1.

    Args:
        heads: Columns ``reader, attribution_clean, attribution_patched``, a row a head.
        sign: See above.
    """
    readers = heads[heads["reader"] == READER]
    clean, patched = readers["attribution_clean"], readers["attribution_patched"]
    return abs(sign * patched - clean) <= CLOSE_ATTRIBUTION * abs(clean)


CLOSE_ATTRIBUTION = 0.25
"""An attribution that the patch moves by less than this share of its clean size is close to that."""


def of_split(results: Results) -> Iterator[Finding]:
    """The paper's table 1: directions of the residual stream whole and by what the readers see (E3 d)."""
    if results.v_true in results.ran("split_directions"):
        rows = with_keys(results.table(f"split_directions/{results.v_true}.csv", text=("seed",)))
        for row in pooled_rows(rows).to_dict("records"):
            method, part = TABLE1_METHODS.get(row["subspace"]), TABLE1_PARTS.get(row["part"])
            if method and part:
                direction = "v_true" if method == "das" else f"{shown(row['subspace'])} in its place"
                words = f"{direction} patched {row['part']}"
                for name, measure in dict(logit_diff="LD", interchange_accuracy=interchange(results)).items():
                    yield from measured(
                        f"table1.{method}.{part}.{name}", f"{measure}, {words}", row, TABLE1_MEASURES[name]
                    )


TABLE1_METHODS = {SubspaceKey(m): n for m, n in ((TRAINED, "das"), (GRADIENT, "gradient"), (MEAN_DIFFERENCE, "mean"))}


TABLE1_PARTS = {UNDIVIDED: "whole", SEEN: "readers", UNSEEN: "nullspace"}
"""Directions and parts of the paper's table 1, as levels of keys."""


TABLE1_MEASURES = dict(logit_diff="ld_patched", interchange_accuracy="interchange_accuracy")
"""The figures of the paper's table 1, as columns."""


def of_names(results: Results) -> Iterator[Finding]:
    """Whether a projection tells the names apart (E3 c)."""
    for role, component in results.roles.items():
        if component in results.ran("tell_names"):
            rows = with_keys(results.table(f"tell_names/{component}.csv", text=("seed",)))
            trained = rows[(rows["subspace"] == SubspaceKey(TRAINED)) & (rows["half"] == ALIKE)]
            for name, of_name in trained.groupby("name", sort=False):
                (pooled,) = pooled_rows(of_name).to_dict("records")
                each = tuple(of_name.loc[of_name["seed"] != POOLED, "omega_squared"].astype(float))
                left = f"share of what the place of S leaves of {role}'s projection, alike in both,"
                if not pd.isna(pooled["omega_squared"]):
                    p = p_in_words(pooled["p"], int(pooled["permutations"]))
                    estimate = Estimate(float(pooled["omega_squared"]), each=each)
                    yield Finding(f"{role}.names.{name}", f"{left} that {name} explains (p: {p})", estimate)
