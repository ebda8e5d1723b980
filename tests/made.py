"""Result tables made by hand, small and with figures that are easy to follow, as the stages leave them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.experiments.tell_names import ALIKE, APART
from subspace_illusion.experiments.toy_example import toy_example
from subspace_illusion.files import write_json, write_table
from subspace_illusion.report.results import Results
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.ways import LENT, MEAN_DIFFERENCE, NULL, ROW, TRAINED, WHOLE

V_TRUE, V_MLP = "resid8", "mlp8"
COMPONENTS = (V_TRUE, V_MLP)
EXPERIMENTS = ("trace_paths", "split_directions", "tell_names", "random_mlp", "neuron_sweep", "controls")

LD_CLEAN = 4.0
SEEDS = ("0", "1")


def measured(half: float = 0.1, **measures: float) -> dict[str, float]:
    """Measures with intervals of this half-width; none where that is zero."""
    nan = float("nan")
    return {
        name + end: x
        for name, value in measures.items()
        for end, x in (("", value), ("_lo", value - half if half else nan), ("_hi", value + half if half else nan))
    }


def patched(effect: float, ld_clean: float = LD_CLEAN, half: float = 0.1, **shares: float) -> dict[str, float]:
    """The measures of a patch that takes ``effect`` off the LD."""
    return (
        measured(0, accuracy_clean=1.0)
        | measured(half, ld_clean=ld_clean, ld_patched=ld_clean - effect, effect=effect, fldd=effect / ld_clean)
        | measured(half, flip_rate=0.83 if effect > ld_clean else 0.1)
        | measured(half, interchange_accuracy=0.54 if effect > ld_clean else 0.05, **shares)
    )


def effects() -> pd.DataFrame:
    """v_true does more than its whole component, v_mlp what its whole MLP does not, its row part a third."""
    pooled: dict[tuple[str, str], dict[str, float]] = {
        (V_TRUE, WHOLE): patched(4.8),
        (V_TRUE, TRAINED): patched(5.0, half=0.05, whole_share=0.96),
        (V_TRUE, MEAN_DIFFERENCE): patched(4.6, half=0.05, whole_share=1.04),
        (V_MLP, WHOLE): patched(-1.0),
        (V_MLP, TRAINED): patched(3.0, half=0.05, whole_share=-0.33, row_share=0.33, effect_over_row_part=3.0)
        | measured(share_of_residual=0.6),
        (V_MLP, ROW): patched(1.0),
        (V_MLP, NULL): patched(0.0, half=0),
        (V_MLP, LENT): patched(2.0, share_of_trained=0.67),
        (V_MLP, MEAN_DIFFERENCE): patched(-1.0, whole_share=1.0, row_share=1.0),
    }
    rows = []
    for (component, way), measures in pooled.items():
        about = dict(component=component, subspace=way)
        if way in (TRAINED, ROW, NULL, LENT):
            for seed, more in zip(SEEDS, (-0.1, 0.1), strict=True):
                moved = {name: x if way == NULL else x + more for name, x in measures.items()}
                rows.append(about | dict(seed=seed) | moved)
        rows.append(about | dict(seed=POOLED) | measures)
    return pd.DataFrame(rows)


def splits() -> pd.DataFrame:
    """The split of v_true's pairs, which are fewer and have another clean LD."""
    effect = {"whole": 5.0, "along readers": 4.5, "along nullspace": 0.1}
    rows = []
    for part, of_part in effect.items():
        for seed in (POOLED, *SEEDS):
            rows.append(
                dict(subspace=TRAINED, part=part, seed=seed, draw=float("nan")) | patched(of_part, ld_clean=3.6)
            )
    rows[0] |= measured(0.02, row_share=0.9)
    return pd.DataFrame(rows)


def summary(**columns: float) -> pd.DataFrame:
    return pd.DataFrame([dict(seed=int(seed), **columns) for seed in SEEDS])


def tables() -> dict[str, Any]:
    """Every result of the run by its file's name."""
    groups = [
        dict(seed=seed, group=group, heads=heads) | measured(share_of_patch=share)
        for seed in (POOLED, *SEEDS)
        for group, heads, share in (("readers", 3, 0.8), ("name movers", 0, 0.0), ("all heads downstream", 9, 1.0))
    ]
    told = [
        dict(subspace=TRAINED, seed=seed, half=half, name=name, omega_squared=0.01, p=0.3, permutations=99)
        for half in (ALIKE, APART)
        for seed in (POOLED, *SEEDS)
        for name in ("IO", "S")
    ]
    drawn = [
        dict(draw=draw) | patched(effect, share_of_real=effect / 3.0)
        for draw, effect in (("0", 4.0), ("1", 5.0), (POOLED, 4.5))
    ]
    controls = [dict(control=name) | patched(effect) for name, effect in (("trained", 3.0), ("random direction", 0.01))]
    controls.append(dict(control="DAS on arbitrary labels") | patched(2.0) | measured(label_accuracy=0.5))
    localised = [
        dict(kind=kind, block=block, head=head, pairs=64) | patched(0.5 * block)
        for block in range(3)
        for kind, head in (("residual stream", None), ("attention output", None), ("MLP output", None), ("head", 0))
    ]
    prompts = [
        dict(split=split, pattern=pattern, text=f"When Anna and {pattern}", io="Anna", s="Paul")
        for split in ("train", "test")
        for pattern in ("ABB", "BAB", "CDD", "DCD")
    ]
    return {
        "effects.csv": effects(),
        "dormant.csv": pd.DataFrame(
            [
                dict(component=V_MLP, subspace=way)
                | measured(clean_gap=-1.0, patched_gap=2.0, gap_ratio=-2.0, outside=outside)
                for way, outside in ((TRAINED, 0.9), (MEAN_DIFFERENCE, 0.05))
            ]
        ),
        "toy_example.json": toy_example([1], 0),
        "localise.json": dict(rule="A rule.", writes=1, reads=2, mlps=[1]),
        "localise.csv": pd.DataFrame(localised),
        f"trace_paths/{V_TRUE}/groups.csv": pd.DataFrame(groups),
        f"trace_paths/{V_MLP}/groups.csv": pd.DataFrame(groups),
        f"split_directions/{V_TRUE}.csv": splits(),
        f"tell_names/{V_TRUE}.csv": pd.DataFrame(told),
        f"random_mlp/{V_MLP}.csv": pd.DataFrame(drawn),
        f"neuron_sweep/{V_MLP}.json": dict(slope_per_neuron=0.001, intercept=0.0, r2=0.97, points=6),
        f"controls/{V_TRUE}.csv": pd.DataFrame(controls),
        f"random_model/{V_TRUE}.csv": pd.DataFrame([dict(control="DAS on a random model") | patched(0.0)]),
        "recover_directions.csv": pd.DataFrame(
            [
                dict(block=block, direction=i, r2=0.3 + 0.4 * block + 0.1 * i, mse=0.5)
                for block in (0, 1)
                for i in (0, 1)
            ]
        ),
        "read_signs.csv": pd.DataFrame(
            [dict(block=block, z=z, direction=0, accuracy=0.5 + z) for block in (0, 1) for z in (0.01, 0.1)]
        ),
        "prompts.parquet": pd.DataFrame(prompts),
        f"decompositions/{V_TRUE}/summary.parquet": summary(cos_mean_difference=0.88),
        f"decompositions/{V_MLP}/summary.parquet": summary(
            cos_v_true=0.5, cos_random=0.04, row_norm=0.8, null_norm=0.6, lent_share=0.7
        ),
    }


def results(folder: Path, changed: Mapping[str, Any] | None = None) -> Results:
    """The results of a run on disk.

    Args:
        folder: Where to write them.
        changed: Tables to put in the place of others, by name.
    """
    for name, value in (tables() | dict(changed or {})).items():
        if name.endswith(".json"):
            write_json(folder / name, value)
        else:
            write_table(folder / name, value)
    experiments = dict.fromkeys(EXPERIMENTS, (V_TRUE,)) | dict(
        trace_paths=COMPONENTS, random_mlp=(V_MLP,), neuron_sweep=(V_MLP,)
    )
    return Results("tiny", COMPONENTS, V_TRUE, V_MLP, experiments, folder=folder, data=folder)
