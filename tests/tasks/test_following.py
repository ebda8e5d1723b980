"""Whether answers follow their prompts directly, as the texts tell, and where they leave it open."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion.tasks.following import follows_directly, is_doubtful, joined


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


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("The capital is **", "Paris"),
        ("He said '", "yes"),
        ("He doesn't say '", "yes"),
        ("print('", "yes"),
        ("Il a dit \u00ab", "oui"),
        ("Er sagte \u201e", "ja"),
        ("Han sagde \u00bb", "ja"),
        ("It is (", "yes"),
        ("pi is 3.", "14"),
        ("It costs $3.", "50"),
        ("We meet at 12:", "30"),
        ("from 12:30 to 13:", "45"),
        ("1,2,", "3"),
        ("os.", "path"),
        ("x = os.", "path"),
        ("print(os.", "path"),
        ("import os\nos.", "path"),
        ("np.random.", "rand"),
        ("foo().", "bar"),
        ("cd ~/", "usr"),
        ("\u00bf", "Qui\u00e9n"),
        ("It costs \u20b9", "50"),
        ("follow #", "tag"),
        ("self._", "name"),
        ("std::", "vector"),
        ("</", "div"),
        ("\u4e2d\u56fd\u7684\u9996\u90fd ABC", "\u5317\u4eac"),
        ("1990\u2013", "95"),
        ("He does", "n't"),
        ("it'", "s"),
        ("They want 50", "%"),
        ("He was the 21", "st"),
        ('He said "yes', '"'),
    ],
)
def test_what_follows_directly_is_put_there_without_a_space(prompt, answer):
    assert joined(prompt, answer, follows_directly(prompt, [answer], [prompt])) == prompt + answer


@pytest.mark.parametrize(
    ("prompt", "answer", "doubtful"),
    [
        ("The theatre showed the", "play", False),
        ("He said:", "yes", False),
        ("Answer:", "(A)", False),
        ("Q: who?\nA:", "he", False),
        ("It is over.", "He", False),
        ("He met Mr.", "Smith", False),
        ("2 + 2 =", "4", False),
        ("2 **", "3", False),
        ("7 -", "5", False),
        ("he said \u2014", "he", False),
        ('He said "yes"', "and", False),
        ("He said 'yes',", "and", False),
        ("50%", "of", False),
        ("from Paris.", "He", False),
        ("The **big**", "dog", False),
        ("The *big old*", "dog", False),
        ("The _big_", "dog", False),
        ("The C#", "code", True),
        ("It costs 50$", "today", True),
        ("The answer is ___", "yes", True),
        ("\u201eJa\u201c", "sagte", True),
        ("Example 12:", "30", True),
        ("1. one\n2.", "3", True),
        ("in 1990.", "2", True),
        ("turn to page 12:", "30", True),
        ("the temperature is -", "5", True),
        ("it happened at 5 p.m.", "he", True),
        ("Well, no.", "but", True),
        ("see (cf.", "cats", True),
        ("cd /", "usr", True),
        ("the boys' house was called '", "home", True),
        ("The Chinese for cat is", "\u732b", True),
    ],
)
def test_where_a_space_stands_and_whether_that_is_said(prompt, answer, doubtful):
    direct = follows_directly(prompt, [answer], [prompt])
    assert joined(prompt, answer, direct) == f"{prompt} {answer}"
    assert is_doubtful(prompt, [answer], [prompt]) is doubtful


WORDS = st.lists(st.from_regex(r"[A-Za-z]{2,8}", fullmatch=True), min_size=2, max_size=6)


@given(WORDS, st.sampled_from(["", ":", ",", ";", "?", "!"]), st.from_regex(r"[B-Zb-z][A-Za-z]{3,8}", fullmatch=True))
def test_ordinary_sentences_take_a_space_and_no_note(words, mark, answer):
    prompt = " ".join(words) + mark
    if mark == "" and any(f"{words[-1]}{answer}" in word for word in words):
        return
    assert joined(prompt, answer, follows_directly(prompt, [answer], [prompt])) == f"{prompt} {answer}"
    assert not is_doubtful(prompt, [answer], [prompt])
