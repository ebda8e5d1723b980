import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.agreement import Forms, Lexicon, make_agreement, read_lexicon
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

FOLDER = Path(__file__).parents[2] / "data" / "agreement"
LEXICON = read_lexicon(FOLDER)
SENTENCE = "Here the {subject} {preposition} the {distractor}"


def table(lexicon: Lexicon = LEXICON, seed: int = 0, share: float = 0.4, word_id=len, **cases):
    return make_agreement(lexicon, {"train": 48, "test": 24} | cases, share, seed, word_id)


def words_in(rows) -> set[str]:
    return set(re.findall(r"\w+", " ".join([*rows["base"], *rows["source"]])))


def test_our_lists_are_as_long_as_promised():
    assert len(LEXICON.subjects) >= 60
    assert len(LEXICON.distractors) >= 60
    assert len(LEXICON.templates["train"]) == 8
    assert len(LEXICON.templates["test"]) == 4


def test_a_case_is_both_numbers_as_base_with_a_source_of_each_kind():
    for _, rows in table().groupby("group"):
        assert sorted(zip(rows["kind"], rows["value"], rows["source_value"], strict=True)) == [
            (DIFFERENT, "plural", "singular"),
            (DIFFERENT, "singular", "plural"),
            (SAME, "plural", "plural"),
            (SAME, "singular", "singular"),
        ]
        assert rows["base"].nunique() == 2
        swaps = rows[rows["kind"] == DIFFERENT]
        assert set(swaps["base"]) == set(swaps["source"])


def test_answers_agree_with_the_subject():
    rows = table()
    of = {(answer.in_number(number), number) for answer in LEXICON.answers for number in ("singular", "plural")}
    assert set(zip(rows["base_answer"], rows["value"], strict=True)) == of
    assert set(zip(rows["source_answer"], rows["source_value"], strict=True)) == of
    assert (rows["foil"] != rows["base_answer"]).all()
    different = rows["kind"] == DIFFERENT
    assert (rows["foil"] == rows["source_answer"])[different].all()
    assert (rows["base_answer"] == rows["source_answer"])[~different].all()


def test_positions_are_subjects_and_stand_once():
    rows = table()
    for prompt, position, value in (("base", "position", "value"), ("source", "source_position", "source_value")):
        for row in rows[[prompt, position, value]].itertuples(index=False):
            text, span, number = row
            assert text.count(span) == 1
            assert span in {subject.in_number(number) for subject in LEXICON.subjects}


def test_the_distractor_stays_and_half_are_plural():
    rows = table()
    plural = {word.plural for word in LEXICON.distractors}
    swaps = rows[rows["kind"] == DIFFERENT]
    for row in swaps.itertuples():
        assert row.base.replace(row.position, "") == row.source.replace(row.source_position, "")
        assert bool(words_in(rows.loc[[row.Index]]) & plural) == (row.distractor_value == "plural")
    for _, of_split in swaps.groupby("split"):
        assert (of_split["distractor_value"] == "plural").mean() == 0.5


def test_same_value_sources_have_other_nouns():
    rows = table()
    same = rows[rows["kind"] == SAME]
    nouns = {form for noun in (*LEXICON.subjects, *LEXICON.distractors) for form in noun}
    for row in same.itertuples():
        assert not set(row.base.split()) & set(row.source.split()) & nouns


def test_train_and_test_share_no_words_of_the_lists_and_no_template():
    rows = table(train=160, test=160)
    train, test = (words_in(rows[rows["split"] == split]) for split in SPLITS)
    for listed in (LEXICON.subjects, LEXICON.distractors, LEXICON.verbs):
        assert not train & test & {form for word in listed for form in word}
    prepositions = {split: set() for split in SPLITS}
    for row in rows[rows["kind"] == DIFFERENT].itertuples():
        found = re.search(f"{row.position} ({'|'.join(map(re.escape, LEXICON.prepositions))}) the ", row.base)
        prepositions[row.split] |= {found[1]} if found else set()
    assert len(prepositions["train"]) >= 5
    assert len(prepositions["test"]) >= 4
    assert not prepositions["train"] & prepositions["test"]
    assert not set(LEXICON.templates["train"]) & set(LEXICON.templates["test"])
    assert set(rows[rows["split"] == "train"]["template"]) == set(range(8))


def test_the_seed_decides_everything():
    assert table(seed=3).equals(table(seed=3))
    assert not table(seed=3).equals(table(seed=4))


def test_nouns_of_which_a_form_is_not_one_token_are_left_out():
    rows = table(word_id=lambda word: None if word == "keys" else 1, train=400)
    assert not words_in(rows) & {"key", "keys"}
    with pytest.raises(InputError, match=r"^too few subjects of one token for this tokenizer: 0 for the test split, 2"):
        table(word_id=lambda word: 1 if word in ("is", "are", "was", "were", "has", "have") else None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"templates": {"train": [SENTENCE], "test": []}}, "no test templates"),
        ({"templates": {"train": [SENTENCE], "test": [SENTENCE]}}, "stands in both splits"),
        ({"templates": {"train": ["The {subject} of {place}"], "test": [SENTENCE]}}, r"no slot \{place\}"),
        ({"templates": {"train": ["The {subject} of {"], "test": [SENTENCE]}}, r"no slot \{\}"),
        ({"templates": {"train": ["The {distractor} of {subject}"], "test": [SENTENCE]}}, r"\{subject\} and then"),
        ({"templates": {"train": ["The {subject}"], "test": [SENTENCE]}}, r"\{subject\} and then"),
        ({"templates": {"train": ["{subject} of {distractor}"], "test": [SENTENCE]}}, "must each follow a space"),
        ({"templates": {"train": [SENTENCE + " "], "test": [SENTENCE]}}, "must not end in a space"),
        ({"distractors": [*LEXICON.distractors, LEXICON.subjects[0]]}, "is both subject and distractor"),
        ({"subjects": [*LEXICON.subjects, Forms("car", "cars")], "prepositions": ["by car of"] * 9}, "prepositions"),
        ({"subjects": [*LEXICON.subjects, Forms("he", "hes")]}, "the subject 'he' stands in"),
        ({"answers": []}, "no answers"),
        ({"verbs": LEXICON.verbs[:1]}, "too few verbs: 0 for the test split, 1 needed"),
    ],
)
def test_what_is_wrong_with_a_lexicon_is_said_in_one_line(change, message):
    with pytest.raises(InputError, match=message) as error:
        table(replace(LEXICON, **change))
    assert "\n" not in str(error.value)


def test_an_answer_must_be_one_token():
    with pytest.raises(InputError, match="the answer 'were' is not one token"):
        table(word_id=lambda word: None if word == "were" else 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words: words.pop("verbs"), "must hold the lists"),
        (lambda words: words.update(prepositions=[True]), "prepositions must be a list of words"),
        (lambda words: words.update(answers=["is", "are"]), "answers must be words, one a line"),
        (lambda words: words.update(subjects={"key": None}), "subjects must be words, one a line"),
    ],
)
def test_what_is_wrong_with_a_file_of_words_is_said_in_one_line(tmp_path, change, message):
    words = yaml.safe_load((FOLDER / "words.yaml").read_text())
    change(words)
    (tmp_path / "words.yaml").write_text(yaml.safe_dump(words))
    (tmp_path / "templates.yaml").write_text((FOLDER / "templates.yaml").read_text())
    with pytest.raises(InputError, match=message) as error:
        read_lexicon(tmp_path)
    assert "\n" not in str(error.value)
