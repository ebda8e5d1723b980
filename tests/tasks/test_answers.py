"""How answers follow their prompts, and where they part."""

import pytest

from made_tokenizers import all_kinds, bpe, spaced
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import follows_directly, joined, tell_apart


@pytest.mark.parametrize(
    ("prompt", "answers", "direct"),
    [
        ("from the year 1352 to the year 13", ("72", "02"), True),
        ("2+2=", ("4", "5"), True),
        ("2 + 2 =", ("4", "5"), False),
        ("a->", ("b", "c"), True),
        ("a ->", ("b", "c"), False),
        ("It costs $", ("4", "5"), True),
        ("cd /usr/", ("bin", "lib"), True),
        ("self.get_", ("name", "value"), True),
        ("1 2 3", ("4", "5"), False),
        ("Vernon Dursley and Petunia D", ("urs", "avis"), True),
        ("The theatre showed the", ("play", "film"), False),
        ("\u6cd5\u56fd\u7684\u9996\u90fd\u662f", ("\u5df4\u9ece", "\u9a6c"), True),
        ("\u7b54\uff1a", ("4", "5"), True),
        ("The capital of France is", ("Paris", "Rome"), False),
        ("Q: who?\nA:", ("he", "she"), False),
        ("", ("he", "she"), False),
    ],
)
def test_what_texts_tell(prompt, answers, direct):
    assert follows_directly(prompt, answers, [prompt]) is direct


def test_a_word_that_another_prompt_has_tells_too():
    assert follows_directly("Petunia D", ("urs", "avis"), ["Petunia D", "Dursley"])


@pytest.mark.parametrize("tokenizer", all_kinds())
def test_a_direct_answer_leaves_end_where_it_is(tokenizer):
    ends = tell_apart("1352 to 13", "72", "02", "auto", ["1352 to 13"], tokenizer)
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
