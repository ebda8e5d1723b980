import numpy as np
import torch

from subspace_illusion.core.outcome import Outcome, logit_difference

LOGITS = torch.tensor([[5.0, 2.0, 0.0], [1.0, 4.0, 9.0]])
ANSWER, FOIL = torch.tensor([0, 0]), torch.tensor([1, 2])


def test_logit_difference_and_whether_the_foil_is_on_top():
    assert logit_difference(LOGITS, ANSWER, FOIL).tolist() == [3.0, -8.0]
    measured = Outcome.of(LOGITS, ANSWER, FOIL)
    assert measured.ld.tolist() == [[3.0, -8.0]]
    assert measured.top1_foil.tolist() == [[False, True]]


def test_a_flip_to_another_token_is_no_interchange():
    """LD below zero, but a third token is on top."""
    measured = Outcome.of(torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([0]), torch.tensor([1]))
    assert measured.ld.tolist() == [[-1.0]]
    assert measured.top1_foil.tolist() == [[False]]


def test_batches_are_joined_by_pair_and_seeds_pooled_by_row():
    whole = Outcome.of(LOGITS, ANSWER, FOIL)
    parts = [Outcome.of(LOGITS[i : i + 1], ANSWER[i : i + 1], FOIL[i : i + 1]) for i in (0, 1)]
    joined = Outcome.joined(parts)
    assert np.array_equal(joined.ld, whole.ld)
    assert np.array_equal(joined.top1_foil, whole.top1_foil)
    pooled = Outcome.pooled([whole, joined])
    assert pooled.ld.shape == pooled.top1_foil.shape == (2, 2)
