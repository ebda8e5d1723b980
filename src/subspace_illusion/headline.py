"""The headline figures, taken from the tables: what ``dvc metrics`` compares and the terminal shows."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.decomposition import BOTH, MEAN_DIFFERENCE, NULL, ROW, TRAINED, WHOLE
from subspace_illusion.errors import InputError
from subspace_illusion.measures import POOLED


@dataclass(frozen=True)
class Figure:
    """One headline figure.

    Attributes:
        key: Its name in ``metrics.json``, dots for levels.
        words: What it is, in words.
        value: The figure.
        interval: 95 % bootstrap interval for what is measured on pairs, the range over seeds for cosines and norms.
    """

    key: str
    words: str
    value: float
    interval: tuple[float, float]


def headline(effects: pd.DataFrame, summaries: dict[str, pd.DataFrame], v_true: str, v_mlp: str) -> list[Figure]:
    """The headline figures.

    Args:
        effects: The table of effects.
        summaries: The decomposition of each component.
        v_true: The component whose trained direction is v_true.
        v_mlp: The component whose trained direction is v_mlp.

    Raises:
        InputError: If v_mlp has no readout matrix, so that it has no row and null part.
    """
    pooled = effects[effects["seed"] == POOLED].set_index(["component", "subspace"])
    if (v_mlp, ROW) not in pooled.index or (v_mlp, NULL) not in pooled.index:
        raise InputError(
            f"roles.v_mlp is '{v_mlp}', which has no row part and null part: take an MLP's hidden activations"
        )

    def measured(key: str, words: str, component: str, way: str, measure: str) -> Figure:
        row = pooled.loc[(component, way)]
        return Figure(key, words, row[measure], (row[f"{measure}_lo"], row[f"{measure}_hi"]))

    def over_seeds(key: str, words: str, component: str, column: str) -> Figure:
        values = summaries[component][column]
        return Figure(key, words, values.mean(), (values.min(), values.max()))

    share = "share of the residual patch's effect"
    whole = "the whole residual stream patched"
    return [
        measured("clean.logit_diff", "LD, nothing patched", v_true, WHOLE, "ld_clean"),
        measured("clean.accuracy", "share with LD > 0, nothing patched", v_true, WHOLE, "accuracy_clean"),
        measured("residual.full_patch.logit_diff", f"LD, {whole}", v_true, WHOLE, "ld_patched"),
        measured("residual.full_patch.flip_rate", f"flip rate, {whole}", v_true, WHOLE, "flip_rate"),
        measured("v_true.flip_rate", "flip rate, v_true patched", v_true, TRAINED, "flip_rate"),
        measured("v_true.logit_diff", "LD, v_true patched", v_true, TRAINED, "ld_patched"),
        over_seeds("v_true.cos_mean_difference", "cos(v_true, mean difference)", v_true, "cos_mean_difference"),
        measured("mean_difference.flip_rate", "flip rate, mean difference", v_true, MEAN_DIFFERENCE, "flip_rate"),
        measured("v_mlp.full_patch.effect", "effect, the whole MLP patched", v_mlp, WHOLE, "effect"),
        measured("v_mlp.effect", "effect, v_mlp patched", v_mlp, TRAINED, "effect"),
        measured("v_mlp.share_of_residual", share, v_mlp, TRAINED, "share_of_residual"),
        over_seeds("v_mlp.cos_v_true", "cos(W_out v_mlp, v_true)", v_mlp, "cos_v_true"),
        over_seeds("v_mlp.cos_random", "the same, random directions (root mean square)", v_mlp, "cos_random"),
        over_seeds("v_mlp.row_norm", "norm of the row part", v_mlp, "row_norm"),
        over_seeds("v_mlp.null_norm", "norm of the null part", v_mlp, "null_norm"),
        measured("v_mlp.row_only.effect", "effect, only the row part patched", v_mlp, ROW, "effect"),
        measured("v_mlp.null_only.effect", "effect, only the null part patched", v_mlp, NULL, "effect"),
        measured("v_mlp.span.effect", "effect, the span of both patched", v_mlp, BOTH, "effect"),
        measured(
            "v_mlp.effect_over_row_only", "effect of v_mlp / of its row part", v_mlp, TRAINED, "effect_over_row_part"
        ),
    ]


def as_metrics(figures: list[Figure]) -> dict[str, Any]:
    """The figures as nested numbers, the interval beside each as ``<key>_ci``."""
    metrics: dict[str, Any] = {}
    for figure in figures:
        *levels, last = figure.key.split(".")
        place = metrics
        for level in levels:
            place = place.setdefault(level, {})
        place[last] = round(float(figure.value), 6) + 0.0
        place[f"{last}_ci"] = [round(float(end), 6) + 0.0 for end in figure.interval]  # no minus zero
    return metrics


def as_text(figures: list[Figure]) -> str:
    """The figures as a table for the terminal."""
    width = max(len(figure.words) for figure in figures)
    lines = [f"{'':{width}}    value   interval"]
    for figure in figures:
        low, high = figure.interval
        lines.append(f"{figure.words:{width}} {figure.value:8.3f}   {low:7.3f} to {high:.3f}")
    lines += ["", "Intervals: 95 % bootstrap over pairs and seeds; for cosines and norms the range over seeds."]
    return "\n".join(lines)
