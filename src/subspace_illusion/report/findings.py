"""The findings of a run, one figure each, taken from the result tables: what metrics, terminal and report show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.fact_directions import ONE, WHOLE_MLP
from subspace_illusion.experiments.fact_edits import EDIT, SUBSPACE, SUBSPACE_ROW
from subspace_illusion.experiments.tell_names import ALIKE
from subspace_illusion.measures.controls import ON_ARBITRARY, PLACEBO, RANDOM_DIRECTION, RANDOM_MODEL, SAME_VALUE, SELF
from subspace_illusion.measures.find_readers import READER
from subspace_illusion.measures.split_directions import SEEN, UNDIVIDED, UNSEEN
from subspace_illusion.report.results import Results
from subspace_illusion.report.words import fixed, foil_of, shown
from subspace_illusion.statistics import Estimate, p_in_words, table
from subspace_illusion.subspace.keys import (
    BOTH,
    GRADIENT,
    LENT_HALF,
    MEAN_DIFFERENCE,
    NULL,
    OWN_HALF,
    POOLED,
    ROW,
    TRAINED,
    WHOLE,
    SubspaceKey,
    with_keys,
)

BOOTSTRAP = "95 % bootstrap over groups, and over random draws where there are five; training seeds held fixed"


@dataclass(frozen=True)
class Finding:
    """One figure.

    Attributes:
        key: Its name, dots for levels.
        words: What it is, in words.
        estimate: The figure, with its bootstrap interval where it is measured on pairs, and the single values that it
            is the mean of, where there are a few.
        share: What to compare it by with another model's, if it is a logit difference: the share of the clean LD that
            is lost, of the same pairs.
        singles: What the single values are, in the plural: training seeds, draws, blocks.
    """

    key: str
    words: str
    estimate: Estimate
    share: Estimate | None = None
    singles: str = "seeds"

    @property
    def spread(self) -> str:
        """The interval and the single values in words; empty where there is neither."""
        estimate, parts = self.estimate, []
        if estimate.low is not None and estimate.high is not None:
            ends = [fixed(estimate.low), fixed(estimate.high)]
            if ends != [fixed(estimate.value)] * 2:
                parts.append(" to ".join(ends))
        if len(estimate.each) > MOST_SINGLES:
            least, most = fixed(min(estimate.each)), fixed(max(estimate.each))
            parts.append(f"{len(estimate.each)} {self.singles}: from {least} to {most}")
        elif len(estimate.each) > 1:
            parts.append(f"{self.singles}: {', '.join(map(fixed, estimate.each))}")
        return "; ".join(parts)

    @property
    def interval(self) -> str:
        """What the ends are."""
        return "" if self.estimate.low is None else BOOTSTRAP


MOST_SINGLES = 6
"""Single values that are all named; of more, the least and the largest."""


def findings(results: Results) -> list[Finding]:
    """Every finding of a run, in the order in which one reads them; what was left out has none.

    Raises:
        InputError: If v_mlp has no row and null part.
    """
    if results.v_mlp is not None:
        v_mlp = SubspaceKey(TRAINED, component=results.v_mlp)
        if not {v_mlp.of_part(ROW), v_mlp.of_part(NULL)} <= set(results.effects):
            raise InputError(
                f"roles.v_mlp is '{results.v_mlp}', which has no row part and null part: take an MLP's hidden "
                "activations"
            )
    parts = (
        _example, _clean, _of_v_true, _of_v_mlp, _decomposed, _woken, _of_own, _travelled, _kept, _split, _named,
        _of_random_mlps, _by_neurons, _controlled, _weights, _recovered, _read, _of_facts, _of_facts_by_depth,
    )  # fmt: skip
    return [finding for part in parts for finding in part(results)]


def _measure(key: str, words: str, row: Mapping[str, Any], name: str, **about: Any) -> Iterator[Finding]:
    """A measure of a row of a table of effects, if the row has it; logit differences with their share."""
    estimate = Estimate.of(row, name)
    if estimate is not None:
        share = Estimate.of(row, "fldd") if name in ("ld_patched", "effect") else None
        yield Finding(key, words, estimate, share, **about)


def _with_range(key: str, words: str, row: Mapping[str, Any], name: str) -> Iterator[Finding]:
    """A measure that is the mean of random draws: where these are too few for an interval, with their range."""
    for finding in _measure(key, words, row, name):
        ends = tuple(float(row.get(f"{name}_{end}", float("nan"))) for end in ("min", "max"))
        if finding.estimate.low is None and ends[0] < ends[1]:
            ranged = Estimate(finding.estimate.value, each=ends)
            finding = Finding(key, words, ranged, finding.share, "draws, least and largest")
        yield finding


def _patched(results: Results, key: str, words: str, subspace: SubspaceKey, name: str) -> Iterator[Finding]:
    """A measure of patching a subspace, with the values of the single training seeds, if it was patched."""
    if (row := results.effects.get(subspace)) is not None:
        for finding in _measure(key, words, row, name):
            pooled_over, each = finding.estimate, results.by_seed(subspace, name)
            estimate = Estimate(pooled_over.value, pooled_over.low, pooled_over.high, each)
            yield Finding(key, words, estimate, finding.share)


def _example(results: Results) -> Iterator[Finding]:
    """The post's abstract example: what share of it comes out as the post says (E0)."""
    if not results.ran("toy_example"):
        return
    computed = results.json("toy_example/tables.json")
    alone = [(row["direction"] != "both heads", row) for row in computed["cancelling_heads"]["patches"]]
    for name, words, right in (
        ("patches", "patches that make the output the source's", map(_turned, computed["patches"])),
        (
            "bases",
            "directions classed as the post does",
            (row["class"] == row["post_says"] for row in computed["bases"]),
        ),
        (
            "cancelling",
            "patches of cancelling heads that change the output for one head, and not for both",
            ((row["output_after"] != row["output_before"]) == single for single, row in alone),
        ),
    ):
        shares = list(right)
        yield Finding(
            f"example.{name}", f"share of the abstract example's {words}", Estimate(sum(shares) / len(shares))
        )


def _turned(patch: Mapping[str, Any]) -> bool:
    """Whether a patch of the abstract example makes the output that of its source."""
    return bool(patch["output_after"] == -patch["output_before"])


def _clean(results: Results) -> Iterator[Finding]:
    """What the model does without a patch, and with the whole residual stream patched."""
    whole = WHOLE.at(results.v_true)
    row = results.effects[whole]
    yield from _measure("clean.logit_diff", "LD, nothing patched", row, "ld_clean")
    yield from _measure("clean.accuracy", "share with LD > 0, nothing patched", row, "accuracy_clean")
    yield from _outcomes("residual.full_patch", "the whole residual stream patched", whole, results)
    if (flipped := Estimate.of(results.effects[whole], "flip_rate")) is not None:
        words = "share without a flip, the whole residual stream patched"
        yield Finding("residual.full_patch.accuracy", words, flipped.complement())


def _outcomes(key: str, words: str, subspace: SubspaceKey, results: Results) -> Iterator[Finding]:
    """What patching a subspace does to the answer."""
    for name, measure in dict(
        logit_diff=("LD", "ld_patched"),
        fldd=("share of the clean LD lost", "fldd"),
        flip_rate=("flip rate (LD < 0)", "flip_rate"),
        interchange_accuracy=(_interchange(results), "interchange_accuracy"),
    ).items():
        yield from _patched(results, f"{key}.{name}", f"{measure[0]}, {words}", subspace, measure[1])


def _interchange(results: Results) -> str:
    return f"interchange accuracy ({foil_of(results.task)} is the top token)"


def _of_v_true(results: Results) -> Iterator[Finding]:
    """What patching v_true does (E3)."""
    trained, mean = (SubspaceKey(method, component=results.v_true) for method in (TRAINED, MEAN_DIFFERENCE))
    yield from _outcomes("v_true", "v_true patched", trained, results)
    cosines = _summary(results, trained, "cos_mean_difference")
    yield from _over("v_true.cos_mean_difference", "cos(v_true, mean difference)", cosines)
    yield from _outcomes("mean_difference", "mean difference patched in v_true's place", mean, results)
    if mean in results.effects:
        alone = float(results.effects[mean]["effect"])
        shares = [alone / effect for effect in results.by_seed(trained, "effect")]
        yield from _over("mean_difference.of_v_true", "effect of the mean difference / of v_true", shares)


def _of_v_mlp(results: Results) -> Iterator[Finding]:
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
        yield from _patched(results, f"{key}.effect", f"effect, {words}", subspace, "effect")
        yield from _outcomes(key, words, subspace, results)
    for name, words in dict(
        share_of_residual="share of the residual patch's effect, v_mlp",
        effect_over_row_part="effect of v_mlp / of its row part",
        whole_share="effect of the whole MLP / of v_mlp",
    ).items():
        yield from _patched(results, f"v_mlp.{name}", words, v_mlp, name)
    lent = "effect of what the null part lends alone / of v_mlp"
    yield from _patched(results, "v_mlp.lent_effect", lent, v_mlp.of_part(LENT_HALF), "share_of_subspace")
    spans, wholes = (results.by_seed(key, "effect") for key in (v_mlp.of_part(BOTH), v_mlp))
    shares = [span / whole for span, whole in zip(spans, wholes, strict=False)]
    yield from _over("v_mlp.span_share", "effect of the span of both parts / of v_mlp", shares)


def _summary(results: Results, key: SubspaceKey, name: str) -> list[float]:
    """A column of a subspace's decomposition, one value a training seed; empty where it has none."""
    summary = results.summary(key)
    return [] if name not in summary else summary[name].dropna().astype(float).tolist()


def _over(key: str, words: str, values: Sequence[float], singles: str = "seeds") -> Iterator[Finding]:
    """The mean of a few single values."""
    if len(values):
        yield Finding(key, words, Estimate.over(values), singles=singles)


def _decomposed(results: Results) -> Iterator[Finding]:
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
        yield from _over(f"v_mlp.{name}", words, _summary(results, v_mlp, name))
    for name, words, above, below in (
        ("norm_ratio", "norm of v_mlp's row part / of its null part", "row_norm", "null_norm"),
        ("gap_ratio", "gap between the values along v_mlp's null part / along its row part", "gap_null", "gap_row"),
        ("row_gap", "gap between the values along v_mlp's row part / along v_mlp", "gap_row", "gap_whole"),
    ):
        parts = zip(_summary(results, v_mlp, above), _summary(results, v_mlp, below), strict=True)
        yield from _over(f"v_mlp.{name}", words, [one / other for one, other in parts])


def _woken(results: Results) -> Iterator[Finding]:
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
            yield from _measure(f"dormant.{name}", words, row, name)
        if (ratio := Estimate.of(row, "gap_ratio")) is not None and ratio.low and ratio.high:
            low, high = sorted((1 / ratio.low, 1 / ratio.high))
            ends = (low, high) if ratio.low * ratio.high > 0 else (None, None)
            words = "MLP's output along v_true: clean gap / patched gap"
            yield Finding("dormant.clean_of_patched", words, Estimate(1 / ratio.value, *ends))


def _of_own(results: Results) -> Iterator[Finding]:
    """What patching the user's own subspaces does, and what they are made of."""
    for subspace in results.own_subspaces:
        key, words = own_finding(subspace), f"{shown(subspace)} at {subspace.component}"
        yield from _patched(results, f"{key}.effect", f"effect, {words} patched", subspace, "effect")
        yield from _outcomes(key, f"{words} patched", subspace, results)
        for name, share in dict(
            whole_share=f"effect of the whole component / of {words}",
            row_share=f"effect of the row part / of {words}",
        ).items():
            yield from _patched(results, f"{key}.{name}", share, subspace, name)
        (row,) = results.summary(subspace).to_dict("records")
        for name, made in dict(
            lent_share=f"share of the variation of {words} that the null part lends",
            cos_mean_difference=f"cos({words}, mean difference)",
            cos_v_true=f"cos({words} as the residual stream sees it, v_true)",
        ).items():
            yield from _measure(f"{key}.{name}", made, row, name)


def own_finding(subspace: SubspaceKey) -> str:
    """The level of keys under which the findings of one of the user's own subspaces stand."""
    return f"own.{subspace.component}.{subspace.method}"


def pooled_rows(rows: pd.DataFrame, over: str = "seed") -> pd.DataFrame:
    """The rows of a table that pool its seeds or draws; all rows if it has no such column."""
    return rows if over not in rows else rows[rows[over].astype(str) == POOLED]


def _travelled(results: Results) -> Iterator[Finding]:
    """How much of an effect travels through the readers (E3 b)."""
    for name, component in results.roles.items():
        if component in results.ran("trace_paths"):
            groups = results.table(f"trace_paths/{component}/groups.csv", text=("seed",))
            for group in groups["group"].unique():
                of_group = groups[groups["group"] == group]
                (row,) = pooled_rows(of_group).to_dict("records")
                if row["heads"]:
                    key = f"{name}.paths.{str(group).replace(' ', '_')}"
                    yield from _measure(key, f"share of {name}'s effect through {group}", row, "share_of_patch")


def _kept(results: Results) -> Iterator[Finding]:
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


def _split(results: Results) -> Iterator[Finding]:
    """The paper's table 1: directions of the residual stream whole and by what the readers see (E3 d)."""
    if results.v_true in results.ran("split_directions"):
        rows = with_keys(results.table(f"split_directions/{results.v_true}.csv", text=("seed",)))
        for row in pooled_rows(rows).to_dict("records"):
            method, part = TABLE1_METHODS.get(row["subspace"]), TABLE1_PARTS.get(row["part"])
            if method and part:
                direction = "v_true" if method == "das" else f"{shown(row['subspace'])} in its place"
                words = f"{direction} patched {row['part']}"
                for name, measure in dict(logit_diff="LD", interchange_accuracy=_interchange(results)).items():
                    yield from _measure(
                        f"table1.{method}.{part}.{name}", f"{measure}, {words}", row, TABLE1_MEASURES[name]
                    )


TABLE1_METHODS = {SubspaceKey(m): n for m, n in ((TRAINED, "das"), (GRADIENT, "gradient"), (MEAN_DIFFERENCE, "mean"))}
TABLE1_PARTS = {UNDIVIDED: "whole", SEEN: "readers", UNSEEN: "nullspace"}
"""Directions and parts of the paper's table 1, as levels of keys."""

TABLE1_MEASURES = dict(logit_diff="ld_patched", interchange_accuracy="interchange_accuracy")
"""The figures of the paper's table 1, as columns."""


def _named(results: Results) -> Iterator[Finding]:
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


def _of_random_mlps(results: Results) -> Iterator[Finding]:
    """Random MLPs in v_mlp's place (E8)."""
    if results.v_mlp in results.ran("random_mlp"):
        rows = results.table(f"random_mlp/{results.v_mlp}.csv", text=("draw",))
        (pooled,) = pooled_rows(rows, "draw").to_dict("records")
        single = rows[rows["draw"] != POOLED]
        for name, words in dict(
            effect="effect, subspaces of random MLPs", share_of_real="effect in random MLPs / in the real one"
        ).items():
            for finding in _measure(f"random_mlp.{name}", words, pooled, name):
                found = finding.estimate
                estimate = Estimate(found.value, found.low, found.high, tuple(single[name].astype(float)))
                yield Finding(finding.key, words, estimate, finding.share, "draws")


def _by_neurons(results: Results) -> Iterator[Finding]:
    """Fewer neurons of v_mlp's MLP (E11)."""
    if results.v_mlp in results.ran("neuron_sweep"):
        fit = results.json(f"neuron_sweep/{results.v_mlp}.json")
        yield Finding("neurons.r2", "R2 of the line through effect against neurons", Estimate(fit["r2"]))


def _controlled(results: Results) -> Iterator[Finding]:
    """What patching and training do where there is nothing to find (E12)."""
    for role, component in results.roles.items():
        folders = [folder for folder in ("controls", "random_model") if component in results.ran(folder)]
        if not folders:
            continue
        tables = [results.table(f"{folder}/{component}.csv") for folder in folders]
        rows = pd.concat(tables, ignore_index=True).drop_duplicates("control").set_index("control")
        for key, control in CONTROL_FINDINGS.items():
            if control in rows.index:
                words = f"effect, {control} ({role}'s place)"
                yield from _with_range(f"controls.{role}.{key}", words, rows.loc[control], "effect")
        if ON_ARBITRARY in rows.index:
            words = f"share of held-out pairs that give the answer of an arbitrary label ({role}'s place; chance 0.5)"
            yield from _with_range(f"controls.{role}.label_accuracy", words, rows.loc[ON_ARBITRARY], "label_accuracy")


CONTROL_FINDINGS = {
    "random": RANDOM_DIRECTION,
    "placebo": PLACEBO,
    "self": SELF,
    "same_value": SAME_VALUE,
    "arbitrary_labels": ON_ARBITRARY,
    "random_model": RANDOM_MODEL,
}
"""The controls among the findings, by key."""


def _weights(results: Results) -> Iterator[Finding]:
    """The ranks of the MLPs' weights."""
    if results.ran("compare_mlps"):
        ranks = results.table("text/compare_mlps_ranks.csv")
        for name, words in dict(in_="W_in", out="W_out").items():
            shares = (ranks[f"rank_{words}"] / ranks["possible"]).tolist()
            yield from _over(
                f"weights.rank_{name.rstrip('_')}", f"counted rank of the MLPs' {words} / full rank", shares, "blocks"
            )


def _levels(texts: Sequence[str]) -> dict[str, str]:
    """The level that a text's findings have in their keys: the first has none, and stands beside published figures."""
    return {text: f"{text}." if i else "" for i, text in enumerate(texts)}


def _recovered(results: Results) -> Iterator[Finding]:
    """What MLPs keep of the residual stream: random directions (E9)."""
    for text, level in _levels(results.ran("recover_directions")).items():
        recovered = results.table(f"text/recover_directions/{text}.csv")
        by_block = recovered.groupby("block")[["r2", "mse"]].mean()
        for name, words in dict(r2="R2", mse="standardised MSE").items():
            yield from _over(
                f"recovery.{level}{name}",
                f"{words}, random directions recovered from MLPs, text: {text}",
                by_block[name].tolist(),
                "blocks",
            )
            spread = Estimate(float(recovered[name].std()))
            said = f"{words}, random directions recovered from MLPs, text: {text}: standard deviation over all of them"
            yield Finding(f"recovery.{level}{name}_sd", said, spread)
        largest = Estimate(float(recovered["p"].max()))
        said = f"largest permutation p, random directions recovered from MLPs, text: {text}"
        yield Finding(f"recovery.{level}p", said, largest)
        above = (recovered["p"] <= 1 / recovered["permutations"]).mean()
        words = f"share of random directions recovered better than from any permuted targets, text: {text}"
        yield Finding(f"recovery.{level}above_chance", words, Estimate(float(above)))


def _read(results: Results) -> Iterator[Finding]:
    """What MLPs keep of the residual stream: signs of a small vector (E10)."""
    for text, level in _levels(results.ran("read_signs")).items():
        for z, rows in results.table(f"text/read_signs/{text}.csv").groupby("z"):
            by_block = rows.groupby("block")["accuracy"].mean().tolist()
            key = f"signs.{level}z{z:g}".replace("0.", "0_")
            yield from _over(key, f"accuracy of reading a sign of size z = {z:g}, text: {text}", by_block, "blocks")


def _of_facts(results: Results) -> Iterator[Finding]:
    """What patches and rank-1 edits of facts do, at the first block and at the later ones of the first half (E16)."""
    for component in results.ran("facts"):
        patched, edited = (with_keys(results.table(f"facts/{component}/{name}.csv")) for name in ("by_block", "edits"))
        middle = (int(results.table("localise/components.csv")["block"].max()) + 1) / 2
        per_pair = patched["what"] == ONE
        for name, words, rows, measure in (
            (
                "direction",
                "a direction per pair",
                patched[per_pair & (patched["subspace"] == SubspaceKey(TRAINED))],
                ANSWERS,
            ),
            ("whole", "the whole MLP", patched[patched["what"] == WHOLE_MLP], ANSWERS),
            (
                "row",
                "its row part",
                patched[per_pair & (patched["subspace"] == SubspaceKey(TRAINED).of_part(ROW))],
                ANSWERS,
            ),
            ("edit", "a rank-1 edit", edited[edited["what"] == EDIT], "rewrite"),
            ("edit_subspace", "the subspace of the edit", edited[edited["what"] == SUBSPACE], "rewrite"),
            ("edit_row", "that subspace's row part", edited[edited["what"] == SUBSPACE_ROW], "rewrite"),
        ):
            what = "patches that give the source's answer" if measure == ANSWERS else "the rewrite score"
            label = "share of " + what if measure == ANSWERS else what
            first, later = rows[rows["block"] == 0], rows[(rows["block"] > 0) & (rows["block"] < middle)]
            for row in first.to_dict("records"):
                yield from _measure(f"facts.first.{name}", f"{label}: {words}, block 0", row, measure)
            where = "later blocks of the first half"
            yield from _over(f"facts.later.{name}", f"{label}: {words}, {where}", later[measure].tolist(), "blocks")


ANSWERS = "interchange_accuracy"
"""The share of patches that give the source's answer, as a column."""


def _of_facts_by_depth(results: Results) -> Iterator[Finding]:
    """Facts block by block (E16), at the published depths: what was measured at the block that is nearest to each."""
    for component in results.ran("facts")[:1]:
        tables = {name: results.table(f"facts/{component}/{name}.csv") for name in ("by_block", "edits")}
        blocks = int(results.table("localise/components.csv")["block"].max()) + 1
        for row in results.large("published_facts.csv").to_dict("records"):
            name, about, measure = FACT_FINDINGS[row["quantity"]]
            rows = tables[name]
            rows = rows[(rows[list(about)] == pd.Series(about)).all(axis=1)]
            if rows.empty:
                continue
            nearest = rows.loc[(rows["block"] / blocks - row["block"] / row["blocks"]).abs().idxmin()]
            words = f"{row['quantity']} (block {nearest['block']} of {blocks})"
            yield from _measure(fact_key(row), words, nearest.to_dict(), measure)


def fact_key(published: Mapping[str, Any]) -> str:
    """The key of the finding that a published figure of facts is held against, from its ``quantity`` and ``block``."""
    _, about, measure = FACT_FINDINGS[published["quantity"]]
    return f"facts.{measure}.{'.'.join(about.values()).replace(' ', '_')}.{published['block']}"


_ANSWERS, _REWRITES = "share of patches that give the source's answer", "median rewrite score"
FACT_FINDINGS: Mapping[str, tuple[str, Mapping[str, str], str]] = {
    **{
        f"{_ANSWERS}: {words}": ("by_block", dict(what=what, subspace=key.subspace), "interchange_accuracy")
        for words, what, key in (
            ("DAS direction", ONE, SubspaceKey(TRAINED)),
            ("whole MLP", WHOLE_MLP, WHOLE),
            ("row part", ONE, SubspaceKey(TRAINED, ROW)),
        )
    },
    **{
        f"{_REWRITES}: {words}": ("edits", dict(what=what), "rewrite")
        for words, what in (
            ("ROME edit", EDIT),
            ("its subspace", SUBSPACE),
            ("row part of that subspace", SUBSPACE_ROW),
        )
    },
}
"""The published figures of facts: the table where this run has them, in which rows and which column."""


def findings_table(found: Sequence[Finding]) -> pd.DataFrame:
    """One row a finding, for a file."""
    nan = float("nan")
    return table(
        [
            dict(
                key=finding.key,
                words=finding.words,
                value=finding.estimate.value,
                low=nan if finding.estimate.low is None else finding.estimate.low,
                high=nan if finding.estimate.high is None else finding.estimate.high,
                interval=finding.interval,
                each=" ".join(f"{round(x, 6) + 0.0:g}" for x in finding.estimate.each),
                each_is=finding.singles if finding.estimate.each else "",
            )
            for finding in found
        ]
    )


def bars(results: Results) -> pd.DataFrame:
    """For dvc plots: a bar a subspace, columns ``subspace`` and ``effect``."""
    effects = {f"{key.component}: {shown(key)}": row["effect"] for key, row in results.effects.items()}
    return pd.DataFrame(dict(subspace=list(effects), effect=list(effects.values())))


def decomposition(results: Results) -> pd.DataFrame:
    """The decompositions of all components, one row a component, subspace and training seed."""
    parts = [
        results.large(f"decompositions/{component}/summary.parquet").assign(component=component)
        for component in results.components
    ]
    return pd.concat(parts).set_index("component").round(6).reset_index()
