"""The findings of a run, one figure each, taken from the result tables: what metrics, terminal and report show."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.controls import ARBITRARY, PLACEBO, RANDOM_DIRECTION, RANDOM_MODEL, SAME, SELF
from subspace_illusion.experiments.splits import DAS, GRADIENT, MEAN, SEEN, UNSEEN
from subspace_illusion.experiments.splits import WHOLE as ALL_OF_IT
from subspace_illusion.statistics import POOLED, Estimate
from subspace_illusion.subspace.ways import BOTH, MEAN_DIFFERENCE, NULL, ROW, TRAINED, WHOLE


@dataclass(frozen=True)
class Validation:
    """The tables of one component's validation (E3); ``splits`` only for components in the residual stream."""

    heads: pd.DataFrame
    paths: pd.DataFrame
    probe: pd.DataFrame
    splits: pd.DataFrame | None


@dataclass(frozen=True)
class Tables:
    """The result tables of a run; those by component hold the components that the experiment ran for."""

    effects: pd.DataFrame
    decompositions: Mapping[str, pd.DataFrame]
    dormant: pd.DataFrame
    validations: Mapping[str, Validation]
    random_mlps: Mapping[str, pd.DataFrame]
    sweeps: Mapping[str, Mapping[str, float]]
    controls: Mapping[str, pd.DataFrame]
    random_models: Mapping[str, pd.DataFrame]
    recovery: pd.DataFrame
    signs: pd.DataFrame

    @property
    def pooled(self) -> pd.DataFrame:
        """Effects that pool the seeds, by component and subspace."""
        return self.effects[self.effects["seed"] == POOLED].set_index(["component", "subspace"])

    def random_mlp(self, component: str) -> pd.Series:
        """What the random MLPs in a component's place did, all draws together."""
        table = self.random_mlps[component]
        return table[table["draw"].astype(str) == POOLED].iloc[0]

    def every_control(self, component: str) -> pd.DataFrame:
        """The controls at a component, those in the random model among them."""
        return pd.concat([self.controls[component], self.random_models[component]], ignore_index=True)

    @property
    def waking(self) -> pd.DataFrame:
        """The dormant pathway by component and subspace."""
        return self.dormant.set_index(["component", "subspace"])


@dataclass(frozen=True)
class Finding:
    """One figure.

    Attributes:
        key: Its name in ``metrics.json``, dots for levels.
        words: What it is, in words.
        estimate: The figure and its interval: 95 % bootstrap for what is measured on pairs; for cosines and norms the
            range over seeds; for regressions one standard deviation over layers and directions.
    """

    key: str
    words: str
    estimate: Estimate


def findings(tables: Tables, v_true: str, v_mlp: str) -> list[Finding]:
    """Every finding of a run.

    Args:
        tables: The result tables.
        v_true: The component whose trained direction is v_true.
        v_mlp: The component whose trained direction is v_mlp.

    Raises:
        InputError: If v_mlp has no row and null part.
    """
    pooled, waking = tables.pooled, tables.waking
    if (v_mlp, ROW) not in pooled.index or (v_mlp, NULL) not in pooled.index:
        raise InputError(
            f"roles.v_mlp is '{v_mlp}', which has no row part and null part: take an MLP's hidden activations"
        )
    found: list[Finding] = []

    def note(key: str, words: str, row: Mapping[str, Any], name: str) -> None:
        estimate = Estimate.of(row, name)
        if estimate is not None:
            found.append(Finding(key, words, estimate))

    def over_seeds(key: str, words: str, component: str, column: str) -> None:
        values = tables.decompositions[component][column]
        found.append(Finding(key, words, Estimate(values.mean(), values.min(), values.max())))

    def spread(key: str, words: str, values: pd.Series) -> None:
        mean, sd = float(values.mean()), float(values.std())
        found.append(Finding(key, words, Estimate(mean, mean - sd, mean + sd)))

    whole, of_true, of_mlp = pooled.loc[(v_true, WHOLE)], pooled.loc[(v_true, TRAINED)], pooled.loc[(v_mlp, TRAINED)]
    all_of_it = "the whole residual stream patched"
    note("clean.logit_diff", "LD, nothing patched", whole, "ld_clean")
    note("clean.accuracy", "share with LD > 0, nothing patched", whole, "accuracy_clean")
    note("residual.full_patch.logit_diff", f"LD, {all_of_it}", whole, "ld_patched")
    note("residual.full_patch.flip_rate", f"flip rate, {all_of_it}", whole, "flip_rate")
    note("v_true.flip_rate", "flip rate, v_true patched", of_true, "flip_rate")
    note("v_true.logit_diff", "LD, v_true patched", of_true, "ld_patched")
    over_seeds("v_true.cos_mean_difference", "cos(v_true, mean difference)", v_true, "cos_mean_difference")
    of_mean = pooled.loc[(v_true, MEAN_DIFFERENCE)]
    note("mean_difference.flip_rate", "flip rate, mean difference patched", of_mean, "flip_rate")
    note("v_mlp.full_patch.effect", "effect, the whole MLP patched", pooled.loc[(v_mlp, WHOLE)], "effect")
    note("v_mlp.full_patch.logit_diff", "LD, the whole MLP patched", pooled.loc[(v_mlp, WHOLE)], "ld_patched")
    note("v_mlp.effect", "effect, v_mlp patched", of_mlp, "effect")
    note("v_mlp.logit_diff", "LD, v_mlp patched", of_mlp, "ld_patched")
    note("v_mlp.share_of_residual", "share of the residual patch's effect, v_mlp", of_mlp, "share_of_residual")
    over_seeds("v_mlp.cos_v_true", "cos(W_out v_mlp, v_true)", v_mlp, "cos_v_true")
    over_seeds("v_mlp.cos_random", "the same, random directions (root mean square)", v_mlp, "cos_random")
    over_seeds("v_mlp.row_norm", "norm of v_mlp's row part", v_mlp, "row_norm")
    over_seeds("v_mlp.null_norm", "norm of v_mlp's null part", v_mlp, "null_norm")
    for key, way, words in (("row_only", ROW, "row part"), ("null_only", NULL, "null part")):
        note(f"v_mlp.{key}.effect", f"effect, only the {words} patched", pooled.loc[(v_mlp, way)], "effect")
        note(f"v_mlp.{key}.logit_diff", f"LD, only the {words} patched", pooled.loc[(v_mlp, way)], "ld_patched")
    if (v_mlp, BOTH) in pooled.index:
        note("v_mlp.span.effect", "effect, the span of both patched", pooled.loc[(v_mlp, BOTH)], "effect")
    note("v_mlp.effect_over_row_only", "effect of v_mlp / of its row part", of_mlp, "effect_over_row_part")
    if (v_mlp, TRAINED) in waking.index:
        woken = waking.loc[(v_mlp, TRAINED)]
        note("dormant.clean_gap", "gap between positions in the MLP's output along v_true, clean", woken, "clean_gap")
        note("dormant.patched_gap", "the same, v_mlp patched, by the source's position", woken, "patched_gap")
        note("dormant.gap_ratio", "patched gap / clean gap", woken, "gap_ratio")
        note("dormant.outside", "patched outputs outside their clean range", woken, "outside")

    for name, component in (("v_true", v_true), ("v_mlp", v_mlp)):
        if component in tables.validations:
            paths = tables.validations[component].paths.set_index("group")
            for group, row in paths.iterrows():
                if row["heads"]:
                    key = f"{name}.paths.{str(group).replace(' ', '_')}"
                    note(key, f"share of {name}'s effect through {group}", row.to_dict(), "share_of_patch")
    if v_true in tables.validations:
        probe = tables.validations[v_true].probe.set_index(["what", "name"])
        for who in ("IO", "S"):
            row = probe.loc[("projection", who)]
            found.append(
                Finding(
                    f"v_true.probe.{who}",
                    f"probe of {who} on v_true's projection (chance {row['chance']:.3f})",
                    Estimate(row["accuracy"], row["accuracy"], row["accuracy"]),
                )
            )
        splits = tables.validations[v_true].splits
        for (way, part), row in [] if splits is None else splits.set_index(["subspace", "part"]).iterrows():
            key = f"table1.{_slug(way)}.{_slug(part)}"
            note(key, f"LD, {way} direction {'' if part == ALL_OF_IT else part + ' '}patched", row, "ld_patched")

    if v_mlp in tables.random_mlps:
        row = tables.random_mlp(v_mlp)
        note("random_mlp.effect", "effect, subspaces of random MLPs", row, "effect")
        note("random_mlp.share_of_real", "the same over v_mlp's effect", row, "share_of_real")
    if v_mlp in tables.sweeps:
        fit = tables.sweeps[v_mlp]
        found.append(Finding("neurons.r2", "R2 of the line through effect against neurons", Estimate(*[fit["r2"]] * 3)))
    for name, component in (("v_true", v_true), ("v_mlp", v_mlp)):
        if component in tables.controls:
            by_control = tables.every_control(component).set_index("control")
            for key, control in CONTROLS.items():
                if control in by_control.index:
                    row = by_control.loc[control]
                    note(f"controls.{name}.{key}", f"effect, {control} ({name}'s place)", row, "effect")
    spread("recovery.r2", "R2, random directions recovered from MLPs (sd)", tables.recovery["r2"])
    spread("recovery.mse", "MSE of the same, targets standardised (sd)", tables.recovery["mse"])
    for z, values in tables.signs.groupby("z")["accuracy"]:
        key = f"signs.z{z:g}".replace("0.", "0_")
        spread(key, f"accuracy of reading a sign of size z = {z:g} (sd)", values)
    return found


CONTROLS = {
    "random": RANDOM_DIRECTION,
    "placebo": PLACEBO,
    "self": SELF,
    "same_position": SAME,
    "arbitrary_labels": ARBITRARY,
    "random_model": RANDOM_MODEL,
}
"""The controls among the findings, by key."""


def _slug(words: object) -> str:
    """Words as a key: ``along name movers`` is ``name_movers``."""
    parts = {ALL_OF_IT: "whole", SEEN: "name_movers", UNSEEN: "nullspace"}
    return ({DAS: "das", GRADIENT: "gradient", MEAN: "mean"} | parts)[str(words)]


def as_metrics(found: list[Finding]) -> dict[str, Any]:
    """The findings as nested numbers, the interval beside each as ``<key>_ci``."""
    metrics: dict[str, Any] = {}
    for finding in found:
        *levels, last = finding.key.split(".")
        place = metrics
        for level in levels:
            place = place.setdefault(level, {})
        estimate = finding.estimate
        place[last] = round(float(estimate.value), 6) + 0.0
        place[f"{last}_ci"] = [round(float(end), 6) + 0.0 for end in (estimate.low, estimate.high)]  # no minus zero
    return metrics


def as_text(found: list[Finding]) -> str:
    """The findings as a table for the terminal."""
    width = max(len(finding.words) for finding in found)
    lines = [f"{'':{width}}    value   interval"]
    for finding in found:
        estimate = finding.estimate
        lines.append(f"{finding.words:{width}} {estimate.value:8.3f}   {estimate.low:7.3f} to {estimate.high:.3f}")
    lines += [
        "",
        "Intervals: 95 % bootstrap over pairs and seeds; for cosines and norms the range over seeds; (sd): one",
        "standard deviation over layers and directions.",
    ]
    return "\n".join(lines)
