from dataclasses import replace

import pandas as pd
import pytest
import torch

import tiny
from drawing import drawn
from subspace_illusion.core.basis import closeness, patch_change, random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import NONE
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_table
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.train_das import section
from subspace_illusion.subspace import das as module
from subspace_illusion.subspace.das import (
    Examples,
    _batches,
    _ended,
    late_accuracy,
    mean_curve,
    train_das,
    training_kinds,
)
from subspace_illusion.tasks.table import DIFFERENT, SAME

SITE = Site(1, "hook_resid_post")
SETTINGS = dict(steps=60, batch=16, lr=0.05, loss="cross_entropy")
PAIRS = 128


@pytest.fixture(scope="module")
def planted() -> tuple[Model, Examples, torch.Tensor]:
    """Pairs whose targets are what patching a known direction gives, so that DAS has something to find."""
    model = tiny.tiny_model("llama")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 500, (PAIRS, 8), generator=generator)
    recording = record(model, tokens, [SITE], tail_from=2)
    base = recording.activations[SITE]
    direction = random_basis(base.shape[1], 1, 1)
    noise = torch.randn(base.shape, generator=generator)
    source = base + noise + 6 * torch.randn(PAIRS, 1, generator=generator) * direction.T
    with torch.no_grad():
        logits = replay(model, recording.tail, {SITE: patch_change(base, source, direction)}).logits
    target = logits.argmax(1)
    own = recording.logits.argmax(1)
    return model, Examples(base, source, target, own, target != own, recording.tail.rows), direction


def test_das_finds_a_planted_direction(planted):
    model, examples, direction = planted
    trained = train_das(model, SITE, examples, rank=1, seeds=[0, 1], **SETTINGS)
    assert trained.bases.shape == (2, 32, 1)
    for basis in trained.bases:
        assert abs(closeness(basis, direction)) > 0.9
    first, last = (trained.curve[trained.curve["step"] == step] for step in (0, 59))
    assert last["loss"].mean() < first["loss"].mean()
    assert late_accuracy(trained.curve, "change") > 0.6 > first["accuracy_change"].mean()


@pytest.mark.parametrize("loss", ["cross_entropy", "logit_difference"])
def test_a_seed_gives_the_same_basis_alone_and_among_others(planted, loss):
    model, examples, _ = planted
    settings = SETTINGS | dict(steps=5, loss=loss)
    alone = train_das(model, SITE, examples, rank=2, seeds=[5], **settings).bases[0]
    among = train_das(model, SITE, examples, rank=2, seeds=[3, 5], **settings).bases[1]
    torch.testing.assert_close(alone, among, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.T @ alone, torch.eye(2), atol=1e-5, rtol=0)
    again = train_das(model, SITE, examples, rank=2, seeds=[5], **settings).bases[0]
    assert torch.equal(alone, again)


def test_a_run_ends_when_a_pass_adds_little_and_leaves_the_others_alone(planted, monkeypatch):
    model, examples, _ = planted
    monkeypatch.setattr(module, "SHORTEST_PASS", 1)
    settings = SETTINGS | dict(batch=32)  # a pass is four steps
    to_the_end = train_das(model, SITE, examples, rank=1, seeds=[0, 1], **settings)
    assert to_the_end.curve.groupby("seed").size().tolist() == [60, 60]
    early = train_das(model, SITE, examples, rank=1, seeds=[0, 1], min_gain=0.05, **settings)
    steps = early.curve.groupby("seed").size()
    assert (steps % 4 == 0).all()
    assert steps.max() < 60
    assert steps[0] != steps[1]
    for seed in (0, 1):
        losses = early.curve.loc[early.curve["seed"] == seed, "loss"].to_numpy()
        passes = losses.reshape(-1, 4).mean(1)
        gains = (passes[:-1] - passes[1:]) / (passes[0] - passes[1:])
        assert gains[-1] < 0.05 <= gains[:-1].min()
        # Until then a run goes as it would with more steps, and what it has learnt stays when the other goes on.
        alone = train_das(model, SITE, examples, rank=1, seeds=[seed], min_gain=0.05, **settings)
        torch.testing.assert_close(alone.bases[0], early.bases[seed], atol=1e-4, rtol=0)
        assert abs(closeness(early.bases[seed], to_the_end.bases[seed])) > 0.95
    assert late_accuracy(early.curve, "change", 4) > 0.5


def test_products_in_bfloat16_find_the_same_direction(planted):
    model, examples, _ = planted
    exact, rounded = (
        train_das(model, SITE, examples, rank=1, seeds=[0], matmul_dtype=kind, **SETTINGS).bases[0]
        for kind in ("float32", "bfloat16")
    )
    assert exact.dtype == rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert closeness(exact, rounded) > 0.99


def test_of_few_pairs_a_pass_is_some_steps(planted):
    model, examples, _ = planted
    curve = train_das(model, SITE, examples, rank=1, seeds=[0], min_gain=0.9, **SETTINGS | dict(batch=PAIRS)).curve
    assert len(curve) >= 2 * module.SHORTEST_PASS


def test_a_run_that_gains_nothing_ends():
    assert not _ended([3.0, 3.0, 3.0], 2, 0.1)
    assert not _ended([3.0, 3.0, 2.0, 2.0], 2, 0.1)
    assert _ended([3.0, 3.0, 2.0, 2.0, 1.95, 1.95], 2, 0.1)
    assert not _ended([3.0, 3.0, 2.0, 2.0, 1.95, 1.95], 2, 0.0)
    assert _ended([3.0, 3.0, 3.1, 3.1], 2, 0.1)


def test_a_pair_with_itself_as_source_gives_no_gradient(planted):
    model, examples, _ = planted
    still = replace(examples, source=examples.base)
    trained = train_das(model, SITE, still, rank=1, seeds=[0], **SETTINGS | dict(steps=3))
    start = train_das(model, SITE, still, rank=1, seeds=[0], **SETTINGS | dict(steps=1))
    torch.testing.assert_close(trained.bases, start.bases)


def test_wrong_rank_and_lost_loss_are_errors(planted):
    model, examples, _ = planted
    with pytest.raises(InputError, match="rank is 33, but blocks.1.hook_resid_post has 32 dimensions"):
        train_das(model, SITE, examples, rank=33, seeds=[0], **SETTINGS)
    broken = replace(examples, base=examples.base * float("nan"))
    with pytest.raises(InputError, match="stopped being a number in step 0: lower das.lr"):
        train_das(model, SITE, broken, rank=1, seeds=[0], **SETTINGS)


def test_batches_pass_over_every_example():
    batches = _batches(10, 4, torch.Generator().manual_seed(0))
    seen = torch.cat([next(batches) for _ in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert len(next(_batches(3, 8, torch.Generator()))) == 8


def test_tails_of_two_lengths_train_together(planted):
    model, _, _ = planted
    recordings = [
        record(model, torch.randint(1, 500, (4, length), generator=torch.Generator().manual_seed(length)), [SITE], 2)
        for length in (5, 9)
    ]
    tail = Tail.cat([recording.tail for recording in recordings])
    base = torch.cat([recording.activations[SITE] for recording in recordings])
    target = torch.cat([recording.logits.argmax(1) for recording in recordings])
    examples = Examples(base, base.roll(1, 0), target, target, torch.zeros(8, dtype=torch.bool), tail.rows)
    trained = train_das(model, SITE, examples, rank=1, seeds=[0], **SETTINGS | dict(steps=4))
    assert trained.curve["loss"].notna().all()


def test_the_two_kinds_of_pairs_are_counted_apart(planted):
    """Pairs that ask for no change, patched from themselves, give their own answer whatever was learnt."""
    model, examples, _ = planted
    changes = torch.arange(PAIRS) % 2 == 0
    own = replay(model, examples.tail(torch.arange(PAIRS)), {}, start=2).logits.argmax(1)
    still = replace(
        examples,
        source=torch.where(changes[:, None], examples.source, examples.base),
        target_id=torch.where(changes, own + 1, own),
        changes=changes,
    )
    curve = train_das(model, SITE, still, rank=1, seeds=[0], **SETTINGS | dict(steps=2, batch=PAIRS)).curve
    assert curve["accuracy_keep"].tolist() == [1, 1]
    assert curve["accuracy_change"].max() < 0.5


def test_what_changes_may_differ_between_runs(planted):
    model, examples, _ = planted
    changes = torch.stack([torch.ones(PAIRS, dtype=torch.bool), torch.zeros(PAIRS, dtype=torch.bool)])
    ids = dict(target_id=examples.target_id.expand(2, -1), other_id=examples.other_id.expand(2, -1))
    of_runs = replace(examples, changes=changes, **ids)
    curve = train_das(model, SITE, of_runs, rank=1, seeds=[0, 1], **SETTINGS | dict(steps=2)).curve.set_index("seed")
    assert curve.loc[0, "accuracy_keep"].isna().all()
    assert curve.loc[1, "accuracy_change"].isna().all()
    assert curve.loc[0, "accuracy_change"].notna().all()


@pytest.mark.parametrize("loss", ["cross_entropy", "logit_difference"])
def test_of_several_answers_any_is_the_target(planted, loss):
    model, examples, _ = planted
    settings = SETTINGS | dict(loss=loss, steps=3)
    alone = torch.full((PAIRS,), NONE)
    sets = {name: torch.stack([getattr(examples, name), alone], 1) for name in ("target_id", "other_id")}
    found = [
        train_das(model, SITE, some, rank=1, seeds=[0, 1], **settings) for some in (examples, replace(examples, **sets))
    ]
    torch.testing.assert_close(found[0].bases, found[1].bases, atol=1e-5, rtol=0)
    third = torch.arange(PAIRS) % 7
    both = replace(examples, **sets | dict(target_id=torch.stack([third, examples.target_id], 1)))
    more = train_das(model, SITE, both, rank=1, seeds=[0, 1], **settings).curve
    assert len(both) == PAIRS
    assert (more["loss"] < found[0].curve["loss"]).all()  # two tokens have more probability than one of them


def test_late_accuracy_leaves_out_steps_without_pairs_of_a_kind():
    curve = pd.DataFrame(
        dict(seed=0, step=range(4), loss=1.0, accuracy_change=[0.0, 0.2, float("nan"), 0.4], accuracy_keep=float("nan"))
    )
    assert late_accuracy(curve, "change", steps=3) == pytest.approx(0.3)
    assert pd.isna(late_accuracy(curve, "keep"))
    means = mean_curve(pd.concat([curve, curve.assign(seed=1, loss=2.0, accuracy_change=1.0)]))
    assert means["loss"].tolist() == [1.5] * 4
    assert means["accuracy_change"].tolist() == [0.5, 0.6, 1.0, 0.7]


def test_pairs_of_one_value_are_trained_on_if_asked_for():
    assert training_kinds(True) == (DIFFERENT, SAME)
    assert training_kinds(False) == (DIFFERENT,)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("keep", "says"), [(0.9, "pairs of two kinds"), (float("nan"), "of different values alone")])
def test_the_section_says_which_pairs_were_trained_on(tmp_path, keep, says):
    curves = [
        dict(seed=seed, step=step, loss=3.0 - step, accuracy_change=0.1 * step, accuracy_keep=keep)
        for seed in (0, 1)
        for step in (0, 1)
    ]
    for component in ("resid8", "mlp8"):
        write_table(tmp_path / f"subspaces/{component}/curve.parquet", pd.DataFrame(curves))
    (found,) = section(Results("m", ["resid8", "mlp8"], "resid8", "mlp8", {}, folder=tmp_path, data=tmp_path))
    assert says in found.reading
    assert found.grids[0].rows[1][:5] == ["mlp8", "0, 1", "3.000", "2.000", "0.050"]
    assert len(found.grids[0].header) == (6 if keep == 0.9 else 5)
    assert [picture.name for picture in found.pictures] == ["train_das"]
    assert [axis.get_title() for axis in drawn(found.pictures[0].figure).axes] == ["resid8", "mlp8"]
    assert "the controls say" not in found.reading
    about = dict(untrained=["mlp8"], folder=tmp_path, data=tmp_path)
    (found,) = section(Results("m", ["resid8", "mlp8"], "resid8", None, dict(controls=["resid8"]), **about))
    assert [row[0] for row in found.grids[0].rows] == ["resid8"]
    assert ("the controls say" in found.reading) == (keep == 0.9)
    plt.close("all")
