"""The abstract example, and what comes out where there is nothing to find (E0, E8, E11, E12)."""

from collections.abc import Iterator, Mapping
from typing import Any

from subspace_illusion.measures.controls import ON_ARBITRARY, PLACEBO, RANDOM_DIRECTION, RANDOM_MODEL, SAME_VALUE, SELF
from subspace_illusion.report.findings.finding import Finding, measured, pooled_rows, with_range
from subspace_illusion.report.results import Results
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import POOLED


def of_example(results: Results) -> Iterator[Finding]:
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


def of_random_mlps(results: Results) -> Iterator[Finding]:
    """Random MLPs in v_mlp's place (E8)."""
    if results.v_mlp in results.ran("random_mlp"):
        rows = results.table(f"random_mlp/{results.v_mlp}.csv", text=("draw",))
        (pooled,) = pooled_rows(rows, "draw").to_dict("records")
        single = rows[rows["draw"] != POOLED]
        for name, words in dict(
            effect="effect, subspaces of random MLPs", share_of_real="effect in random MLPs / in the real one"
        ).items():
            for finding in measured(f"random_mlp.{name}", words, pooled, name):
                found = finding.estimate
                estimate = Estimate(found.value, found.low, found.high, tuple(single[name].astype(float)))
                yield Finding(finding.key, words, estimate, finding.share, "draws")


def of_neurons(results: Results) -> Iterator[Finding]:
    """Fewer neurons of v_mlp's MLP (E11)."""
    if results.v_mlp in results.ran("neuron_sweep"):
        fit = results.json(f"neuron_sweep/{results.v_mlp}.json")
        yield Finding("neurons.r2", "R2 of the line through effect against neurons", Estimate(fit["r2"]))


def of_controls(results: Results) -> Iterator[Finding]:
    """What patching and training do where there is nothing to find (E12)."""
    for role, component in results.roles.items():
        every = results.controls(component)
        if every is None:
            continue
        rows = every.drop_duplicates("control").set_index("control")
        for key, control in CONTROL_FINDINGS.items():
            if control in rows.index:
                words = f"effect, {control} ({role}'s place)"
                yield from with_range(f"controls.{role}.{key}", words, rows.loc[control], "effect")
        if ON_ARBITRARY in rows.index:
            words = f"share of held-out pairs that give the answer of an arbitrary label ({role}'s place; chance 0.5)"
            yield from with_range(f"controls.{role}.label_accuracy", words, rows.loc[ON_ARBITRARY], "label_accuracy")


CONTROL_FINDINGS = {
    "random": RANDOM_DIRECTION,
    "placebo": PLACEBO,
    "self": SELF,
    "same_value": SAME_VALUE,
    "arbitrary_labels": ON_ARBITRARY,
    "random_model": RANDOM_MODEL,
}
"""The controls among the findings, by key."""
