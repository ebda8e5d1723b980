"""Tables as other tools write them, and what is said of them."""

import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.pairs_file import pairs_of
from subspace_illusion.tasks.token_ids import IDS

OURS = ["base", "source", "base_answer", "source_answer"]
BOTH = dict(base="The key", source="The keys", base_answer=" is", source_answer=" are")


def read(*rows: dict, **said) -> tuple[pd.DataFrame, list[str]]:
    """The table of some rows, and what is said of it."""
    notes: list[str] = []
    return pairs_of(rows, Naming("the table", say=notes.append, **said)), notes


def complaint(*rows: dict, **said) -> str:
    with pytest.raises(InputError) as error:
        read(*rows, **said)
    assert "\n" not in str(error.value)
    return str(error.value)


def called(names: str, **more) -> dict:
    """The pair under other names."""
    return dict(zip(names.split(), BOTH.values(), strict=True)) | more


@pytest.mark.parametrize(
    ("names", "tool"),
    [
        ("clean_prefix patch_prefix clean_answer patch_answer", "feature-circuits"),
        ("clean corrupted clean_answer corrupted_answer", "EAP-IG"),
        ("clean corrupted correct incorrect", "EAP-IG"),
        ("clean corrupted label corrupted_label", "EAP-IG"),
        ("clean_prompt corrupt_prompt answer wrong_answer", "EAP-IG"),
        ("base src base_label src_label", "causalgym"),
        ("input source_input label source_label", "RAVEL"),
        ("input counterfactual_inputs base_answer cf_answer", "causalab"),
    ],
)
def test_a_tools_table_is_told_by_its_columns_and_the_tool_is_named_first(names, tool):
    table, notes = read(called(names, case="agreement"))
    assert table[OURS].to_dict("records") == [BOTH]
    assert "case" in table
    assert notes[0].startswith(f"the table is read as a table of {tool}")


def test_our_own_columns_are_nobody_elses():
    table, notes = read(BOTH | dict(clean="x", corrupted="y", prompt="z"))
    assert table[OURS].to_dict("records") == [BOTH]
    assert notes == []


def test_any_table_is_read_by_the_names_that_the_user_gives():
    columns = dict(base="first", source="second", base_answer="a", source_answer="b", value="kind", group="b")
    table, notes = read(called("first second a b", kind="one", source_value="two"), columns=columns)
    assert table.to_dict("records") == [BOTH | dict(value="one", source_value="two", group="are")]
    assert notes == []
    swapped, _ = read(BOTH, columns=dict(base="source", source="base"))
    assert swapped[["base", "source"]].to_dict("records") == [dict(base="The keys", source="The key")]


def test_names_that_the_user_gives_come_before_a_tools():
    row = called("clean corrupted correct incorrect", other=" was")
    table, _ = read(row, columns=dict(source_answer="other"))
    assert table[OURS].to_dict("records") == [BOTH | dict(source_answer=" was")]
    table, _ = read(
        called("input counterfactual_inputs base_answer cf_answer", mine=" was"), columns=dict(base_answer="mine")
    )
    assert table[OURS].to_dict("records") == [BOTH | dict(base_answer=" was")]


def test_names_that_are_not_there():
    assert complaint(BOTH, columns=dict(base="clean")) == (
        "the table has no column 'clean', which is to be its 'base'; found are base, source, base_answer, source_answer"
    )
    assert complaint(BOTH, columns=dict(bse="base")).startswith("the table: 'bse', which is to be 'base', is none of")
    assert complaint(BOTH, counterfactual="abc").startswith("the table has no columns with kinds of counterfactual, ")


def test_several_answers_of_one_pair_of_prompts():
    names = "clean_prefix patch_prefix clean_answer patch_answer"
    other = called(names) | dict(clean_answer=" has", patch_answer=" have")
    table, notes = read(called(names), other)
    sets = BOTH | dict(base_answer=(" is", " has"), source_answer=(" are", " have"))
    assert table[OURS].to_dict("records") == [sets]
    assert notes[1:] == [
        "1 of 2 rows give a pair of an earlier row other answers: all of them are right (row 2 with row 1)"
    ]
    table, notes = read(called(names) | dict(clean_answer=[" is", " has"], patch_answer=[" are"]))
    assert table[OURS].to_dict("records") == [sets | dict(source_answer=" are")]
    assert notes[1:] == []
    assert "is the same pair as row 1" in complaint(called(names), other, called(names))
    assert "is the same pair as row 1" in complaint(
        BOTH | dict(split="train"), BOTH | dict(base_answer="was", split="test")
    )


def test_a_cell_of_text_that_is_a_list_is_read_as_one_and_that_is_said():
    table, notes = read(BOTH | dict(base_answer="[' is', \" was\"]", source_answer="[are"), BOTH | dict(base="A key"))
    assert table["base_answer"].tolist() == [(" is", " was"), " is"]
    assert table["source_answer"].tolist() == ["[are", " are"]
    assert notes == ["1 cells of 'base_answer' are lists, written as text: each answer that they list is right"]
    assert "'base_answer' is '[1]', of type list" in complaint(BOTH | dict(base_answer=[1]))
    said = complaint(BOTH | dict(base_answer=["is", "was"], source_answer=["are", "was "]))
    assert "the answer and its foil are both 'was" in said


@pytest.mark.parametrize(
    "names", ["correct_idx incorrect_idx", "clean_answer_idx corrupted_answer_idx", "country_idx corrupted_country_idx"]
)
@pytest.mark.parametrize(
    "write", [lambda number: number, str, lambda number: [number, number + 100], lambda number: f"[{number}]"]
)
def test_answers_as_ids_of_tokens(names, write):
    right, wrong = names.split()
    table, notes = read({"clean": "The key", "corrupted": "The keys", right: write(314), wrong: write(400)})
    several = write(1) == [1, 101]
    ids = ((314, 414), (400, 500)) if several else (314, 400)
    assert table[[*IDS.values()]].to_dict("records") == [dict(zip(IDS.values(), ids, strict=True))]
    assert notes[1].startswith(f"answers are its '{right}' and '{wrong}', ids of tokens")
    assert notes[2:] == []


@pytest.mark.parametrize("given", ["is", -1, 1.5, [], None, True, "[]"])
def test_what_is_no_id_of_a_token(given):
    row = dict(clean="a", corrupted="b", correct_idx=given, incorrect_idx=4)
    assert "row 1: 'correct_idx' is " in complaint(row)


def test_the_answers_of_clean_prompts_alone():
    rows = [
        dict(clean="The key", corrupted="The keys", label=" is"),
        dict(clean="The keys", corrupted="The key", label=" are"),
    ]
    table, notes = read(*rows)
    assert table[OURS].iloc[0].to_dict() == BOTH
    assert notes[-1] == "a corrupted prompt's answer is that of the row in which it is the clean one"
    said = complaint(rows[0])
    assert said.startswith(
        "the table has clean prompts and corrupted ones, as EAP-IG's tables do, and says what answers "
    )
    assert said.endswith("add a column, and name it in columns (source_answer=...)")
    said = complaint(dict(clean="a", corrupted="b", plural=1))
    assert said.startswith("the table has no column 'clean_answer' or 'correct_idx', which tables of EAP-IG have for")


MCQA = dict(id=0, input="x", counterfactual_inputs=["y"], base_answer=" A", cf_answer=" B", label=" B", split="all")


def test_causalabs_rows_of_texts():
    table, notes = read(MCQA, MCQA | dict(input="w", label=" A", cf_answer=" A"))
    assert table.loc[0, OURS].tolist() == ["x", "y", " A", " B"]
    assert table["foil"].dropna().tolist() == [" B"]
    assert table["value"].tolist() == ["A", "A"]
    assert table["source_value"].tolist() == ["B", "A"]
    assert "split" not in table
    assert notes[1:] == [
        "its 'label' is taken for the answer that the source's value calls for in the base",
        "every row's split is 'all', so the pairs are dealt to train and test",
    ]


def test_causalabs_lists_of_counterfactuals_with_an_answer_each():
    row = dict(input="x", counterfactual_inputs=["y", "z"], base_answer="a", cf_answers=["b", "c"])
    table, _ = read(row)
    assert table[OURS].to_numpy().tolist() == [["x", "y", "a", "b"], ["x", "z", "a", "c"]]
    examples = [dict(raw_input=text, raw_output=answer) for text, answer in (("x", "a"), ("y", "b"))]
    table, _ = read(dict(input=examples[0], counterfactual_inputs=examples[1:], label="c"))
    assert table[[*OURS, "foil"]].to_numpy().tolist() == [["x", "y", "a", "b", "c"]]


def test_a_split_that_divides_is_kept_and_one_of_our_own_table_is_checked():
    rows = [MCQA | dict(split="train"), MCQA | dict(input="w", split="test")]
    assert read(*rows)[0]["split"].tolist() == ["train", "test"]
    assert "the split is 'iid'" in complaint(rows[0], rows[1] | dict(split="iid"))
    assert "the split is 'all'" in complaint(BOTH | dict(split="all"))


@pytest.mark.parametrize(
    ("columns", "what", "texts"),
    [
        ("question answer_matching_behavior answer_not_matching_behavior", "contrast pairs", "'question'"),
        ("prompt chosen rejected", "contrast pairs", "'chosen', 'rejected'"),
        ("Type,Question,Correct Answers,Incorrect Answers", "contrast pairs", "'Correct Answers'"),
        ("question choices answer", "questions with choices", "'choices'"),
        ("statement label city", "statements with labels", "--match city"),
        ("claim is_true", "statements with labels", "--match COLUMN"),
        ("sentence_good sentence_bad", "pairs of texts", "without answers"),
        ("positive negative", "pairs of texts", "name"),
    ],
)
def test_what_holds_no_pairs_is_told_what_it_is_and_what_a_pair_would_be(columns, what, texts):
    said = complaint(dict.fromkeys(columns.split("," if "," in columns else " "), "x"))
    assert said.startswith(f"the table holds {what}")
    assert texts in said or what == "pairs of texts"
    assert "A pair is two prompts that differ in one thing" in said
