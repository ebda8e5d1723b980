import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.statements import MadePairs, pairs_of_statements

WORDS = {"1": "true", "0": "false"}
CITIES = [
    dict(statement=f"{city} is in {country}.", label=label, city=city, country=country)
    for city, country, label in (
        ("Lyon", "France", 1),
        ("Lyon", "Norway", 0),
        ("Oslo", "Norway", 1),
        ("Bonn", "Peru", 0),
    )
]


def made(rows, match=("city",), answers=WORDS, ask="", **columns) -> MadePairs:
    return pairs_of_statements(rows, Naming("the file", columns), list(match), answers, ask)


def test_rows_that_are_alike_and_have_different_labels_are_pairs():
    found = made(CITIES, ask=" True?")
    assert found.table.to_dict("records") == [
        dict(
            base=f"Lyon is in {own}. True?",
            source=f"Lyon is in {other}. True?",
            base_answer=WORDS[label],
            source_answer=WORDS[source],
            value=label,
            source_value=source,
            group="Lyon",
        )
        for own, other, label, source in (("France", "Norway", "1", "0"), ("Norway", "France", "0", "1"))
    ]
    assert (found.alone, found.differ) == (2, ["country"])


def test_answers_may_stand_in_a_column_and_columns_may_be_named():
    rows = [
        dict(what=row["statement"], city=row["city"], is_so=row["label"], says=f" {row['label']}") for row in CITIES
    ]
    found = made(rows, answers={}, text="what", label="is_so", answer="says")
    assert found.table["base_answer"].tolist() == [" 1", " 0"]
    with pytest.raises(InputError, match="no column that is called like a text"):
        made(rows)


@given(st.lists(st.tuples(st.sampled_from("xy"), st.sampled_from("012")), min_size=1, max_size=12))
@settings(max_examples=12)
def test_every_row_with_a_partner_is_the_base_once(drawn):
    rows = [dict(text=str(number), label=label, kind=kind) for number, (kind, label) in enumerate(drawn)]
    answers = {label: f"a{label}" for label in "012"}
    partnered = [r for r in rows if any(o["kind"] == r["kind"] and o["label"] != r["label"] for o in rows)]
    if not partnered:
        with pytest.raises(InputError, match="no two rows of the file are alike in kind"):
            made(rows, ["kind"], answers)
        return
    found = made(rows, ["kind"], answers)
    assert sorted(found.table["base"]) == sorted(row["text"] for row in partnered)
    assert found.alone == len(rows) - len(partnered)
    pairs = found.table
    kinds = {row["text"]: row["kind"] for row in rows}
    assert (pairs["value"] != pairs["source_value"]).all()
    assert (pairs["base"].map(kinds) == pairs["source"].map(kinds)).all()
    assert pairs["source_answer"].tolist() == pd.Series(pairs["source_value"]).map(answers).tolist()


def test_what_is_lacking_is_one_line():
    with pytest.raises(InputError, match="has no column 'town'; found are text, label, city, country"):
        made(CITIES, ["town"])
    with pytest.raises(InputError, match=r"with the label '0'\? Say it in answers \(1=...,0=...\)"):
        made(CITIES, answers={"1": "true"})


@pytest.mark.parametrize("text", [None, float("nan"), ["a", "b"], " "])
def test_a_text_that_is_none_is_told_with_its_row(text):
    rows = [dict(statement="x", label=1, city="a"), dict(statement=text, label=0, city="a")]
    with pytest.raises(InputError, match="mine, row 2: the text is .*; give words, or remove the row"):
        pairs_of_statements(rows, Naming("mine"), ["city"], {"0": "no", "1": "yes"})
