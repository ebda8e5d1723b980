from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import torch

from drawing import drawn, intervals, points, shown, words
from made import measured
from some_pairs import some_pairs
from subspace_illusion.core.basis import closeness, patch_change, random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.files import write_table
from subspace_illusion.measures import controls as module
from subspace_illusion.measures.controls import (
    DIFFERENT_ONLY,
    ON_ARBITRARY,
    ON_ARBITRARY_SAME,
    PLACEBO,
    RANDOM_DIRECTION,
    RANDOM_MODEL,
    RANDOM_MODEL_WHOLE,
    SAME_VALUE,
    SELF,
    UNRELATED,
    Learnt,
    Tried,
    arbitrary_labels,
    controls,
    learn,
    make_changes,
    measure_controls,
    of_kind,
    of_user,
    placebo,
    random_bases,
    spread,
    tossed,
)
from subspace_illusion.report.plots.controls import controls_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.controls import cannot_fail, of_labels, of_random_model, section
from subspace_illusion.subspace.das import Examples
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import DIFFERENT, DIFFERENT_UNRELATED, SAME

pytestmark = pytest.mark.filterwarnings("error")
SITE = Site(1, "hook_resid_post")
PROBE = SubspaceKey.user("probe")
SETTINGS = dict(steps=3, batch=6, lr=0.05, loss="cross_entropy")
GENERATOR = torch.Generator().manual_seed(0)
BASE, SOURCE = torch.randn(2, 20, 6, generator=GENERATOR)
ROWS = torch.arange(20)


def test_a_placebo_is_as_large_as_the_patch_pair_for_pair_and_lies_elsewhere():
    for k in (1, 2):
        basis, elsewhere = random_basis(6, k, 0), random_basis(6, k, 1)
        change = placebo(BASE, SOURCE, basis, elsewhere)(ROWS)
        torch.testing.assert_close(change.norm(dim=1), patch_change(BASE, SOURCE, basis).norm(dim=1))
        torch.testing.assert_close(change @ elsewhere @ elsewhere.T, change)
        torch.testing.assert_close(placebo(BASE, SOURCE, basis, basis)(ROWS), patch_change(BASE, SOURCE, basis))


def test_a_patch_from_itself_changes_nothing():
    basis = random_basis(6, 1, 0)
    assert placebo(BASE, BASE, basis, basis)(ROWS).abs().max() == 0


def test_arbitrary_labels_are_tossed_for_each_seed():
    target, other = torch.full((20,), 7), torch.full((20,), 8)
    changes = torch.arange(20) < 15
    tossed = arbitrary_labels(Examples(BASE, SOURCE, target, other, changes, lambda rows: None), [0, 1])
    assert tossed.target_id.shape == (2, 20)
    assert len(tossed) == 20
    assert (tossed.target_id + tossed.other_id == 15).all()
    assert 4 < (tossed.target_id == 7).sum(1).min() <= (tossed.target_id == 7).sum(1).max() < 16
    assert not torch.equal(tossed.target_id[0], tossed.target_id[1])
    # Where the toss swaps the names, a pair that should change is asked to keep its answer, and the other way round.
    assert torch.equal(tossed.changes, changes ^ (tossed.target_id == 8))


def test_random_bases_differ():
    a, b = random_bases(6, 2, 2, 0, "x")
    torch.testing.assert_close(a.T @ a, torch.eye(2))
    assert not torch.allclose(a, b)


def test_held_out_labels_are_tossed_by_draw_and_kind():
    labels = tossed(40, 0, 2, DIFFERENT)
    assert labels.shape == (2, 40)
    assert 8 < labels.sum(1).min() <= labels.sum(1).max() < 32
    assert (labels[0] != labels[1]).any()
    assert (labels == tossed(40, 0, 2, DIFFERENT)).all()
    assert (labels != tossed(40, 0, 2, SAME)).any()


def test_the_distribution_by_hand():
    assert spread("ld", np.array([0.5, -0.5, 2.0, -2.0])) == pytest.approx(
        dict(ld_sd=np.sqrt(2.125), ld_abs=1.25, ld_near_zero=0.5)
    )


@pytest.fixture(scope="module")
def pairs(llama: Model) -> Pairs:
    return some_pairs(llama, [SITE], 2, cases=5)


def of_kinds(pairs: Pairs, *kinds: str) -> Pairs:
    among = pairs.table["kind"].isin(kinds).to_numpy()
    return Pairs(pairs.model, pairs.table[among].reset_index(drop=True), pairs.prompts, pairs.ld_clean[among])


def run(
    train: Pairs, test: Pairs, own: Mapping[SubspaceKey, torch.Tensor] | None = None
) -> tuple[pd.DataFrame, Tried, Learnt]:
    learnt = learn(SITE, train, rank=1, seeds=[0, 1], settings=SETTINGS)
    trained = random_bases(32, 1, 2, 7, "trained")
    tried = make_changes(SITE, train, test, trained, own or {}, learnt, lambda rank: random_bases(32, rank, 3, 0, "x"))
    curve = pd.DataFrame(dict(seed=0, step=[0, 1], loss=1.0, accuracy_change=[0.2, 0.4], accuracy_keep=[0.8, 1.0]))
    patched: list[int] = []
    found = controls(
        "x", tried, learnt, curve, seed=0, resamples=100, batch=4, on_patch=lambda pairs: patched.append(pairs)
    )
    assert sum(patched) == tried.count
    return found.set_index("control"), tried, learnt


@pytest.fixture(scope="module")
def both(pairs: Pairs) -> tuple[pd.DataFrame, Tried, Learnt]:
    return run(of_kinds(pairs, DIFFERENT, SAME), pairs)


def test_every_control_has_its_row(both, pairs):
    rows, _, _ = both
    assert rows.index.tolist() == [
        TRAINED, UNRELATED, SAME_VALUE, SELF, RANDOM_DIRECTION, PLACEBO, DIFFERENT_ONLY, ON_ARBITRARY, ON_ARBITRARY_SAME
    ]  # fmt: skip
    assert (rows["pairs"] == 10).all()
    assert rows.loc[RANDOM_DIRECTION, "draws"] == 3
    assert rows.loc[TRAINED, "train_accuracy_change"] == pytest.approx(0.3)
    assert rows.loc[TRAINED, "train_accuracy_keep"] == pytest.approx(0.9)
    assert pd.isna(rows.loc[DIFFERENT_ONLY, "train_accuracy_keep"])  # no such pairs there
    assert rows.loc[DIFFERENT_ONLY, "train_accuracy_change"] >= 0


def test_one_call_trains_patches_and_measures(both, pairs):
    """The same table as step by step, random subspaces by the component's name, and bars that are told all of it."""
    steps: list[float] = []
    totals: list[int] = []
    patched: list[int] = []
    trained = random_bases(32, 1, 2, 7, "trained")
    curve = pd.DataFrame(dict(seed=0, step=[0, 1], loss=1.0, accuracy_change=[0.2, 0.4], accuracy_keep=[0.8, 1.0]))
    found = measure_controls(
        "x",
        SITE,
        of_kinds(pairs, DIFFERENT, SAME),
        pairs,
        trained,
        {},
        curve,
        rank=1,
        das_seeds=[0, 1],
        settings=SETTINGS,
        random_directions=3,
        seed=0,
        resamples=100,
        batch=4,
        on_step=steps.append,
        patch_bar=lambda total: totals.append(total) or patched.append,
    )
    pd.testing.assert_frame_equal(found.set_index("control"), both[0])
    assert len(steps) == 2 * SETTINGS["steps"]
    assert totals == [sum(patched)]


def test_single_draws_span_the_range_and_a_patch_from_itself_does_nothing(both, pairs):
    rows, tried, _ = both
    opposite = of_kind(pairs, DIFFERENT)
    changes = {i: opposite.along(SITE, basis) for i, basis in enumerate(tried.bases[RANDOM_DIRECTION])}
    single = [
        opposite.ld_clean.mean() - outcome.ld.mean() for outcome in opposite.patch(SITE, changes, batch=10).values()
    ]
    assert rows.loc[RANDOM_DIRECTION, "effect_min"] == pytest.approx(min(single), abs=1e-4)
    assert rows.loc[RANDOM_DIRECTION, "effect_max"] == pytest.approx(max(single), abs=1e-4)
    assert rows.loc[SELF, "effect"] == 0
    # Nothing to resample: no interval, and none of zero width or over rounding errors.
    ends = rows[[column for column in rows if column.endswith(("_lo", "_hi"))]]
    assert ends.loc[SELF, ["effect_lo", "effect_hi", "share_of_trained_lo"]].isna().all()
    assert rows.loc[TRAINED, "share_of_trained"] == 1
    assert ends.loc[TRAINED, ["share_of_trained_lo", "share_of_trained_hi"]].isna().all()
    for measure in ("effect", "ld_patched", "share_of_trained"):
        low, high = (rows[f"{measure}_{end}"].dropna() for end in ("lo", "hi"))
        assert (low < high).all()


def test_the_cosines_are_with_the_first_trained_subspace(both):
    rows, tried, _ = both
    first = tried.bases[TRAINED][0]
    by_hand = [abs(float((basis.T @ first).item())) for basis in tried.bases[ON_ARBITRARY]]
    assert rows.loc[ON_ARBITRARY, "cosine"] == pytest.approx(np.mean(by_hand), abs=1e-5)
    assert rows.loc[ON_ARBITRARY, "cosine_max"] == pytest.approx(max(by_hand), abs=1e-5)
    assert rows.loc[TRAINED, "cosine_max"] == pytest.approx(1)
    assert pd.isna(rows.loc[SELF, "cosine"])


def test_labels_by_hand(both, pairs):
    """The likelier of the two names, against the labels trained on and against labels tossed for held-out pairs."""
    rows, tried, learnt = both
    train = tried.pairs["train"]
    examples = arbitrary_labels(train.examples(SITE), [0, 1])
    right = []
    for basis, target in zip(learnt.runs[ON_ARBITRARY].bases, examples.target_id, strict=True):
        ld = train.patch(SITE, {0: train.along(SITE, basis)}, batch=20)[0].ld[0]
        right.append(np.where(ld > 0, train.answer.numpy(), train.foil.numpy()) == target.numpy())
    assert rows.loc[ON_ARBITRARY, "label_accuracy_train"] == pytest.approx(np.mean(right))
    right = []
    for kind in (DIFFERENT, SAME):
        held_out = of_kind(pairs, kind)
        labels = tossed(len(held_out), 0, 2, kind)
        for basis, label in zip(learnt.runs[ON_ARBITRARY].bases, labels, strict=True):
            ld = held_out.patch(SITE, {0: held_out.along(SITE, basis)}, batch=20)[0].ld[0]
            right.append((ld > 0) == label)
    assert rows.loc[ON_ARBITRARY, "label_accuracy"] == pytest.approx(np.mean(right))
    assert rows["label_accuracy"].notna().sum() == 1
    by_toss = np.array([np.concatenate(right[toss::2]).mean() for toss in (0, 1)])
    ends = rows.loc[ON_ARBITRARY, ["label_accuracy_min", "label_accuracy_max"]].tolist()
    assert ends == pytest.approx([by_toss.min(), by_toss.max()])


def test_the_distribution_of_training_pairs_is_that_of_the_rows_kind(both):
    rows, tried, learnt = both
    train = of_kind(tried.pairs["train"], SAME)
    bases = learnt.runs[ON_ARBITRARY].bases
    changes = {i: train.along(SITE, basis) for i, basis in enumerate(bases)}
    ld = Outcome.pooled(list(train.patch(SITE, changes, batch=20).values())).ld
    assert rows.loc[ON_ARBITRARY_SAME, "train_ld"] == pytest.approx(ld.mean(), abs=1e-4)
    assert rows.loc[ON_ARBITRARY_SAME, "train_ld_sd"] == pytest.approx(ld.std(), abs=1e-4)
    assert rows.loc[ON_ARBITRARY_SAME, "train_ld_clean_abs"] == pytest.approx(np.abs(train.ld_clean).mean(), abs=1e-4)
    assert rows.loc[ON_ARBITRARY, "ld_clean_sd"] == pytest.approx(
        of_kind(tried.pairs[DIFFERENT], DIFFERENT).ld_clean.std()
    )
    assert pd.isna(rows.loc[RANDOM_DIRECTION, "train_ld"])


def test_pairs_of_different_values_alone_are_a_control_only_where_others_were_trained_on(pairs):
    rows, tried, _ = run(of_kind(pairs, DIFFERENT), pairs)
    assert {DIFFERENT_ONLY, ON_ARBITRARY_SAME}.isdisjoint(rows.index)
    assert rows.loc[ON_ARBITRARY, "label_accuracy_train"] >= 0
    assert tried.count == 10 * (2 + 2 + 3 + 3 + 1 + 2 + 2 + 2 + 2)


def test_the_run_on_pairs_of_different_values_alone_sees_no_others(pairs, monkeypatch):
    seen: list[Examples] = []
    monkeypatch.setattr(module, "train_das", lambda model, site, examples, **settings: seen.append(examples))
    learn(SITE, pairs, rank=1, seeds=[0], settings={})
    assert [len(examples) for examples in seen] == [len(pairs), len(of_kind(pairs, DIFFERENT))]
    assert seen[1].changes.all()


def test_own_subspaces_have_controls_of_their_own(pairs):
    """A placebo of their own rank, and sources of the same value."""
    own = {PROBE: random_basis(32, 1, 11), SubspaceKey.user("SAE plane"): random_basis(32, 2, 12)}
    rows, tried, _ = run(of_kinds(pairs, DIFFERENT, SAME), pairs, own)
    names = rows.index.tolist()
    assert names == [
        TRAINED, "user: probe", "user: SAE plane", UNRELATED, SAME_VALUE, f"{SAME_VALUE}; user: probe",
        f"{SAME_VALUE}; user: SAE plane", SELF,
        RANDOM_DIRECTION, PLACEBO, f"{PLACEBO}; user: probe", f"{PLACEBO}; user: SAE plane", DIFFERENT_ONLY,
        ON_ARBITRARY, ON_ARBITRARY_SAME,
    ]  # fmt: skip
    assert rows.index.is_unique
    different, same = (of_kind(pairs, kind) for kind in (DIFFERENT, SAME))
    for key, basis in own.items():
        for of_pairs, name in ((different, key.subspace), (same, of_user(SAME_VALUE, key))):
            ld = of_pairs.patch(SITE, {0: of_pairs.along(SITE, basis)}, batch=10)[0].ld
            assert rows.loc[name, "effect"] == pytest.approx((of_pairs.ld_clean - ld[0]).mean(), abs=1e-4)
            assert rows.loc[name, "draws"] == 1
        assert rows.loc[key.subspace, "cosine"] == pytest.approx(
            abs(closeness(basis, tried.bases[TRAINED][0])), abs=1e-5
        )
    change = tried.changes[DIFFERENT][f"{PLACEBO}; user: probe"]
    assert len(change) == rows.loc[f"{PLACEBO}; user: probe", "draws"] == 3
    size = patch_change(different.base(SITE), different.source(SITE), own[PROBE]).norm(dim=1)
    for one in change:
        torch.testing.assert_close(one(torch.arange(10)).norm(dim=1), size)
    trained = rows.loc[TRAINED, "effect"]
    assert rows.loc["user: probe", "share_of_trained"] == pytest.approx(
        rows.loc["user: probe", "effect"] / trained, abs=1e-4
    )
    # The others are what they are without subspaces of one's own.
    without, _, _ = run(of_kinds(pairs, DIFFERENT, SAME), pairs)
    pd.testing.assert_frame_equal(rows.loc[without.index, without.columns], without)


def test_where_nothing_is_trained_own_subspaces_have_the_controls_that_take_no_training(pairs):
    own = {PROBE: random_basis(32, 1, 11), SubspaceKey.user("SAE plane"): random_basis(32, 2, 12)}
    settings = dict(rank=1, das_seeds=[0], settings={}, random_directions=3, seed=0, resamples=100, batch=10)
    rows = measure_controls("x", SITE, of_kinds(pairs, DIFFERENT, SAME), pairs, [], own, None, **settings)
    assert rows["control"].tolist() == [
        "user: probe", "user: SAE plane", f"{SAME_VALUE}; user: probe", f"{SAME_VALUE}; user: SAE plane", SELF,
        RANDOM_DIRECTION, f"{PLACEBO}; user: probe", f"{PLACEBO}; user: SAE plane",
    ]  # fmt: skip
    trained, _, _ = run(of_kinds(pairs, DIFFERENT, SAME), pairs, own)
    effects = rows.set_index("control")["effect"]
    assert effects["user: probe"] == pytest.approx(trained.loc["user: probe", "effect"], abs=1e-5)


def test_a_task_without_pairs_of_some_kinds_has_fewer_controls(pairs):
    different = of_kinds(pairs, DIFFERENT)
    rows, tried, _ = run(different, different, {PROBE: random_basis(32, 1, 11)})
    assert rows.index.tolist() == [
        TRAINED, "user: probe", SELF, RANDOM_DIRECTION, PLACEBO, f"{PLACEBO}; user: probe", ON_ARBITRARY
    ]  # fmt: skip
    assert set(tried.pairs) == {DIFFERENT, "train"}
    assert 0 <= rows.loc[ON_ARBITRARY, "label_accuracy"] <= 1
    rows, _, _ = run(different, of_kinds(pairs, DIFFERENT, DIFFERENT_UNRELATED))
    assert UNRELATED in rows.index
    assert SAME_VALUE not in rows.index


def test_pairs_of_one_value_among_the_training_pairs_alone(pairs):
    """Held-out ones may all have been answered wrongly."""
    rows, _, learnt = run(of_kinds(pairs, DIFFERENT, SAME), of_kinds(pairs, DIFFERENT))
    assert rows.index.tolist() == [TRAINED, SELF, RANDOM_DIRECTION, PLACEBO, DIFFERENT_ONLY, ON_ARBITRARY]
    different = of_kind(pairs, DIFFERENT)
    right = []
    for basis, label in zip(learnt.runs[ON_ARBITRARY].bases, tossed(10, 0, 2, DIFFERENT), strict=True):
        ld = different.patch(SITE, {0: different.along(SITE, basis)}, batch=20)[0].ld[0]
        right.append((ld > 0) == label)
    assert rows.loc[ON_ARBITRARY, "label_accuracy"] == pytest.approx(np.mean(right))


# What the section says


def rows_of(**changed: float) -> dict[str, dict[str, float]]:
    """A run in which the arbitrary labels do what they should and the random model has nothing to find."""
    ends = {f"label_accuracy{of}_{end}": 0.5 for of in ("", "_train") for end in ("min", "max")}
    arbitrary = (
        measured(label_accuracy=0.5, label_accuracy_train=0.52)
        | ends
        | dict(
            cosine=0.8, train_ld_abs=1.0, train_ld_clean_abs=5.0, train_ld_near_zero=0.6, train_ld_clean_near_zero=0.0
        )
    )
    return {
        ON_ARBITRARY: arbitrary | changed,
        TRAINED: dict(train_ld_abs=2.0, train_ld_near_zero=0.2),
        RANDOM_DIRECTION: dict(cosine_max=0.1),
        RANDOM_MODEL: dict(effect=0.0),
        RANDOM_MODEL_WHOLE: dict(effect=0.001, ld_clean_sd=0.6, moved=0.1),
    }


def test_the_mechanism_is_claimed_where_it_shows_and_dropped_where_not():
    assert "That is what the patch does. " in of_labels(rows_of())
    assert "cannot be told" in of_labels(rows_of())
    assert "in part the same direction" in of_labels(rows_of())
    assert "yet that alone does not account for" in of_labels(rows_of(train_ld_abs=2.5))
    assert "That is not what happened. " in of_labels(rows_of(train_ld_abs=5.5))
    assert "no nearer" in of_labels(rows_of(cosine=0.05))
    assert "some labels were learnt by heart" in of_labels(rows_of(label_accuracy_train_lo=0.55))


def test_a_control_that_cannot_fail_is_said_to_be_so():
    rows = rows_of()
    assert cannot_fail(rows)
    assert "can hardly fail: patching its whole residual stream has a mean effect of 0.00" in of_random_model(rows)
    rows[RANDOM_MODEL_WHOLE]["effect"] = 0.5
    assert not cannot_fail(rows)
    assert "there is something to find" in of_random_model(rows)


def test_the_section_names_what_is_true_by_algebra(both, tmp_path):
    rows, _, _ = both
    rows = rows.reset_index()
    whole = rows[rows["control"] == TRAINED].assign(moved=0.1, effect_min=np.nan)
    random = pd.concat([whole.assign(control=RANDOM_MODEL), whole.assign(control=RANDOM_MODEL_WHOLE, effect=0.0)])
    write_table(tmp_path / "controls/x.csv", rows)
    write_table(tmp_path / "random_model/x.csv", random)
    ran = dict(controls=["x"], random_model=["x"])
    (found,) = section(Results("m", ["x"], "x", None, ran, folder=tmp_path, data=tmp_path))
    names = [row[0] for row in found.grids[0].rows]
    assert {"patch from itself (by algebra)", "DAS on a random model (can hardly fail)"} <= set(names)
    assert "Trained on pairs of different values alone" in found.reading
    assert "Random directions, the norm-matched placebo and sources of the same value should" in found.reading
    of_random = found.grids[0].rows[names.index(RANDOM_DIRECTION)]
    assert " to " in of_random[4]
    assert found.grids[0].rows[names.index(SELF + " (by algebra)")][4] == ""  # one draw has no range
    assert len(found.grids[2].rows) == 6
    assert [picture.name for picture in found.pictures] == ["controls__x"]


@pytest.mark.parametrize("ran", ["controls", "random_model"])
def test_the_section_has_what_ran(both, tmp_path, ran):
    rows = both[0].reset_index()
    whole = rows[rows["control"] == TRAINED].assign(moved=0.1)[["draws", "effect", "ld_clean_sd", "moved"]]
    random = pd.concat([whole.assign(control=RANDOM_MODEL), whole.assign(control=RANDOM_MODEL_WHOLE, effect=0.0)])
    about = dict(train_accuracy_change=0.1, train_accuracy_keep=np.nan, effect_lo=np.nan, effect_hi=np.nan)
    write_table(tmp_path / f"{ran}/x.csv", rows if ran == "controls" else random.assign(**about))
    (found,) = section(Results("m", ["x"], "x", None, {ran: ["x"]}, folder=tmp_path, data=tmp_path))
    assert ("random model" in found.reading) == (ran == "random_model")
    assert ("Arbitrary labels" in found.reading) == (ran == "controls")
    assert drawn(found.pictures[0].figure)


# The picture


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def control_rows(controls: dict[str, tuple[float, float]]) -> pd.DataFrame:
    rows = []
    for control, (effect, accuracy) in controls.items():
        row = dict(control=control, train_accuracy_change=accuracy, train_accuracy_keep=accuracy / 2)
        row |= measured(effect=effect) | dict(effect_min=effect - 0.3, effect_max=effect + 0.3)
        if control in (RANDOM_MODEL, RANDOM_MODEL_WHOLE):
            row["ld_clean_sd"] = 0.123
        rows.append(row)
    return pd.DataFrame(rows)


ALL = {
    TRAINED: (3.0, 0.9), RANDOM_DIRECTION: (0.0, np.nan), ON_ARBITRARY: (0.5, 0.4), SELF: (0.0, np.nan),
    UNRELATED: (2.5, np.nan), RANDOM_MODEL: (0.0, 0.0), RANDOM_MODEL_WHOLE: (0.01, np.nan),
}  # fmt: skip


def test_controls_under_the_trained_subspace():
    figure = drawn(controls_figure(control_rows(ALL), "mlp8"))
    left, right = figure.axes
    assert shown(left)[:3] == ["trained subspace", "different value", "unrelated words"]
    assert len(points(left)) == len(intervals(left)) == 7
    assert sorted(x for x, _ in points(right)) == pytest.approx([0.0, 0.0, 0.2, 0.4, 0.45, 0.9])
    assert left.get_title() == "mlp8"
    assert "logit difference lost" in left.get_xlabel()
    assert "s.d. 0.12" in words(figure)
    assert any(list(line.get_xdata()) == [2.7, 3.3] for line in left.lines)  # the range of single draws


def test_controls_of_ones_own_subspace_stand_together():
    own = {
        "user: probe": (1.0, np.nan),
        "same value, unrelated words; user: probe": (0.1, np.nan),
        f"{PLACEBO}; user: probe": (0, np.nan),
    }
    figure = drawn(controls_figure(control_rows(ALL | own), "mlp8"))
    labels = shown(figure.axes[0])
    place = labels.index("own subspaces")
    assert labels[place + 1 : place + 4] == ["probe", "probe: same value", "probe: placebo"]


def test_controls_that_are_missing_are_left_out():
    rows = control_rows({TRAINED: (3.0, 0.9), SELF: (0.0, np.nan)}).assign(effect_lo=np.nan, effect_hi=np.nan)
    figure = drawn(controls_figure(rows, "mlp8"))
    assert shown(figure.axes[0]) == [
        "trained subspace",
        "different value",
        "nothing to change",
        "from itself, by algebra",
    ]
    assert intervals(figure.axes[0]) == []
    assert len(points(figure.axes[0])) == 2
