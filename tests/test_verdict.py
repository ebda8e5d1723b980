"""The verdict on linear models whose truth is known by design.

A linear model of the residual stream: LD = r . reader, where r = skip + h W. The component is h, W its readout, and the
variable x = +-1 is carried by the skip connection, by h, or by both. Everything is measured by the functions that
measure the real models.
"""

import numpy as np
import pandas as pd
import pytest
import torch

import made
from subspace_illusion.core.frames import orthonormal, patch_change, split
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.experiments.dormant import waking, written_along
from subspace_illusion.report.verdict import (
    CRITERIA,
    FAITHFUL,
    ILLUSORY,
    INCONCLUSIVE,
    MISSING,
    UNDECIDED,
    UNMEASURED,
    Tables,
    Thresholds,
    evidence_table,
    judge,
    judge_all,
    judge_subspaces,
)
from subspace_illusion.statistics import Bootstrap, Estimate, summarise
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, TRAINED

THRESHOLDS = dict(
    whole_component=Thresholds(faithful=0.5, illusory=0.25),
    without_null_part=Thresholds(faithful=0.25, illusory=0.5),
    clean_range=Thresholds(faithful=0.1, illusory=0.5),
    random_mlp=Thresholds(faithful=None, illusory=0.5),
)
SETTINGS = dict(resamples=500, seed=0)


def verdict_on(
    carried: torch.Tensor, readout: torch.Tensor, direction: torch.Tensor, skip: float, n: int = 400, noise: float = 0.1
):
    """The verdict on one direction of the component of a linear model.

    Args:
        carried: What x = 1 adds to the hidden activations, ``[d]``.
        readout: What the hidden activations add to the one residual dimension that is read, ``[d]``.
        direction: The direction that is judged, ``[d]``.
        skip: What x adds to it past the component.
        n: Pairs.
        noise: Spread of the hidden activations over prompts.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.where(torch.arange(n) % 2 == 0, 1.0, -1.0)[:, None]
    base, source = (sign * x * carried + noise * torch.randn(n, len(carried), generator=generator) for sign in (1, -1))
    frame, w = orthonormal(direction[:, None]), readout[:, None]
    # The model answers with the sign of x: LD is the residual times x.
    clean = (x * (skip * x + base @ w)).squeeze(1)

    def ld(of: torch.Tensor | None) -> np.ndarray:
        change = patch_change(base, source, of) @ w
        return (clean + (x * change).squeeze(1)).double().numpy()

    ld_clean = clean.double().numpy()
    patched = Outcome(ld(frame)[None], ld(frame)[None] < 0)
    row = split(frame, w, 1e-5).row
    under = dict(whole_share=ld(None))
    if row is not None:
        under["row_share"] = ld(row)
    measured = summarise(patched, ld_clean, Bootstrap.of(range(n), **SETTINGS), under=under)
    if row is None:
        measured |= dict(row_share=0.0, row_share_lo=0.0, row_share_hi=0.0)

    same = torch.cat([base[2:], base[:2]])
    value, other_value = (np.where(sign * x.squeeze(1) > 0, "plus", "minus") for sign in (1, -1))
    parts = []
    for kind, other, of_source in (("different", source, other_value), ("same", same, value)):
        before, after = written_along(base, other, frame, w, torch.ones(1, 1))
        about = dict(seed=0, pair=[f"{kind}{i}" for i in range(n)], group=range(n))
        values = dict(base_value=value, source_value=of_source, clean=before, patched=after)
        parts.append(pd.DataFrame(about | values))
    outside = waking(pd.concat(parts), (1, 99), **SETTINGS)
    row_share = Estimate.of(measured, "row_share")
    figures = dict(
        whole_component=Estimate.of(measured, "whole_share"),
        without_null_part=row_share.complement(),
        clean_range=Estimate.of(outside, "outside"),
    )
    return judge(Estimate.of(measured, "fldd"), figures, THRESHOLDS, smallest_effect=0.1)


E1, E2, E3 = torch.eye(3)


def test_the_posts_illusion_is_illusory():
    """e2 knows x and is not read, e3 is read and does not know x; x reaches the answer past the component.

    Every patched output leaves its clean range, in every draw: that figure has no interval to show, and its say.
    """
    found = verdict_on(carried=E2, readout=2 * E3, direction=E2 + E3, skip=1.0)
    assert found.verdict == ILLUSORY
    assert [evidence.says for evidence in found.evidence] == [ILLUSORY, ILLUSORY, ILLUSORY, UNMEASURED]


def test_a_component_that_is_truly_in_the_circuit_is_faithful():
    """A little of another unit is read too, without which all shares were exactly one, by algebra."""
    found = verdict_on(carried=E1, readout=E1 + 0.1 * E2, direction=E1, skip=0.5)
    assert found.verdict == FAITHFUL


def test_the_correct_direction_beside_an_irrelevant_one_is_faithful():
    """The whole component does what the direction does: the irrelevant unit adds nothing."""
    assert verdict_on(carried=E1 + E2, readout=E1 + 2 * E3, direction=E1, skip=0.0).verdict == FAITHFUL


def test_the_verdict_is_relative_to_the_component_as_the_unit():
    """The post's appendix: with e1, e2 and e3 in one unit, e2 + e3 takes its output nowhere that it does not go.

    No figure of this unit tells e2 + e3 from e1, so the verdict is faithful; it takes units that are meaningful.
    """
    assert verdict_on(carried=E1 + E2, readout=E1 + 2 * E3, direction=E2 + E3, skip=0.0).verdict == FAITHFUL


@pytest.mark.parametrize(("genuine", "expected"), [(0.95, FAITHFUL), (0.6, INCONCLUSIVE), (0.1, ILLUSORY)])
def test_a_mixture_with_known_weights(genuine, expected):
    """Two units: one is read and knows x with weight g = ``genuine``, the other is not read and knows it in full.

    Patching (1, 1 - g) moves the output by 2 / (1 + (1 - g)^2), its row part by 2 g: what is lost without the null part
    is 1 - g (1 + (1 - g)^2), for the three weights 0.05, 0.30 and 0.82.
    """
    e1, e2 = torch.eye(2)
    direction = e1 + (1 - genuine) * e2
    found = verdict_on(carried=genuine * e1 + e2, readout=2 * e1, direction=direction, skip=1.0)
    assert found.verdict == expected


def test_pure_noise_is_inconclusive():
    generator = torch.Generator().manual_seed(1)
    carried = torch.zeros(8)
    direction, readout = torch.randn(2, 8, generator=generator)
    found = verdict_on(carried, readout, direction, skip=1.0)
    assert found.verdict == INCONCLUSIVE
    assert "too small" in found.reason


def test_an_interval_that_straddles_a_threshold_decides_nothing():
    whole, null, *_ = CRITERIA
    assert whole.says(Estimate(0.5, 0.45, 0.55), THRESHOLDS["whole_component"]) == UNDECIDED
    assert whole.says(Estimate(0.52, 0.5, 0.55), THRESHOLDS["whole_component"]) == FAITHFUL
    assert null.says(Estimate(0.52, 0.5, 0.55), THRESHOLDS["without_null_part"]) == ILLUSORY
    assert null.says(Estimate(0.52, 0.49, 0.55), THRESHOLDS["without_null_part"]) == UNDECIDED
    figures = dict.fromkeys(("whole_component", "without_null_part"), Estimate(0.4, 0.2, 0.6))
    assert judge(Estimate(1, 0.9, 1.1), figures, THRESHOLDS, 0.1).verdict == INCONCLUSIVE


def test_one_criterion_alone_is_not_enough_and_contradiction_is_inconclusive():
    effect, bad, good = Estimate(1, 0.9, 1.1), Estimate(-0.3, -0.4, -0.2), Estimate(0.05, 0.04, 0.06)
    assert judge(effect, dict(whole_component=bad), THRESHOLDS, 0.1).verdict == INCONCLUSIVE
    mixed = judge(effect, dict(whole_component=bad, without_null_part=good), THRESHOLDS, 0.1)
    assert (mixed.verdict, mixed.reason) == (INCONCLUSIVE, "1 say faithful, 1 illusory")


def test_a_figure_that_is_the_same_in_every_draw_decides():
    assert CRITERIA[0].says(Estimate(0.9), THRESHOLDS["whole_component"]) == FAITHFUL
    assert CRITERIA[0].says(None, THRESHOLDS["whole_component"]) == MISSING
    figures = dict(whole_component=Estimate(0.9), without_null_part=Estimate(0.0))
    assert judge(Estimate(1, 0.9, 1.1), figures, THRESHOLDS, 0.1).verdict == FAITHFUL


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (None, "its effect was not measured"),
        (Estimate(1.0), "its effect has no interval"),
        (Estimate(0.0), "the effect is too small to ask what it is made of"),
        (Estimate(0.2, 0.1, 0.3), "the effect is too small to ask what it is made of"),
    ],
)
def test_without_an_effect_with_an_interval_there_is_no_verdict(effect, reason):
    good = dict(whole_component=Estimate(0.9, 0.8, 1.0), without_null_part=Estimate(0.05, 0.04, 0.06))
    found = judge(effect, good, THRESHOLDS, 0.1)
    assert (found.verdict, found.reason) == (INCONCLUSIVE, reason)


def test_a_random_mlp_that_cannot_do_it_says_nothing():
    criterion = CRITERIA[-1]
    assert criterion.says(Estimate(0.1, 0.05, 0.15), THRESHOLDS["random_mlp"]) == UNDECIDED
    assert criterion.says(Estimate(0.9, 0.8, 1.0), THRESHOLDS["random_mlp"]) == ILLUSORY


def test_the_table_has_a_row_for_every_criterion():
    found = verdict_on(carried=E2, readout=2 * E3, direction=E2 + E3, skip=1.0)
    rows = evidence_table({("mlp", "trained"): found})
    assert rows["criterion"].tolist() == ["whole component", "without null part", "clean range", "random mlp"]
    assert rows["says"].tolist() == [ILLUSORY, ILLUSORY, ILLUSORY, UNMEASURED]


def says(verdict):
    return {found.criterion.key: found.says for found in verdict.evidence}


def test_every_component_is_judged_by_its_own_tables(tmp_path):
    verdicts = judge_all(made.results(tmp_path), THRESHOLDS, 0.1)
    assert list(verdicts) == [
        (made.V_TRUE, TRAINED), (made.V_MLP, TRAINED), (made.V_TRUE, MEAN_DIFFERENCE), (made.V_MLP, MEAN_DIFFERENCE)
    ]  # fmt: skip
    of_true, of_mlp = verdicts[made.V_TRUE, TRAINED], verdicts[made.V_MLP, TRAINED]
    assert (of_true.verdict, of_mlp.verdict) == (FAITHFUL, ILLUSORY)
    # In the residual stream: what the readers do not see, over all seeds; what is written along v_true is algebra.
    assert says(of_true) == dict(
        whole_component=FAITHFUL, without_null_part=FAITHFUL, clean_range=MISSING, random_mlp=MISSING
    )
    assert of_true.evidence[1].figure == Estimate(pytest.approx(0.1), pytest.approx(0.08), pytest.approx(0.12))
    assert says(of_mlp) == dict.fromkeys(THRESHOLDS, ILLUSORY)
    # The mean difference strengthens the answer; it is judged, and its split was not made.
    assert verdicts[made.V_MLP, MEAN_DIFFERENCE].verdict == INCONCLUSIVE
    assert says(verdicts[made.V_TRUE, MEAN_DIFFERENCE])["without_null_part"] == UNMEASURED


def test_what_readers_see_of_any_direction_is_no_evidence(tmp_path):
    """Where random subspaces of their rank carry as much of the effect, the figure tells nothing of this direction."""
    splits = made.splits()
    by_chance = splits.assign(**{f"random_row_share{end}": splits[f"row_share{end}"] for end in ("", "_lo", "_hi")})
    changed = {f"split_directions/{made.V_TRUE}.csv": by_chance}
    verdict = judge_all(made.results(tmp_path, changed), THRESHOLDS, 0.1)[made.V_TRUE, TRAINED]
    assert says(verdict)["without_null_part"] == MISSING
    assert verdict.verdict == INCONCLUSIVE


def test_ones_own_subspaces_are_judged_between_the_trained_ones_and_the_mean_differences(tmp_path):
    results = made.results(tmp_path, made.with_own(), own={made.V_MLP: [made.PROBE]})
    verdicts = judge_all(results, THRESHOLDS, 0.1)
    assert list(verdicts)[1:4] == [(made.V_MLP, TRAINED), (made.V_MLP, made.PROBE), (made.V_TRUE, MEAN_DIFFERENCE)]
    # Half is lost without the null part, no more; a random MLP says nothing of what was not trained.
    assert says(verdicts[made.V_MLP, made.PROBE]) == dict(
        whole_component=ILLUSORY, without_null_part=UNDECIDED, clean_range=UNDECIDED, random_mlp=MISSING
    )


def test_a_component_without_training_has_no_trained_verdict(tmp_path):
    results = made.results(tmp_path, made.with_own(), own={made.V_MLP: [made.PROBE]}, untrained=[made.V_MLP])
    assert [way for component, way in judge_all(results, THRESHOLDS, 0.1) if component == made.V_MLP] == [
        made.PROBE, MEAN_DIFFERENCE
    ]  # fmt: skip


def test_tables_in_memory_are_judged_like_those_on_disk(tmp_path):
    made_tables = made.tables()
    tables = Tables(
        made_tables["effects.csv"],
        made_tables["dormant.csv"],
        {made.V_TRUE: made_tables[f"split_directions/{made.V_TRUE}.csv"]},
        {made.V_MLP: made_tables[f"random_mlp/{made.V_MLP}.csv"]},
    )
    from_disk = judge_all(made.results(tmp_path), THRESHOLDS, 0.1)
    in_memory = judge_subspaces(from_disk, tables, THRESHOLDS, 0.1)
    assert {key: verdict.verdict for key, verdict in in_memory.items()} == {
        key: verdict.verdict for key, verdict in from_disk.items()
    }
    alone = judge_subspaces([(made.V_MLP, TRAINED)], Tables(tables.effects, tables.dormant), THRESHOLDS, 0.1)
    assert says(alone[made.V_MLP, TRAINED])["random_mlp"] == UNMEASURED


def test_only_what_ran_is_evidence(tmp_path):
    """Files of experiments that were left out are another run's."""
    verdicts = judge_all(made.results(tmp_path, experiments={}), THRESHOLDS, 0.1)
    assert says(verdicts[made.V_TRUE, TRAINED])["without_null_part"] == UNMEASURED
    assert says(verdicts[made.V_MLP, TRAINED])["random_mlp"] == UNMEASURED


def test_missing_rows_take_a_vote_and_stop_nothing(tmp_path):
    effects, splits = made.effects(), made.splits()
    changed = {
        "effects.csv": effects[(effects["component"] == made.V_MLP) | (effects["subspace"] != TRAINED)],
        f"split_directions/{made.V_TRUE}.csv": splits[splits["part"] != "whole"],
        "dormant.csv": pd.DataFrame(columns=["component", "subspace", "outside", "outside_lo", "outside_hi"]),
    }
    verdicts = judge_all(made.results(tmp_path, changed), THRESHOLDS, 0.1)
    assert verdicts[made.V_TRUE, TRAINED].reason == "its effect was not measured"
    assert says(verdicts[made.V_MLP, TRAINED])["clean_range"] == MISSING
    assert evidence_table(verdicts)["value"].isna().sum() > 4
