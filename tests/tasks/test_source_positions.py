"""Which token is read in a source: the one that is named for it, or the base's own position, or an error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made_tokenizers import CAPITALS, all_kinds, bpe
from subspace_illusion.auditing.given_pairs import given_pairs
from subspace_illusion.auditing.settings import Reading
from subspace_illusion.errors import InputError

COUNTRIES = list(CAPITALS)
PAIRS = list(zip(COUNTRIES[::2], COUNTRIES[1::2], strict=True))


def rows(sentence: str = "The capital of {} is", **more) -> list[dict]:
    return [
        dict(base=sentence.format(one), source=sentence.format(other), base_answer=CAPITALS[one],
             source_answer=CAPITALS[other]) | {column: say(one, other) for column, say in more.items()}
        for one, other in PAIRS
    ]  # fmt: skip


def read(listed: list[dict], tokenizer=None, **how):
    reading = Reading(**how)
    return given_pairs(listed, reading).read(tokenizer or bpe(), reading, 0.5)


def texts_read(found, tokenizer=None) -> list[tuple[str, str]]:
    """The token that is read in each pair's base and source."""
    tokenizer = tokenizer or bpe()
    prompts = found.prompts.set_index("prompt")
    tokens = [
        tokenizer.text([ids[place]]).strip() for ids, place in zip(prompts["tokens"], prompts["position"], strict=True)
    ]
    return [
        (tokens[base], tokens[source]) for base, source in zip(found.pairs["base"], found.pairs["source"], strict=True)
    ]


def complaint(listed: list[dict], **how) -> str:
    with pytest.raises(InputError) as error:
        read(listed, **how)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("how", ["setting", "column"])
def test_the_bases_word_is_read_in_the_source_too(how):
    if how == "setting":
        found, shown = read(rows(), position="capital")
    else:
        found, shown = read(rows(position=lambda one, other: "capital"))
    named = bpe().text(bpe().encode("The capital")[-1:]).strip()
    assert texts_read(found) == [(named, named)] * len(PAIRS)
    assert shown.first_row.source == [shown.first_row.base[shown.first_row.position]]


def test_a_word_that_the_source_lacks_asks_for_its_own_position():
    said = complaint(rows(position=lambda one, other: one))
    assert said.startswith(
        "the pairs: 3 of 3 rows are wrong: row 1: the source has no 'France' to take for its position: "
    )
    assert "; this is the base's position: give the source its source_position (likewise rows 2, 3)" in said
    assert "this is the base's" not in complaint(
        rows(position=lambda one, other: one, source_position=lambda one, other: one)
    )


def test_what_is_given_for_the_source_comes_first():
    for how in (dict(source_position="is"), dict(source_position="-1")):
        found, shown = read(rows(position=lambda one, other: one), **how)
        assert texts_read(found) == [(one, "is") for one, _ in PAIRS]
        assert "' is'" in str(shown.first_row)
        assert "of the source" in str(shown.first_row)


def test_a_position_in_sources_alone_is_refused():
    listed = rows(source_position=lambda one, other: other)
    assert "a position is given in the sources ('Spain') and none in the bases; give it in a column" in complaint(
        listed
    )
    found, shown = read([row | dict(position="last") for row in listed])
    assert texts_read(found) == [("is", other) for _, other in PAIRS]
    assert any("one of base and source is read at its last token" in note for note in shown.notes)


def test_swaps_are_read_where_the_other_way_is():
    there = read(rows(position=lambda one, other: one, source_position=lambda one, other: other), both_ways=True)[0]
    assert texts_read(there) == PAIRS + [(other, one) for one, other in PAIRS]


WORDS = ["The", "man", "he", "Mary", "San Marino", "caf\u00e9", "is", "22"]


@given(
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=5),
    st.lists(st.sampled_from(WORDS), min_size=2, max_size=5),
    st.sampled_from([*WORDS, "last", "-2", "1"]),
    st.data(),
)
@settings(max_examples=40)
def test_both_prompts_are_read_at_what_is_named_or_refused(base, source, place, data):
    """With every tokenizer: a word that both have is read in both, an index or the last token likewise."""
    tokenizer = data.draw(st.sampled_from(all_kinds()))
    listed = [
        dict(base=f"{' '.join(base)} {end}", source=f"{' '.join(source)} {end}", base_answer="yes", source_answer="no",
             value="a", source_value="b", group=group)
        for group, end in enumerate(("so", "now"))
    ]  # fmt: skip
    try:
        found, _ = read(listed, tokenizer, position=place)
    except InputError:
        return
    prompts = found.prompts.set_index("prompt")
    for side in ("base", "source"):
        row = prompts.loc[found.pairs[side][0]]
        if place == "last":
            assert row["position"] == row["end"]
        elif place in ("-2", "1"):
            assert row["position"] == int(place) % (len(row["tokens"]))
        else:
            assert row["text"].count(place) >= 1
            assert place.endswith(tokenizer.text([row["tokens"][row["position"]]]).strip()[-1:])
            assert tokenizer.text(row["tokens"][: row["position"] + 1]).rstrip().endswith(place)
