"""Where answers part, put behind their prompts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_tokenizers import all_kinds, bpe, spaced
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import tell_apart
from subspace_illusion.tasks.following import follows_directly, joined


@pytest.mark.parametrize("tokenizer", all_kinds())
def test_a_direct_answer_leaves_end_where_it_is(tokenizer):
    try:
        ends = tell_apart("1352 to 13", "72", "02", "auto", ["1352 to 13"], tokenizer)
    except InputError:  # as GPT-2 has a token for 130
        return
    assert ends.direct
    assert (ends.shared, ends.shared_text) == ((), "")
    assert tokenizer.encode("1352 to 1372")[len(tokenizer.encode("1352 to 13"))] == ends.answers[0]
    apart = tell_apart("1352 to 13", "72", "02", "space", [], tokenizer)
    assert not apart.direct


def test_where_answers_part_in_the_middle_of_a_character():
    one, other = "\u732b", "\u732a"  # which begin with the same bytes
    for tokenizer in (bpe(), spaced()):
        ends = tell_apart("\u9ed2", one, other, "direct", [], tokenizer)
        assert ends.in_a_character
        assert ends.shared
        assert ends.shared_text == ""


def test_what_merges_is_named():
    merging = bpe()
    whole = joined("The capital of Fran", "ce", direct=True)
    assert merging.encode(whole)[: len(merging.encode("The capital of Fran"))] != merging.encode("The capital of Fran")
    with pytest.raises(InputError, match="'ce' merges with the last token .* is one token across the two; end the"):
        tell_apart("The capital of Fran", "ce", "k", "direct", [], merging)


ANSWERS = ["yes", " yes", "San Marino", "72", "4", "n't", "%", ".", "'s", "(A)", "\u732b", "caf\u00e9", "\n"]
PROMPTS = [
    "He is",
    "He said:",
    'He said "',
    "2+2=",
    "pi is 3.",
    "os.",
    "The **",
    "1352 to 13",
    "\u7b54\uff1a",
    "He does",
]


@given(st.sampled_from(PROMPTS), st.lists(st.sampled_from(ANSWERS), min_size=2, max_size=4, unique=True), st.data())
@settings(max_examples=80)
def test_answers_are_the_tokens_of_the_text_that_they_make_or_refused(prompt, answers, data):
    """With every tokenizer and way to join: END, answer and foil are how the whole text begins."""
    tokenizer, join = data.draw(st.sampled_from(all_kinds())), data.draw(st.sampled_from(["auto", "direct", "space"]))
    ours, foils = tuple(answers[: len(answers) // 2]), tuple(answers[len(answers) // 2 :])
    try:
        ends = tell_apart(prompt, ours, foils, join, [prompt], tokenizer)
    except InputError:
        return
    direct = join == "direct" or (join == "auto" and follows_directly(prompt, answers, [prompt]))
    shared = [*tokenizer.encode(prompt), *ends.shared]
    for side, found in ((ours, ends.answers), (foils, ends.foils)):
        wholes = [tokenizer.encode(joined(prompt, answer, direct)) for answer in side]
        assert all(whole[: len(shared)] == shared for whole in wholes)
        assert {whole[len(shared)] for whole in wholes} == {*found}
    assert not {*ends.answers} & {*ends.foils}
