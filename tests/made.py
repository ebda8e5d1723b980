"""Result tables made by hand, small and with figures that are easy to follow, as the stages leave them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from subspace_illusion.core.sites import Site
from subspace_illusion.experiments.tell_names import ALIKE, UNALIKE
from subspace_illusion.experiments.toy_example import toy_example
from subspace_illusion.files import write_json, write_table
from subspace_illusion.measures.localise import DIFFERING, END
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Section
from subspace_illusion.subspace.keys import LENT_HALF, MEAN_DIFFERENCE, NULL, POOLED, ROW, TRAINED, WHOLE, SubspaceKey
from subspace_illusion.tasks.table import DIFFERENT, SAME
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.estimate import STREAM, WRITES
from subspace_illusion.verdict.evidence import ESTIMATE
from subspace_illusion.verdict.held_out import goals, left_out
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.judge import Verdict, judge
from subspace_illusion.verdict.rule import LIMITS
from subspace_illusion.verdict.seen import Seen

V_TRUE, V_MLP = "resid8", "mlp8"
COMPONENTS = (V_TRUE, V_MLP)
EXPERIMENTS = dict(
    localise=("ioi",), find_readers=(V_TRUE,), trace_paths=COMPONENTS, split_directions=(V_TRUE,), tell_names=(V_TRUE,),
    random_mlp=(V_MLP,), neuron_sweep=(V_MLP,), controls=(V_TRUE,), random_model=(V_TRUE,), facts=(), repair=(),
    cache_text=("tiny", "other"), recover_directions=("tiny", "other"), read_signs=("tiny", "other"),
    compare_mlps=("tiny",),
    toy_example=("post",),
)  # fmt: skip

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
        (V_TRUE, WHOLE.subspace): patched(4.8),
        (V_TRUE, TRAINED): patched(5.0, half=0.05, whole_share=0.96),
        (V_TRUE, MEAN_DIFFERENCE): patched(4.6, half=0.05, whole_share=1.04),
        (V_MLP, WHOLE.subspace): patched(-1.0),
        (V_MLP, TRAINED): patched(3.0, half=0.05, whole_share=-0.33, row_share=0.33, effect_over_row_part=3.0)
        | measured(share_of_residual=0.6),
        (V_MLP, ROW): patched(1.0),
        (V_MLP, NULL): patched(0.0, half=0),
        (V_MLP, LENT_HALF): patched(2.0, share_of_subspace=0.67),
        (V_MLP, MEAN_DIFFERENCE): patched(-1.0, whole_share=1.0, row_share=1.0),
    }
    rows = []
    for (component, method), measures in pooled.items():
        about = dict(component=component, subspace=method, pairs=4, groups=2)
        if method in (TRAINED, ROW, NULL, LENT_HALF):
            for seed, more in zip(SEEDS, (-0.1, 0.1), strict=True):
                moved = {name: x if method == NULL else x + more for name, x in measures.items()}
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
    return pd.DataFrame([dict(subspace=TRAINED, seed=int(seed), **columns) for seed in SEEDS])


PROBE = "my probe"
"""The label of one of the user's own subspaces."""
PROBE_KEY = SubspaceKey.user(PROBE)


def own_effects() -> pd.DataFrame:
    """The probe at the MLP does a fifth of what v_mlp does, half of it by its row part."""
    rows = {
        PROBE_KEY: patched(0.6, half=0.05, whole_share=-1.67, row_share=0.5),
        PROBE_KEY.of_part(ROW): patched(0.3, share_of_subspace=0.5),
        PROBE_KEY.of_part(NULL): patched(0.0, half=0),
        PROBE_KEY.of_part(LENT_HALF): patched(0.28, share_of_subspace=0.47),
    }
    about = dict(component=V_MLP, seed=POOLED)
    return pd.DataFrame([about | dict(subspace=key.subspace) | row for key, row in rows.items()])


def with_own() -> dict[str, pd.DataFrame]:
    """The tables that a probe at the MLP has rows in."""
    made = tables()
    of_mlp = f"decompositions/{V_MLP}/summary.parquet"
    row = dict(
        subspace=PROBE_KEY.subspace,
        row_norm=0.7,
        null_norm=0.7,
        cos_v_true=0.3,
        cos_random=0.04,
        cos_mean_difference=0.2,
    )
    of_probe = pd.DataFrame([row | measured(0.05, lent_share=0.45)])
    probe = PROBE_KEY.subspace
    cosines = [("trained", "mean difference", 0.4), ("trained", probe, 0.5), ("mean difference", probe, 0.2)]
    cosines += [(name, "random", 0.05) for name in ("trained", "mean difference", probe)]
    asleep = made["dormant.csv"].iloc[:1].assign(subspace=probe, outside=0.3, outside_lo=0.2, outside_hi=0.4)
    return {
        "effects.csv": pd.concat([made["effects.csv"], own_effects()]),
        "dormant.csv": pd.concat([made["dormant.csv"], asleep]),
        of_mlp: pd.concat([made[of_mlp], of_probe]).astype({"seed": "Int64"}),
        f"decompositions/{V_MLP}/cosines.parquet": pd.DataFrame(cosines, columns=["subspace", "other", "cosine"]),
    }


SITES = {V_TRUE: Site.parse("blocks.8.hook_resid_post"), V_MLP: Site.parse("blocks.8.mlp.hook_post")}


def seen(
    component: str = V_MLP,
    fldd: float = 0.75,
    whole: float = -0.25,
    own: float = 0.5,
    half: float = 0.02,
    groups: int = 20,
    rank: int = 1,
) -> Seen:
    """What is seen of a subspace, each figure with an interval of this half-width."""
    spread = np.concatenate([[0.0], np.linspace(-half, half, 401)])
    return Seen(SITES[component], rank, fldd + spread, whole + spread, np.clip(own + spread, 0, 1), groups)


def all_seen() -> dict[SubspaceKey, Seen]:
    """v_true does what its component does, v_mlp what it does by something else; the mean differences do as theirs."""
    return {
        SubspaceKey(TRAINED, component=V_TRUE): seen(V_TRUE, 1.25, 1.2, 0.9),
        SubspaceKey(MEAN_DIFFERENCE, component=V_TRUE): seen(V_TRUE, 1.15, 1.2, 0.95),
        SubspaceKey(TRAINED, component=V_MLP): seen(V_MLP, 0.75, -0.25, 0.04),
        SubspaceKey(MEAN_DIFFERENCE, component=V_MLP): seen(V_MLP, -0.25, -0.25, 1.0),
    }


def planted() -> pd.DataFrame:
    """Cases in two models, tasks and blocks: the estimate is off by 0.05 in MLPs, by 0.15 in the stream."""
    points = {WRITES: "mlp.hook_post", STREAM: "hook_resid_post"}
    cases = pd.DataFrame(
        dict(model=model, task=task, block=block, unit=f"{model} {task} {block}", kind=kind, estimate=estimate,
             hook=f"blocks.{block}.{points[kind]}", truth=min(max(estimate + sign * error, 0.0), 1.0))
        for model in ("tiny", "other")
        for task in ("ioi", "agreement")
        for block in (0, 1)
        for kind, error in ((WRITES, 0.05), (STREAM, 0.15))
        for estimate in np.linspace(0, 1, 21)
        for sign in (-1, 1)
    )  # fmt: skip
    return cases.assign(effect=1.0, mediated=cases["truth"])


@cache
def calibration() -> Calibration:
    """What these cases say, and what size alone would, which tells nothing."""
    told = left_out(planted(), "model")
    pooled = goals(told.assign(all="all"), ["all"]).drop(columns="all").iloc[0].to_dict()
    size = left_out(planted().assign(estimate=0.5), "model").assign(evidence="size of the effect")
    compared = pd.concat([told.assign(evidence=ESTIMATE), size], ignore_index=True)
    by_model, by_evidence = goals(told, ["model", "kind"]), goals(compared, ["evidence", "model", "kind"])
    by_place = goals(told.assign(place=told["kind"]), ["model", "place", "kind"])
    digests = {"tiny": "0" * 64, "other": "1" * 64}
    return Calibration(Intervals(planted().assign(held=1.0)), digests, by_model, by_place, pooled, by_evidence)


def judged(all_of_them: Mapping[SubspaceKey, Seen]) -> dict[SubspaceKey, Verdict]:
    """The verdicts by these cases."""
    return judge(all_of_them, calibration().planted, "tiny", 0.1, LIMITS)


def verdicts() -> dict[SubspaceKey, Verdict]:
    return judged(all_seen())


def distances() -> pd.DataFrame:
    """How far patches leave the natural distribution."""
    rows = [
        dict(component=V_MLP, subspace=method, place=place, part=part, floor=0.02) | measured(0.01, distance=far)
        for method, far in ((WHOLE.subspace, 0.03), (TRAINED, 0.3))
        for place, part in (("component", "all of it"), ("component", "what acts"), ("output", "all of it"))
    ]
    return pd.DataFrame(rows)


def pairs() -> pd.DataFrame:
    """Two cases, one a split, each with both its prompts as base of every kind of pair; one pair is wrong."""
    rows = [
        dict(
            pair=0, split=split, kind=kind, group=split, template=0, base=first + base,
            source=first + (base if kind == SAME else 1 - base), answer_id=3 + base, foil_id=4 - base,
            base_value=VALUES[base], source_value=VALUES[base if kind == SAME else 1 - base], ld=4.0, ld_source=-4.0,
        )
        for first, split in ((0, "train"), (4, "test"))
        for kind in (DIFFERENT, SAME)
        for base in (0, 1)
    ]  # fmt: skip
    wrong = [place == 1 for place in range(len(rows))]
    return pd.DataFrame(rows).assign(pair=range(len(rows)), right=[not is_so for is_so in wrong], kept=True)


VALUES = ("S second", "S first")


def prompts() -> pd.DataFrame:
    """One case a split, with a prompt of each of IOI's patterns; the last token is 2."""
    rows = [
        dict(split=split, pattern=pattern, text=f"When Anna and {pattern}", io="Anna", s="Paul", value=VALUES[i % 2])
        for split in ("train", "test")
        for i, pattern in enumerate(("ABB", "BAB", "CDD", "DCD"))
    ]
    about = dict(prompt=range(len(rows)), tokens=[[0, 1, 2]] * len(rows), end=2, position=2)
    return pd.DataFrame(rows).assign(**about)


def mapped() -> pd.DataFrame:
    """The variable is at the token that differs until block 0, and at END from block 1 on."""
    shares = {DIFFERING: (0.9, 0.1, 0.0), END: (0.0, 1.0, 0.2)}
    return pd.DataFrame(
        dict(tokens=kind, block=block, pairs=16) | patched(LD_CLEAN * share)
        for kind, of_blocks in shares.items()
        for block, share in enumerate(of_blocks)
    )


def tables() -> dict[str, Any]:
    """Every result of the run by its file's name."""
    groups = [
        dict(seed=seed, group=group, heads=heads) | measured(share_of_patch=share)
        for seed in (POOLED, *SEEDS)
        for group, heads, share in (("readers", 3, 0.8), ("movers", 0, 0.0), ("all heads downstream", 9, 1.0))
    ]
    told = [
        dict(subspace=TRAINED, seed=seed, half=half, name=name, omega_squared=0.01, p=0.3, permutations=99)
        for half in (ALIKE, UNALIKE)
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
    localised.append(dict(kind="residual stream before block 0", block=0, head=None, pairs=64) | patched(0.0))
    return {
        "effects.csv": effects(),
        "dormant.csv": pd.DataFrame(
            [
                dict(component=V_MLP, subspace=method)
                | measured(clean_gap=-1.0, patched_gap=2.0, gap_ratio=-2.0, outside=outside)
                for method, outside in ((TRAINED, 0.9), (MEAN_DIFFERENCE, 0.05))
            ]
        ),
        "off_distribution.csv": distances(),
        "toy_example/tables.json": toy_example([1], 0),
        "localise/window.json": dict(rule="A rule.", pairs=64, writes=1, reads=2, mlps=[1]),
        "localise/components.csv": pd.DataFrame(localised),
        "localise/map.csv": mapped(),
        f"trace_paths/{V_TRUE}/groups.csv": pd.DataFrame(groups),
        f"trace_paths/{V_MLP}/groups.csv": pd.DataFrame(groups),
        f"trace_paths/{V_TRUE}/heads.csv": pd.DataFrame(
            dict(head=["9.9", "10.0"], reader="reader", attribution_clean=[2.0, 1.0], attribution_patched=[1.9, -1.0])
        ),
        f"split_directions/{V_TRUE}.csv": splits(),
        f"tell_names/{V_TRUE}.csv": pd.DataFrame(told),
        f"random_mlp/{V_MLP}.csv": pd.DataFrame(drawn),
        f"neuron_sweep/{V_MLP}.json": dict(slope_per_neuron=0.001, intercept=0.0, r2=0.97, points=6),
        f"controls/{V_TRUE}.csv": pd.DataFrame(controls),
        f"random_model/{V_TRUE}.csv": pd.DataFrame([dict(control="DAS on a random model") | patched(0.0)]),
        **{
            f"text/recover_directions/{text}.csv": pd.DataFrame(
                [
                    dict(block=block, direction=i, r2=first + 0.4 * block + 0.1 * i, mse=0.5, p=0.005, permutations=200)
                    for block in (0, 1)
                    for i in (0, 1)
                ]
            )
            for text, first in (("tiny", 0.3), ("other", 0.1))
        },
        **{
            f"text/read_signs/{text}.csv": pd.DataFrame(
                [dict(block=block, z=z, direction=0, accuracy=0.5 + z) for block in (0, 1) for z in sizes]
            )
            for text, sizes in (("tiny", (0.01, 0.1)), ("other", (0.1,)))
        },
        "text/compare_mlps_ranks.csv": pd.DataFrame(dict(block=[0, 1], possible=8, rank_W_in=8, rank_W_out=[8, 6])),
        "prompts.parquet": prompts(),
        "activations/pairs.parquet": pairs(),
        f"decompositions/{V_TRUE}/summary.parquet": summary(cos_mean_difference=0.88),
        f"decompositions/{V_MLP}/summary.parquet": summary(
            cos_v_true=0.5, cos_random=0.04, row_norm=0.8, null_norm=0.6, lent_share=0.7
        ),
    }


def results(folder: Path, changed: Mapping[str, Any] | None = None, **about: Any) -> Results:
    """The results of a run on disk.

    Args:
        folder: Where to write them.
        changed: Tables to put in the place of others, by name.
        about: Attributes of the results that are not as in a run of IOI that ran everything.
    """
    for name, value in (tables() | dict(changed or {})).items():
        if name.endswith(".json"):
            write_json(folder / name, value)
        else:
            write_table(folder / name, value)
    run = dict(model="tiny", components=COMPONENTS, v_true=V_TRUE, v_mlp=V_MLP, experiments=EXPERIMENTS)
    return Results(**run | about, folder=folder, data=folder)


def said(section: Section) -> str:
    """What a section answers, and what it says of how to read it."""
    return f"{section.answer} {section.reading}"
