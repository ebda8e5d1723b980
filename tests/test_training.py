import pytest
import torch

import tiny
from subspace_illusion.core.frames import closeness, patch_change, random_frame
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import Tail, record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.das import Examples, _batches, train_das

SITE = Site(1, "hook_resid_post")
SETTINGS = dict(steps=60, batch=16, lr=0.05, loss="cross_entropy")


@pytest.fixture(scope="module")
def planted() -> tuple[Model, Examples, torch.Tensor]:
    """Pairs whose targets are what patching a known direction gives, so that DAS has something to find."""
    model = tiny.tiny_model("llama")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(1, 500, (64, 8), generator=generator)
    recording = record(model, tokens, [SITE], tail_from=2)
    base = recording.activations[SITE]
    direction = random_frame(base.shape[1], 1, 1)
    source = (
        base + torch.randn(base.shape, generator=generator) + 6 * torch.randn(64, 1, generator=generator) * direction.T
    )
    with torch.no_grad():
        logits = replay(model, recording.tail, {SITE: patch_change(base, source, direction)}).logits
    target = logits.argmax(1)
    return model, Examples(base, source, target, recording.logits.argmax(1), recording.tail.rows), direction


def test_das_finds_a_planted_direction(planted):
    model, examples, direction = planted
    trained = train_das(model, SITE, examples, rank=1, seeds=[0, 1], **SETTINGS)
    assert trained.frames.shape == (2, 32, 1)
    for frame in trained.frames:
        assert abs(closeness(frame, direction)) > 0.9
    first, last = (trained.curve[trained.curve["step"] == step] for step in (0, 59))
    assert last["loss"].mean() < first["loss"].mean()
    assert last["accuracy"].mean() > 0.8 > first["accuracy"].mean()


@pytest.mark.parametrize("loss", ["cross_entropy", "logit_difference"])
def test_a_seed_gives_the_same_frame_alone_and_among_others(planted, loss):
    model, examples, _ = planted
    settings = SETTINGS | dict(steps=5, loss=loss)
    alone = train_das(model, SITE, examples, rank=2, seeds=[5], **settings).frames[0]
    among = train_das(model, SITE, examples, rank=2, seeds=[3, 5], **settings).frames[1]
    torch.testing.assert_close(alone, among, atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.T @ alone, torch.eye(2), atol=1e-5, rtol=0)
    again = train_das(model, SITE, examples, rank=2, seeds=[5], **settings).frames[0]
    assert torch.equal(alone, again)


def test_a_pair_with_itself_as_source_gives_no_gradient(planted):
    model, examples, _ = planted
    still = Examples(examples.base, examples.base, examples.target_id, examples.other_id, examples.tail)
    trained = train_das(model, SITE, still, rank=1, seeds=[0], **SETTINGS | dict(steps=3))
    start = train_das(model, SITE, still, rank=1, seeds=[0], **SETTINGS | dict(steps=1))
    torch.testing.assert_close(trained.frames, start.frames)


def test_wrong_rank_and_lost_loss_are_errors(planted):
    model, examples, _ = planted
    with pytest.raises(InputError, match="rank is 33, but blocks.1.hook_resid_post has 32 dimensions"):
        train_das(model, SITE, examples, rank=33, seeds=[0], **SETTINGS)
    broken = Examples(
        examples.base * float("nan"), examples.source, examples.target_id, examples.other_id, examples.tail
    )
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
    examples = Examples(base, base.roll(1, 0), target, target, tail.rows)
    trained = train_das(model, SITE, examples, rank=1, seeds=[0], **SETTINGS | dict(steps=4))
    assert trained.curve["loss"].notna().all()
