import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.pronoun import Words, make_pronoun, read_pronoun
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

FOLDER = Path(__file__).parents[2] / "data/pronoun"
WORDS = read_pronoun(FOLDER)
SENTENCE = "Here {name} {event} as"
PRONOUN_OF = {name: pronoun for pronoun, names in WORDS.names.items() for name in names}


def table(words: Words = WORDS, seed: int = 0, share: float = 0.4, word_id=len, **cases):
    return make_pronoun(words, {"train": 40, "test": 24} | cases, share, seed, word_id)


def test_our_names_are_those_of_ioi_and_enough():
    ioi = (FOLDER.parent / "ioi/names.txt").read_text().split()
    assert {*PRONOUN_OF} <= {*ioi}
    assert [*WORDS.names] == ["she", "he"]
    assert min(map(len, WORDS.names.values())) >= 70
    assert len(WORDS.events) >= 30
    assert not any(re.search(r"\b(she|he|her|his|him)\b", text) for text in WORDS.events)


def test_a_case_is_both_pronouns_as_base_with_a_source_of_each_kind():
    for _, rows in table().groupby("group"):
        assert sorted(zip(rows["kind"], rows["value"], rows["source_value"], strict=True)) == [
            (DIFFERENT, "he", "she"),
            (DIFFERENT, "she", "he"),
            (SAME, "he", "he"),
            (SAME, "she", "she"),
        ]
        swaps = rows[rows["kind"] == DIFFERENT]
        assert set(swaps["base"]) == set(swaps["source"])
        assert len(set(swaps["base"])) == 2


def test_answers_are_the_pronouns_of_the_names():
    rows = table()
    assert (rows["position"].map(PRONOUN_OF) == rows["value"]).all()
    assert (rows["source_position"].map(PRONOUN_OF) == rows["source_value"]).all()
    assert (rows["base_answer"] == rows["value"]).all()
    assert (rows["source_answer"] == rows["source_value"]).all()
    assert {frozenset(pair) for pair in zip(rows["base_answer"], rows["foil"], strict=True)} == {
        frozenset(("she", "he"))
    }


def test_a_source_of_the_other_value_differs_in_the_name_alone_and_one_of_the_same_in_name_and_event():
    for row in table().itertuples():
        base, source = row.base.replace(row.position, "N"), row.source.replace(row.source_position, "N")
        assert row.position != row.source_position
        assert (base == source) == (row.kind == DIFFERENT)
        assert row.base.count(row.position) == row.source.count(row.source_position) == 1


def test_the_splits_share_no_name_event_or_template():
    used: dict[str, list[set[str]]] = {"names": [], "events": [], "sentences": []}
    rows = table(train=400, test=400)
    for split in SPLITS:
        own = rows[rows["split"] == split]
        names = {*own["position"], *own["source_position"]}
        used["names"].append(names)
        used["events"].append({event for event in WORDS.events for text in own["base"] if event in text})
        used["sentences"].append({text.split(name)[0] for text, name in zip(own["base"], own["position"], strict=True)})
    for train, test in used.values():
        assert train
        assert test
        assert not train & test


def test_the_seed_alone_decides():
    assert table(seed=1).equals(table(seed=1))
    assert not table(seed=1).equals(table(seed=2))


def test_names_of_several_tokens_are_left_out():
    rows = table(word_id=lambda word: None if word.startswith("A") else 1)
    assert not any(name.startswith("A") for name in (*rows["position"], *rows["source_position"]))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{name} {event} as", "each once and after a space"),
        ("Here {event} {name} as", "each once and after a space"),
        ("Here {name} {event} {name}", "each once and after a space"),
        ("Here {name} {event} {place}", "each once and after a space"),
        ("Here {name} {event} }", "each once and after a space"),
        (SENTENCE + " ", "must not end in a space"),
    ],
)
def test_a_template_that_will_not_do_is_one_line(template, message):
    with pytest.raises(InputError, match=message):
        table(replace(WORDS, templates=dict(train=[template], test=[SENTENCE])))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (dict(templates=dict(train=[SENTENCE], test=[])), "there are no test templates"),
        (dict(templates=dict(train=[SENTENCE], test=[SENTENCE])), "stands in both splits"),
        (dict(names=dict(she=["Ann", "Eva"], he=["Ann", "Tom"])), "the name 'Ann' has both pronouns"),
        (dict(names=dict(she=["Ann"] * 9, he=[*WORDS.names["he"]])), "too few names of 'she' of one token .*: 0 for"),
        (dict(events=["left"]), "too few events: 0 for the test split, 2 needed"),
        (dict(events=[*WORDS.events, "met Annapolis"]), "the name 'Ann' stands in 'met Annapolis'"),
    ],
)
def test_words_that_will_not_do_are_one_line(changed, message):
    with pytest.raises(InputError, match=message):
        table(replace(WORDS, **changed))


def test_a_pronoun_of_several_tokens_is_refused():
    with pytest.raises(InputError, match="the pronoun 'he' is not one token"):
        table(word_id=lambda word: None if word == "he" else 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(names={}), "must hold names and events and nothing else"),
        (dict(names=dict(she=["Ann"]), events=["left"]), "names must be two lists"),
        (dict(names=dict(she=["Ann"], he="Tom"), events=["left"]), "names of 'he' must be a list of words"),
        (dict(names=dict(she=["Ann"], he=["Tom"]), events=[True]), "events must be a list of words"),
    ],
)
def test_a_file_of_something_else_is_one_line(tmp_path, words, message):
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(words))
    with pytest.raises(InputError, match=message):
        read_pronoun(tmp_path)
