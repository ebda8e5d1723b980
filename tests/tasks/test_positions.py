"""Which token a position names: what the user named, or an error."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_tokenizers import all_kinds, bpe
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.characters import cuts_a_word, written_alike
from subspace_illusion.tasks.positions import Prompt, token_of

ACUTE = "\u0301"
PIECES = [
    "he",
    "the",
    "The",
    "San",
    "Marino",
    "caf\u00e9",
    f"cafe{ACUTE}",
    "2",
    "22",
    "=",
    ".",
    "'s",
    "\u732b",
    "-",
    "\n",
]
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).flatmap(
    lambda pieces: st.lists(st.sampled_from(["", " "]), min_size=len(pieces), max_size=len(pieces)).map(
        lambda gaps: "".join(piece + gap for piece, gap in zip(pieces, gaps, strict=True))
    )
)


def prompt(text: str, tokenizer=None) -> Prompt:
    tokenizer = tokenizer or bpe()
    spans = partial(tokenizer.spans, text)
    return Prompt("base", text, 0, len(text), spans, len(tokenizer.encode(text)))


def read(text: str, place: object, tokenizer=None) -> str:
    """The text of the token that is read."""
    spans = prompt(text, tokenizer).spans()
    return text[slice(*spans[token_of(prompt(text, tokenizer), place)])]


def complaint(text: str, place: object) -> str:
    with pytest.raises(InputError) as error:
        token_of(prompt(text), place)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_number_that_is_a_word_elsewhere_is_no_index():
    assert "has '2' as a word, which is not its token 2: '2+4='; give '2[0]' for the word, or -2 for" in complaint(
        "2+4=", "2"
    )
    assert "has no token 1990: it has 9, numbered from 0; '1990[0]' is the word" in complaint("in 1990 we", "1990")
    assert read("2+4=", "2[0]") == "2"
    assert read("2+4=", 2) == read("2+4=", "-2") == "4"
    assert read("1+2=", "2") == "2"


@given(TEXTS, st.sampled_from([piece for piece in PIECES if not piece[0].isdigit()]), st.data())
@settings(max_examples=50)
def test_what_is_read_is_what_is_named_or_an_error(text, wanted, data):
    """With every tokenizer: the token ends where the only place ends that has the text as whole words."""
    tokenizer = data.draw(st.sampled_from(all_kinds()))
    here = prompt(text, tokenizer)
    forms = {wanted, written_alike(wanted)} | ({"cafe\u0301"} if wanted == "caf\u00e9" else set())
    places = [
        (start, start + len(form))
        for form in forms
        for start in range(len(text))
        if text.startswith(form, start) and not (cuts_a_word(text, start) or cuts_a_word(text, start + len(form)))
    ]
    try:
        first, beyond = here.spans()[token_of(here, wanted)]
    except InputError:
        return
    own = [(start, end) for start, end in places if first < end and beyond > start]
    assert own
    start, end = own[0]
    assert not (text[first:start] + text[end:beyond]).strip()  # nothing but what is named
    assert not text[beyond:end].strip()  # and its end
    exact = [place for place in places if text[slice(*place)] == text[start:end]]
    assert len(exact) == 1


@pytest.mark.parametrize(
    ("text", "place", "token"),
    [
        ("the man said he left", "he", " he"),
        ("The he The he is", "he[0]", " he"),
        ("caf\u00e9 is", "cafe\u0301", "\u00e9"),
        ("cafe\u0301 is", "caf\u00e9", "\u0301"),
        ("\u9ed2\u732b\u304c", "\u732b", "\u732b"),
        ("The capital of Spain is", "after:Spain", " is"),
        ("The capital of Spain is", "before:Spain", " of"),
        ("is Spain is Paris", "after:is[-1]", " Paris"),
        ("x[0] is", "x[0]", "]"),
        ("after:is it", "after:is", "is"),
        (" Paris ", "Paris ", " Paris"),
    ],
)
def test_texts(text, place, token):
    found = read(text, place)
    assert found
    assert token.endswith(found)  # a token may be a piece of a word


def test_several_places_are_told_apart():
    text = "is Spain is Spain"
    assert token_of(prompt(text), "is[0]") < token_of(prompt(text), "is[1]") == token_of(prompt(text), "is[-1]")


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("the man", "he", "the base has 'he' inside other words alone ('the'): 'the man'; give whole words"),
        ("cafe\u0301", "cafe", "inside other words alone"),
        ("The man", "2.0", "for its position (the index of a token is a whole number, 2): 'The man'"),
        ("The man", "the", "the base has no 'the' to take for its position (what it has is 'The'): 'The man'; give a"),
        ("it\u2019s", "it's", "what it has is 'it\u2019s'"),
        ("The man", "zebra", "the base has no 'zebra' to take for its position: 'The man'; give a text that it has"),
        ("he, he", "he", "'he' 2 times, and a position is one place: 'he, he'; give a longer text, 'he[0]' for"),
        ("he, he", "he[2]", "the base has no 'he[2]': it has 'he' 2 times, numbered from 0"),
        ("he is", "after:is", "the base has no token after 'is'"),
        ("he is", "before:he", "the base has no token before 'he'"),
    ],
)  # fmt: skip
def test_what_is_not_clear_is_refused(text, place, said):
    assert said in complaint(text, place)


def test_a_token_that_holds_more_than_what_is_named_is_refused():
    here = Prompt("base", "a: b.c", 0, 6, lambda: [(0, 2), (2, 6)], 2)
    with pytest.raises(InputError, match="the base has 'b' in a token that holds more, ' b.c'.* or its index, 1"):
        token_of(here, "b")
    assert token_of(here, "b.c") == 1


def test_only_the_users_own_words_are_named():
    whole = "he says: he is"
    here = Prompt("base", whole, 9, len(whole), partial(bpe().spans, whole), len(bpe().encode(whole)))
    assert token_of(here, "he") == len(bpe().encode("he says: he")) - 1
