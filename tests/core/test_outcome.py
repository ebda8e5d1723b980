import numpy as np
import torch

from subspace_illusion.core.outcome import NONE, Outcome, cross_entropy, logit_difference

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


def test_several_answers_a_side_are_summed_and_any_of_them_is_an_interchange():
    logits = torch.tensor([[1.0, 2.0, 0.5, 3.0], [4.0, 1.0, 2.0, 0.0]])
    answers, foils = torch.tensor([[0, 1], [1, NONE]]), torch.tensor([[2, 3], [0, 2]])
    p = logits.double().softmax(1)
    by_hand = [(p[0, :2].sum() / p[0, 2:].sum()).log(), (p[1, 1] / (p[1, 0] + p[1, 2])).log()]
    measured = Outcome.of(logits, answers, foils)
    np.testing.assert_allclose(measured.ld[0], by_hand, atol=1e-6)
    assert measured.top1_foil.tolist() == [[True, True]]
    assert Outcome.of(logits, foils, answers).top1_foil.tolist() == [[False, False]]
    wanted = -torch.stack([p[0, :2].sum().log(), p[1, 1].log()])
    torch.testing.assert_close(cross_entropy(logits, answers).double(), wanted, atol=1e-6, rtol=0)


def test_a_set_of_one_is_that_answer_to_the_last_digit():
    logits = torch.randn(5, 7)
    answer, foil = torch.arange(5), torch.arange(1, 6)
    alone = torch.full((5,), NONE)
    sets = [torch.stack([ids, alone], 1) for ids in (answer, foil)]
    assert torch.equal(logit_difference(logits, *sets), logit_difference(logits, answer, foil))
    assert np.array_equal(Outcome.of(logits, *sets).top1_foil, Outcome.of(logits, answer, foil).top1_foil)
