import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.core.answers import answers_alone, outcomes_each
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import NONE, Outcome
from subspace_illusion.core.parts import linear_modules
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site

SITE = Site(1, "mlp.hook_post")


def drawn(model: Model, seed: int, at: int):
    """Six prompts' tail, a change large enough to move answers, and what the changed run gives."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 500, (6, 9), generator=generator)
    tail = record(model, tokens, tail_from=1, position=at).tail
    change = 5 * torch.randn(6, model.width(SITE), generator=generator)
    with torch.no_grad():
        return tail, change, replay(model, tail, {SITE: change}).logits, generator


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), at=st.integers(4, 8))
def test_outcomes_are_those_of_the_whole_vocabulary(model: Model, seed: int, at: int):
    tail, change, logits, generator = drawn(model, seed, at)
    answer, foil = torch.randint(1, 500, (2, 6), generator=generator)
    foil[:2] = logits[:2].argmax(-1)  # on top
    answer[2] = logits[2].argmax()
    expected = Outcome.of(logits, answer, foil)
    with answers_alone(model, answer, foil):
        got = Outcome.of_answers(replay(model, tail, {SITE: change}).logits)
    np.testing.assert_allclose(got.ld, expected.ld, atol=1e-4)
    assert np.array_equal(got.top1_foil, expected.top1_foil)


def test_outcomes_of_several_answers_are_those_of_the_whole_vocabulary(model: Model):
    tail, change, logits, generator = drawn(model, 3, 6)
    answer, foil = torch.randint(1, 500, (2, 6, 3), generator=generator)
    answer[:2, 1:], foil[1:4, 2] = NONE, NONE
    foil[:2, 1], answer[2, 0], foil[4, 2] = logits[:2].argmax(-1), logits[2].argmax(), logits[4].argmax()
    expected = Outcome.of(logits, answer, foil)
    with answers_alone(model, answer, foil):
        got = Outcome.of_answers(replay(model, tail, {SITE: change}).logits)
    np.testing.assert_allclose(got.ld, expected.ld, atol=1e-4)
    assert np.array_equal(got.top1_foil, expected.top1_foil)
    assert expected.top1_foil[0, [0, 1, 4]].all()


def test_the_model_is_left_as_it_was(llama: Model):
    tail, change, logits, _ = drawn(llama, 0, 5)
    (module,) = linear_modules(llama.bridge, llama.n_blocks)
    with answers_alone(llama, torch.tensor([1]), torch.tensor([2])):
        assert "forward" in vars(module)
    assert "forward" not in vars(module)
    with torch.no_grad():
        assert torch.equal(replay(llama, tail, {SITE: change}).logits, logits)


def test_each_change_is_made_alone(model: Model):
    tail, change, logits, _ = drawn(model, 1, 5)
    other, ids = Site(2, "hook_attn_out"), torch.arange(1, 7)
    changes = {SITE: change, other: torch.randn(6, model.width(other))}
    found = outcomes_each(model, tail, changes, 1, ids, ids + 10)
    assert list(found) == list(changes)
    np.testing.assert_allclose(found[SITE].ld, Outcome.of(logits, ids, ids + 10).ld, atol=1e-4)
    with torch.no_grad():
        alone = replay(model, tail, {other: changes[other]}, start=1).logits
    np.testing.assert_allclose(found[other].ld, Outcome.of(alone, ids, ids + 10).ld, atol=1e-4)
