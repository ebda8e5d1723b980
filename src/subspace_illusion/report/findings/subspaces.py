"""What patching v_true, v_mlp and a user's own subspaces does, and what they are made of (E3 to E7)."""

from collections.abc import Iterator

from subspace_illusion.report.findings.finding import Finding, measured, outcomes, over, patched
from subspace_illusion.report.results import Results
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import (
    BOTH,
    LENT_HALF,
    MEAN_DIFFERENCE,
    NULL,
    OWN_HALF,
    ROW,
    TRAINED,
    WHOLE,
    SubspaceKey,
    with_keys,
)


def of_clean(results: Results) -> Iterator[Finding]:
    """What the model does without a patch, and with the whole residual stream patched."""
    whole = WHOLE.at(results.v_true)
    row = results.effects[whole]
    yield from measured("clean.logit_diff", "LD, nothing patched", row, "ld_clean")
    yield from measured("clean.accuracy", "share with LD > 0, nothing patched", row, "accuracy_clean")
    yield from outcomes("residual.full_patch", "the whole residual stream patched", whole, results)
    if (flipped := Estimate.of(results.effects[whole], "flip_rate")) is not None:
        words = "share without a flip, the whole residual stream patched"
        yield Finding("residual.full_patch.accuracy", words, flipped.complement())


def of_v_true(results: Results) -> Iterator[Finding]:
    """What patching v_true does (E3)."""
    trained, mean = (SubspaceKey(method, component=results.v_true) for method in (TRAINED, MEAN_DIFFERENCE))
    yield from outcomes("v_true", "v_true patched", trained, results)
    cosines = summaries(results, trained, "cos_mean_difference")
    yield from over("v_true.cos_mean_difference", "cos(v_true, mean difference)", cosines)
    yield from outcomes("mean_difference", "mean difference patched in v_true's place", mean, results)
    if mean in results.effects:
        alone = float(results.effects[mean]["effect"])
        shares = [alone / effect for effect in results.by_seed(trained, "effect")]
        yield from over("mean_difference.of_v_true", "effect of the mean difference / of v_true", shares)


def of_v_mlp(results: Results) -> Iterator[Finding]:
    """What patching v_mlp, its parts and its whole component does (E4, E6)."""
    if results.v_mlp is None:
        return
    v_mlp = SubspaceKey(TRAINED, component=results.v_mlp)
    for key, subspace, words in (
        ("v_mlp.full_patch", WHOLE.at(results.v_mlp), "the whole MLP patched"),
        ("v_mlp", v_mlp, "v_mlp patched"),
        ("v_mlp.row_only", v_mlp.of_part(ROW), "only the row part patched"),
        ("v_mlp.null_only", v_mlp.of_part(NULL), "only the null part patched (0 by algebra)"),
        ("v_mlp.span", v_mlp.of_part(BOTH), "the span of both parts patched"),
        ("v_mlp.lent", v_mlp.of_part(LENT_HALF), "only what the null part lends to the row part"),
        ("v_mlp.own", v_mlp.of_part(OWN_HALF), "only what the row part does itself"),
    ):
        yield from patched(results, f"{key}.effect", f"effect, {words}", subspace, "effect")
        yield from outcomes(key, words, subspace, results)
    for name, words in dict(
        share_of_residual="share of the residual patch's effect, v_mlp",
        effect_over_row_part="effect of v_mlp / of its row part",
        whole_share="effect of the whole MLP / of v_mlp",
    ).items():
        yield from patched(results, f"v_mlp.{name}", words, v_mlp, name)
    lent = "effect of what the null part lends alone / of v_mlp"
    yield from patched(results, "v_mlp.lent_effect", lent, v_mlp.of_part(LENT_HALF), "share_of_subspace")
    spans, wholes = (results.by_seed(key, "effect") for key in (v_mlp.of_part(BOTH), v_mlp))
    shares = [span / whole for span, whole in zip(spans, wholes, strict=False)]
    yield from over("v_mlp.span_share", "effect of the span of both parts / of v_mlp", shares)


def summaries(results: Results, key: SubspaceKey, name: str) -> list[float]:
    """A column of a subspace's decomposition, one value a training seed; empty where it has none."""
    summary = results.summary(key)
    return [] if name not in summary else summary[name].dropna().astype(float).tolist()


def of_parts(results: Results) -> Iterator[Finding]:
    """What v_mlp is made of (E4, E5)."""
    if results.v_mlp is None:
        return
    v_mlp = SubspaceKey(TRAINED, component=results.v_mlp)
    for name, words in dict(
        cos_v_true="cos(W_out v_mlp, v_true)",
        cos_random="cos(W_out v, v_true), v a random direction (root mean square)",
        row_norm="norm of v_mlp's row part",
        null_norm="norm of v_mlp's null part",
        lent_share="share of v_mlp's variation that the null part lends",
    ).items():
        yield from over(f"v_mlp.{name}", words, summaries(results, v_mlp, name))
    for name, words, above, below in (
        ("norm_ratio", "norm of v_mlp's row part / of its null part", "row_norm", "null_norm"),
        ("gap_ratio", "gap between the values along v_mlp's null part / along its row part", "gap_null", "gap_row"),
        ("row_gap", "gap between the values along v_mlp's row part / along v_mlp", "gap_row", "gap_whole"),
    ):
        parts = zip(summaries(results, v_mlp, above), summaries(results, v_mlp, below), strict=True)
        yield from over(f"v_mlp.{name}", words, [one / other for one, other in parts])


def of_dormant(results: Results) -> Iterator[Finding]:
    """The dormant pathway (E7)."""
    dormant = with_keys(results.table("dormant.csv"))
    v_mlp = (dormant["component"] == results.v_mlp) & (dormant["subspace"] == SubspaceKey(TRAINED))
    for row in dormant[v_mlp].to_dict("records"):
        for name, words in dict(
            clean_gap="gap between values in the MLP's output along v_true, clean",
            patched_gap="the same gap, v_mlp patched, by the source's value",
            gap_ratio="MLP's output along v_true: patched gap / clean gap",
            outside="share of the MLP's patched outputs outside their clean range along v_true",
            outside_same="the same share, patched from sources of the same value",
        ).items():
            yield from measured(f"dormant.{name}", words, row, name)
        if (ratio := Estimate.of(row, "gap_ratio")) is not None and ratio.low and ratio.high:
            low, high = sorted((1 / ratio.low, 1 / ratio.high))
            ends = (low, high) if ratio.low * ratio.high > 0 else (None, None)
            words = "MLP's output along v_true: clean gap / patched gap"
            yield Finding("dormant.clean_of_patched", words, Estimate(1 / ratio.value, *ends))


def of_own(results: Results) -> Iterator[Finding]:
    """What patching the user's own subspaces does, and what they are made of."""
    for subspace in results.own_subspaces:
        key, words = own_finding(subspace), f"{shown(subspace)} at {subspace.component}"
        yield from patched(results, f"{key}.effect", f"effect, {words} patched", subspace, "effect")
        yield from outcomes(key, f"{words} patched", subspace, results)
        for name, share in dict(
            whole_share=f"effect of the whole component / of {words}", row_share=f"effect of the row part / of {words}"
        ).items():
            yield from patched(results, f"{key}.{name}", share, subspace, name)
        (row,) = results.summary(subspace).to_dict("records")
        for name, made in dict(
            lent_share=f"share of the variation of {words} that the null part lends",
            cos_mean_difference=f"cos({words}, mean difference)",
            cos_v_true=f"cos({words} as the residual stream sees it, v_true)",
        ).items():
            yield from measured(f"{key}.{name}", made, row, name)


def own_finding(subspace: SubspaceKey) -> str:
    """The level of keys under which the findings of one of the user's own subspaces stand."""
    return f"own.{subspace.component}.{subspace.method}"
