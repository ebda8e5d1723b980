from pathlib import Path

import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.facts import FACT_COLUMNS, make_facts, read_facts
from subspace_illusion.tasks.table import DIFFERENT, SAME, SPLITS

FOLDER = Path(__file__).parents[2] / "data" / "facts"
FACTS, TEMPLATES = read_facts(FOLDER)
FEW = pd.DataFrame([("capital", f"Land{i}", f"Town{i}") for i in range(20)], columns=[*FACT_COLUMNS])
SENTENCES = {"train": ["In {subject} it is", "It is in {subject}:"], "test": ["Of {subject}", "By {subject}"]}


def table(facts=FACTS, templates=TEMPLATES, seed: int = 0, share: float = 0.4, **couples):
    return make_facts(facts, templates, {"train": 20, "test": 12} | couples, share, seed)


def test_our_facts_are_as_many_as_promised():
    assert FACTS["subject"].nunique() >= 100
    assert set(FACTS["relation"]) == set(TEMPLATES) == {"capital", "language"}
    assert not any(fact.answer in fact.subject for fact in FACTS.itertuples())
    assert all(len(listed[split]) >= 3 for listed in TEMPLATES.values() for split in SPLITS)


def test_a_couple_is_swapped_with_every_sentence_and_each_subject_has_another_sentence():
    rows = table()
    answers = FACTS.set_index(["relation", "subject"])["answer"]
    assert rows.groupby("split")["group"].nunique().to_dict() == {"train": 20, "test": 12}
    for _, couple in rows.groupby("group"):
        relation, split = couple["relation"].iloc[0], couple["split"].iloc[0]
        sentences = TEMPLATES[relation][split]
        assert len(couple) == 4 * len(sentences)
        for _, of_sentence in couple.groupby("template"):
            swaps = of_sentence[of_sentence["kind"] == DIFFERENT]
            assert set(zip(swaps["base"], swaps["source"], strict=True)) == set(
                zip(swaps["source"], swaps["base"], strict=True)
            )
            assert swaps["subject"].nunique() == len(swaps) == 2
        assert set(couple["base"]) == {s.format(subject=name) for s in sentences for name in couple["subject"]}
        assert (couple["base_answer"] == [answers[relation, subject] for subject in couple["subject"]]).all()
        assert (couple["source_answer"] == [answers[relation, subject] for subject in couple["source_subject"]]).all()


def test_what_kinds_of_pair_are():
    rows = table()
    swaps, same = (rows[rows["kind"] == kind] for kind in (DIFFERENT, SAME))
    assert (swaps["foil"] == swaps["source_answer"]).all()
    assert (swaps["value"] != swaps["source_value"]).all()
    assert (same["value"] == same["source_value"]).all()
    assert (same["subject"] == same["source_subject"]).all()
    assert (same["base"] != same["source"]).all()
    assert (same["foil"] != same["base_answer"]).all()
    partners = swaps.groupby(["group", "subject"])["source_answer"].first()
    assert (same["foil"] == [partners[row.group, row.subject] for row in same.itertuples()]).all()


def test_positions_are_subjects_and_stand_once():
    rows = table()
    for prompt, position in (("base", "position"), ("source", "source_position")):
        assert all(text.count(span) == 1 for text, span in zip(rows[prompt], rows[position], strict=True))
    assert (rows["position"] == rows["subject"]).all()


def test_train_and_test_share_no_subject_and_no_sentence():
    rows = table()
    train, test = (rows[rows["split"] == split] for split in SPLITS)
    assert not set(train["subject"]) & set(test["subject"])
    assert not set(train["base"]) & set(test["base"])
    assert rows.groupby("group")["subject"].nunique().eq(2).all()
    couples = rows.groupby(["relation", "subject"])["group"].nunique()
    assert couples.eq(1).all()
    numbers = rows.groupby(["split", "template"])["relation"].nunique()
    assert numbers.eq(1).all()
    assert set(train["template"]) == set(range(sum(len(listed["train"]) for listed in TEMPLATES.values())))


def test_relations_take_turns_until_one_has_no_more():
    groups = table(train=15).groupby("group")["relation"].first()
    assert groups[[f"train-{i}" for i in range(15)]].tolist() == (["capital", "language"] * 8)[:15]
    rows = table(train=60)
    assert rows[rows["split"] == "train"].groupby("relation")["group"].nunique()["capital"] > 30


def test_a_couple_has_two_answers_as_long_as_there_are_some():
    facts = FEW.assign(answer=["Same"] * 12 + [f"Town{i}" for i in range(8)])
    rows = make_facts(facts, {"capital": SENTENCES}, {"train": 8, "test": 0}, 0.0, 0)
    assert (rows["base_answer"] != rows["foil"]).all()
    with pytest.raises(InputError, match=r"^9 train couples of facts are asked for, but the facts give 8;"):
        make_facts(facts, {"capital": SENTENCES}, {"train": 9, "test": 0}, 0.0, 0)


def test_the_seed_decides_everything():
    assert table(seed=3).equals(table(seed=3))
    assert not table(seed=3).equals(table(seed=4))


@pytest.mark.parametrize(
    ("facts", "change", "message"),
    [
        (FEW.assign(answer=""), {}, "has an empty word"),
        (FEW.assign(answer=" Town"), {}, "begins or ends in a space"),
        (FEW.assign(relation="anthem"), {}, "the relation 'anthem' has no templates"),
        (FEW.assign(subject="Land"), {}, "the capital of 'Land' is there twice"),
        (FEW, {"train": ["In {subject}"]}, "two train templates or more"),
        (FEW, {"train": ["In {subject}", "In {subject}"]}, "all different"),
        (FEW, {"train": SENTENCES["test"]}, "stands in both splits"),
        (FEW, {"train": ["In {subject} {subject}", "In {subject}"]}, "must stand in it, once"),
        (FEW, {"train": ["In {subject} {place}", "In {subject}"]}, "no other slot"),
        (FEW, {"train": ["In {subject} ", "In {subject}"]}, "must not end in a space"),
        (FEW, {"train": ["In Land1 {subject}", "In {subject}"]}, "the subject 'Land1' would come twice"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(facts, change, message):
    with pytest.raises(InputError, match=message) as error:
        make_facts(facts, {"capital": SENTENCES | change}, {"train": 2, "test": 2}, 0.4, 0)
    assert "\n" not in str(error.value)


def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"facts\.csv cannot be read"):
        read_facts(tmp_path)
    (tmp_path / "facts.csv").write_text("relation,subject\n")
    with pytest.raises(InputError, match="must have the columns relation, subject, answer"):
        read_facts(tmp_path)
    (tmp_path / "facts.csv").write_text("relation,subject,answer\ncode,Namibia,NA\n")
    (tmp_path / "templates.yaml").write_text("- a sentence\n")
    with pytest.raises(InputError, match="must hold, for each relation"):
        read_facts(tmp_path)
    (tmp_path / "templates.yaml").write_text("code: {train: [a]}\n")
    with pytest.raises(InputError, match=r"templates\.yaml: code must hold two lists of sentences"):
        read_facts(tmp_path)
    (tmp_path / "templates.yaml").write_text("code: {train: [a], test: [b]}\n")
    assert read_facts(tmp_path)[0]["answer"].tolist() == ["NA"]
