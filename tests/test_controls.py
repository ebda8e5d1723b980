import torch

from subspace_illusion.core.checkpoints import random_model
from subspace_illusion.core.frames import patch_change, random_frame
from subspace_illusion.experiments.controls import arbitrary_labels, placebo, random_frames
from subspace_illusion.subspace.das import Examples

GENERATOR = torch.Generator().manual_seed(0)
BASE, SOURCE = torch.randn(2, 20, 6, generator=GENERATOR)
ROWS = torch.arange(20)


def test_a_placebo_is_as_large_as_the_patch_pair_for_pair_and_lies_elsewhere():
    for k in (1, 2):
        frame, elsewhere = random_frame(6, k, 0), random_frame(6, k, 1)
        change = placebo(BASE, SOURCE, frame, elsewhere)(ROWS)
        torch.testing.assert_close(change.norm(dim=1), patch_change(BASE, SOURCE, frame).norm(dim=1))
        torch.testing.assert_close(change @ elsewhere @ elsewhere.T, change)
        torch.testing.assert_close(placebo(BASE, SOURCE, frame, frame)(ROWS), patch_change(BASE, SOURCE, frame))


def test_a_patch_from_itself_changes_nothing():
    frame = random_frame(6, 1, 0)
    assert placebo(BASE, BASE, frame, frame)(ROWS).abs().max() == 0


def test_arbitrary_labels_are_tossed_for_each_seed():
    target, other = torch.full((20,), 7), torch.full((20,), 8)
    tossed = arbitrary_labels(Examples(BASE, SOURCE, target, other, lambda rows: None), [0, 1])
    assert tossed.target_id.shape == (2, 20)
    assert len(tossed) == 20
    assert (tossed.target_id + tossed.other_id == 15).all()
    assert 4 < (tossed.target_id == 7).sum(1).min() <= (tossed.target_id == 7).sum(1).max() < 16
    assert not torch.equal(tossed.target_id[0], tossed.target_id[1])


def test_random_frames_differ():
    a, b = random_frames(6, 2, 2, 0, "x")
    torch.testing.assert_close(a.T @ a, torch.eye(2))
    assert not torch.allclose(a, b)


def test_a_random_model_has_the_architecture_and_not_the_weights(tmp_path):
    import tiny

    tiny.write_folder(tmp_path)
    real = tiny.hf_model("llama", len(tiny.tokenizer()))
    drawn, again, other = (random_model(tmp_path, seed) for seed in (0, 0, 1))
    assert {name: p.shape for name, p in drawn.named_parameters()} == {n: p.shape for n, p in real.named_parameters()}
    (name, weight), *_ = drawn.named_parameters()
    assert torch.equal(weight, dict(again.named_parameters())[name])
    assert not torch.equal(weight, dict(other.named_parameters())[name])
    assert not torch.equal(weight, dict(real.named_parameters())[name])
