"""Tables as other tools write them, and what is said of them."""

import json

import numpy as np
import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.naming import Naming
from subspace_illusion.tasks.pairs_file import pairs_of
from subspace_illusion.tasks.rows import read_rows
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
        ("clean_prompt corrupted_prompt correct_answer incorrect_answer", "EAP-IG"),
        ("Clean Corrupted Clean-Answer Corrupted-Answer", "EAP-IG"),
        ("prompt corrupted_prompt target corrupted_target", "EAP-IG"),
        ("cleanPrompt corruptedPrompt cleanAnswer corruptedAnswer", "EAP-IG"),
        ("base_prompt source_prompt base_label source_label", "prompts by side"),
        ("original counterfactual original_answer counterfactual_answer", "prompts by side"),
        ("base src base_label src_label", "causalgym"),
        ("input source_input label source_label", "RAVEL"),
        ("input counterfactual_inputs base_answer cf_answer", "causalab"),
    ],
)
def test_a_tools_table_is_told_by_its_columns_and_the_tool_is_named_first(names, tool):
    table, notes = read(called(names, case="agreement"))
    assert table[OURS].to_dict("records") == [BOTH]
    assert "case" in table
    assert next(note for note in notes if "small letters" not in note).startswith(
        f"the table is read as a table of {tool}"
    )


def test_names_are_taken_in_small_letters_and_that_is_said():
    row = dict(zip(("Base", "Source", "base answer", "Source-Answer"), BOTH.values(), strict=True))
    table, notes = read(row | dict(Position="key", Note="x"))
    assert table[[*OURS, "position"]].to_dict("records") == [BOTH | dict(position="key")]
    assert notes == [
        "the table: columns are taken by their names in small letters: 'Base' for 'base', 'Source' for 'source', "
        "'base answer' for 'base_answer', 'Source-Answer' for 'source_answer', 'Position' for 'position'"
    ]
    table, notes = read(BOTH | dict(Base="another"))
    assert notes == []
    assert table["Base"].tolist() == ["another"]


@pytest.mark.parametrize("name", ["pos", "token_position", "subject_position", "base_position_idx"])
def test_a_column_that_may_be_the_position_is_not_passed_over_in_silence(name):
    _, notes = read(BOTH | {name: 1})
    assert notes == [
        f"its '{name}' is carried along and not read; if it says where to read, name it in columns (position={name})"
    ]
    assert read(BOTH | {name: 1, "position": "key"})[1] == []


@pytest.mark.parametrize("sides", [("base", "source"), ("clean", "corrupted"), ("original", "counterfactual")])
@pytest.mark.parametrize("write", [lambda said: said, json.dumps, str])
def test_what_is_said_of_a_side_may_be_a_mapping(sides, write):
    said = [dict(prompt=BOTH[side], answer=BOTH[f"{side}_answer"]) for side in ("base", "source")]
    table, notes = read(dict(zip(sides, map(write, said), strict=True)))
    assert table[OURS].to_dict("records") == [BOTH]
    assert f"its '{sides[0]}' is a mapping, and is taken apart into {sides[0]}_prompt, {sides[0]}_answer" in notes


@pytest.mark.parametrize("write", [float, lambda number: f"{number}.0", lambda number: f"[{number}]"])
def test_ids_that_pandas_made_fractions_are_ids(write):
    table, _ = read(dict(clean="a", corrupted="b", correct_idx=write(673), incorrect_idx=write(339)))
    assert table[[IDS["base_answer"], IDS["source_answer"]]].to_numpy().tolist() == [[673, 339]]


def test_several_columns_that_may_be_the_answers_are_asked_about():
    row = dict(clean="a", corrupted="b", city_idx=1, corrupted_city_idx=2, land_idx=3, corrupted_land_idx=4)
    assert complaint(row) == (
        "the table has several columns that may be the answers, 'city_idx' or 'land_idx'; say which in columns "
        "(base_answer=city_idx,source_answer=corrupted_city_idx)"
    )
    columns = dict(base_answer="land_idx", source_answer="corrupted_land_idx")
    table, _ = read(row, columns=columns)
    assert table[IDS["base_answer"]].tolist() == [3]


def test_prompts_with_one_answer_and_facts_to_edit_are_no_pairs():
    said = complaint(dict(subject="Lyon", relation="in", prompt="Lyon is in", attribute="France"))
    assert said.startswith(
        "the table holds prompts with one answer each ('prompt', 'attribute'), and no counterfactual"
    )
    assert "--match COLUMN --columns text=prompt,label=attribute,answer=attribute" in said
    fact = dict(prompt="{} is in", subject="Lyon", target_new=dict(str="Norway"), target_true=dict(str="France"))
    said = complaint(dict(case_id=0, requested_rewrite=fact))
    assert "one prompt ('requested_rewrite.prompt') with two answers ('requested_rewrite.target_true', " in said


@pytest.mark.parametrize(
    "write", [lambda messages: messages, str, json.dumps, lambda messages: json.dumps(messages[0])]
)
def test_messages_of_a_chat_are_no_prompt(write):
    said = complaint(BOTH | dict(base=write([dict(role="user", content="The key")])))
    assert "messages of a chat; give what the user says as text, which chat (--chat) puts into" in said


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


def test_what_a_mapping_holds_is_named_with_a_dot():
    row = dict(a=dict(text="The man said"), b=dict(text="The men said"), x=dict(to=" is"), y=" are")
    assert "found are a, b, x, y, a.text, b.text, x.to; if it is called otherwise there" in complaint(row)
    named = dict(base="a.text", source="b.text", base_answer="x.to", source_answer="y")
    table, _ = read(row, columns=named)
    assert table.iloc[0][["base", "source", "base_answer", "source_answer"]].tolist() == [
        *("The man said", "The men said", " is", " are")
    ]
    assert "has no column 'a.words', which is to be its 'base'" in complaint(row, columns=named | dict(base="a.words"))


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
    columns = [IDS["base_answer"], IDS["source_answer"]]
    assert table[columns].to_dict("records") == [dict(zip(columns, ids, strict=True))]
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


REGIONS = dict(base=["The", " key"], src=["The", " keys"], base_label=" is", src_label=" are")
EXAMPLE, OTHER = dict(raw_input="The key", raw_output=" is"), dict(raw_input="The keys", raw_output=" are")
LABELS = dict(label=["A", "B"], text=[" is", " are"])
CHOICES = dict(prompt="The key", choices=LABELS, answerKey=0, abc_counterfactual=dict(EXAMPLE, choices=[" is", " are"]))


@pytest.mark.parametrize(
    ("row", "answers"),
    [
        (REGIONS, (" is", " are")),
        (dict(input=EXAMPLE, counterfactual_inputs=[OTHER]), (" is", " are")),
        (
            dict(input="The key", counterfactual_inputs=["The keys"], base_answer=" is", cf_answer=" are"),
            (" is", " are"),
        ),
        (CHOICES | dict(abc_counterfactual=dict(prompt="The keys", choices=LABELS, answerKey=1)), ("A", "B")),
    ],
)
@pytest.mark.parametrize("layout", ["rows", "tuples", "csv", "csv of arrays", "parquet", "frame of parquet"])
def test_a_tools_lists_are_read_however_they_are_laid_out(tmp_path, row, answers, layout):
    path = tmp_path / "table.parquet"
    pd.DataFrame([row]).to_parquet(path)
    frame = pd.read_parquet(path)
    if layout == "rows":
        rows = [row]
    elif layout == "tuples":
        rows = [{column: tuple(cell) if isinstance(cell, list) else cell for column, cell in row.items()}]
    elif layout == "parquet":
        rows = read_rows(path)
    elif layout == "frame of parquet":
        rows = frame.to_dict("records")
    else:
        path = tmp_path / "table.csv"
        (frame if layout == "csv of arrays" else pd.DataFrame([row])).to_csv(path, index=False)
        rows = read_rows(path)
    table, _ = read(*rows)
    assert table[OURS].to_numpy().tolist() == [["The key", "The keys", *answers]]


def test_prompts_and_answers_that_are_broken_lists_are_refused():
    assert "'base' is \"['The', ' key']\", a list or mapping written as text" in complaint(
        BOTH | dict(base="['The', ' key']")
    )
    assert "'base_answer' is \"['a' 'b' ... 'c']\", a list" in complaint(BOTH | dict(base_answer="['a' 'b' ... 'c']"))
    assert "'base_answer' is '[1, 2]', a list of numbers" in complaint(BOTH | dict(base_answer="[1, 2]"))
    assert read(BOTH | dict(base_answer=["[1, 2]"]))[0]["base_answer"].tolist() == ["[1, 2]"]


@pytest.mark.parametrize("write", [str, repr, lambda answers: str(np.array(answers)), lambda answers: tuple(answers)])
def test_answer_sets_of_any_layout(write):
    table, _ = read(BOTH | dict(base_answer=write([" is", " was"])))
    assert table["base_answer"].tolist() == [(" is", " was")]


@pytest.mark.parametrize("answers", [" are", [" are"], [" are", " were", " have"]])
def test_several_counterfactuals_need_an_answer_each(answers):
    row = dict(input="x", counterfactual_inputs=["y", "z"], base_answer="a", cf_answer=answers)
    assert "row 1 has 2 counterfactual inputs and for their answer " in complaint(row)
    row = row | dict(cf_answer=["b", "c"], label="b")
    assert "row 1 has 2 counterfactual inputs and for their label one text" in complaint(row)


def test_rows_of_a_tool_that_cannot_be_read_are_all_listed():
    rows = [MCQA | dict(counterfactual_inputs=[]), MCQA, MCQA | dict(input=3)]
    said = complaint(*rows)
    assert said.startswith(
        "the table: 2 of 3 rows are wrong: row 1 has no counterfactual input; remove it; row 3: no text"
    )
    ids = [
        dict(clean=text, corrupted=f"{text}s", correct_idx=cell, incorrect_idx=4)
        for text, cell in zip("abc", ["x", 3, None], strict=True)
    ]
    assert complaint(*ids).startswith("the table: 2 of 3 rows are wrong: row 1: 'correct_idx' is 'x', which is no id")
    labels = [dict(clean=one, corrupted=other, label=" is") for one, other in ("ab", "ba", "cq", "dr")]
    assert "row 3: the corrupted prompt is the clean one of no row" in complaint(*labels)


@pytest.mark.parametrize("write", [int, str])
def test_ids_under_the_names_that_the_user_gives(write):
    row = dict(first="The key", second="The keys", correct_idx=write(314), incorrect_idx=write(400), wrong_idx=write(7))
    columns = dict(base="first", source="second", base_answer="correct_idx", source_answer="incorrect_idx")
    table, notes = read(row, columns=columns)
    assert table[[IDS["base_answer"], IDS["source_answer"]]].to_numpy().tolist() == [[314, 400]]
    assert [note.partition(", ids of tokens")[0] for note in notes] == [
        "answers are its 'correct_idx' and 'incorrect_idx'"
    ]
    table, _ = read(row, columns=columns | dict(foil="wrong_idx"))
    assert table[IDS["foil"]].tolist() == [7]
    said = complaint(row, columns=columns | dict(source_answer="second"))
    assert "'base_answer' is given as ids of tokens and 'source_answer' as text" in said
    assert "'base_answer' is given as ids of tokens and 'foil' as text" in complaint(
        row, columns=columns | dict(foil="first")
    )


def test_numbers_of_rows_are_no_ids_of_tokens():
    rows = [
        dict(clean="The key", corrupted="The keys", clean_id=0, corrupted_id=1, label=" is"),
        dict(clean="The keys", corrupted="The key", clean_id=1, corrupted_id=0, label=" are"),
    ]
    table, _ = read(*rows)
    assert table[OURS].iloc[0].to_dict() == BOTH
    assert "has no column 'clean_answer'" in complaint({key: cell for key, cell in rows[0].items() if key != "label"})


def test_a_token_is_a_text_or_an_id():
    names = "clean corrupted correct_token incorrect_token"
    assert read(called(names))[0][OURS].to_dict("records") == [BOTH]
    table, _ = read(called(names) | dict(correct_token=3, incorrect_token=4))
    assert table[IDS["base_answer"]].tolist() == [3]
    assert "hold numbers, which may be ids of tokens or their texts" in complaint(
        called(names) | dict(correct_token="3", incorrect_token="4")
    )


def test_a_pair_that_few_repeat_is_a_slip():
    rows = [BOTH | dict(base=f"The key {number}") for number in range(4)]
    said = complaint(*rows, rows[1] | dict(base_answer=" was"))
    assert said == (
        "the table, row 5 is the same pair as row 2 (base 'The key 1'), with another answer; list both in one cell if "
        "both are right, or remove one"
    )
    table, _ = read(*rows, *(row | dict(base_answer=" was") for row in rows[:2]))
    assert table["base_answer"].tolist() == [(" is", " was"), (" is", " was"), " is", " is"]


def test_white_space_alone_is_told_apart():
    table, _ = read(BOTH | dict(base_answer="\n", source_answer="\n\n", value="a", source_value="b"))
    assert table["base_answer"].tolist() == ["\n"]
