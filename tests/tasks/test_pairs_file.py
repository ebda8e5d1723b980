import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.pairs_file import read_pairs

PARIS = dict(
    base="The Louvre is in", source="The Prado is in", base_answer="Paris", source_answer="Madrid", position="Louvre"
)
ROME = dict(
    base="The Trevi is in", source="The Prado is in", base_answer="Rome", source_answer="Madrid", position="Trevi"
)
WRITERS = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".parquet": lambda table, path: table.to_parquet(path),
    ".jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    ".json": lambda table, path: table.to_json(path, orient="records"),
}


def lines(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_pairs(path)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path)).lstrip(", ")


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same_table(tmp_path, suffix):
    path = tmp_path / f"pairs{suffix}"
    WRITERS[suffix](pd.DataFrame([PARIS, ROME]), path)
    assert read_pairs(path).to_dict("records") == [PARIS, ROME]


def test_known_columns_come_first_others_are_kept_and_nested_ones_are_not(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", {"relation": "city", "year": 3, "words": ["a"], **PARIS})
    table = read_pairs(path)
    assert list(table.columns) == ["base", "source", "base_answer", "source_answer", "position", "relation", "year"]
    assert table["year"].tolist() == [3]


def test_labels_become_text_positions_stay_numbers_and_blank_foils_are_none(tmp_path):
    path = lines(
        tmp_path / "pairs.jsonl",
        PARIS | dict(position=-1, value=1, source_value=2, group=7, template=0, foil="Lyon"),
        ROME | dict(position=2, value=" a", source_value=True, group="x", template="t", foil=""),
    )
    table = read_pairs(path)
    assert table["position"].tolist() == [-1, 2]
    assert table["value"].tolist() == ["1", "a"]
    assert table["source_value"].tolist() == ["2", "True"]
    assert table["group"].tolist() == ["7", "x"]
    assert table["foil"][0] == "Lyon"
    assert pd.isna(table["foil"][1])


def test_csv_keeps_words_that_look_like_something_else_and_a_byte_order_mark_goes(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('base,source,base_answer,source_answer\n"A, b",NA,None,007\n', encoding="utf-8-sig")
    assert read_pairs(path).iloc[0].tolist() == ["A, b", "NA", "None", "007"]


def says_something(text: str) -> bool:
    return text.strip() not in ("", "nan", "NaN", "<NA>", "NaT")


@given(
    st.lists(st.tuples(*[st.text(st.characters(codec="utf-8")).filter(says_something)] * 2), min_size=1, unique=True)
)
@settings(max_examples=30)
def test_whatever_text_is_written_as_jsonl_is_read(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("any") / "pairs.jsonl"
    rows = [dict(base=b, source=s, base_answer="yes", source_answer="no") for b, s in texts]
    assert read_pairs(lines(path, *rows)).to_dict("records") == rows


def test_files_that_cannot_be_read(tmp_path):
    assert complaint(tmp_path / "none.csv") == "is not there; name a file with a table of pairs"
    assert complaint(tmp_path / "pairs.pkl").startswith("is none of .parquet, .csv, .tsv, .jsonl, .ndjson, .json;")
    latin = tmp_path / "latin.csv"
    latin.write_bytes("base,é".encode("latin-1"))
    assert complaint(latin) == "is not UTF-8 (byte 5); save it with that encoding"
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 and no more")
    assert complaint(torn).startswith("cannot be read as parquet: ")
    quote = tmp_path / "quote.csv"
    quote.write_text('base,source\n"a,b\n')
    assert complaint(quote).startswith("cannot be read as csv: ")


@pytest.mark.parametrize("text", ["", "\n\n", "base,source,base_answer,source_answer\n"])
def test_empty_csv(tmp_path, text):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    assert complaint(path) == "is empty; it needs one row for each pair"


@pytest.mark.parametrize("text", ["", " \n", "[]"])
def test_empty_json(tmp_path, text):
    path = tmp_path / "pairs.jsonl"
    path.write_text(text)
    assert complaint(path) == "is empty; it needs one row for each pair"


def test_broken_json_is_told_by_its_line(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", PARIS)
    path.write_text(path.read_text() + "\n{'base': 1}\n")
    assert complaint(path).startswith("line 3 is broken JSON (Expecting property name")
    path.write_text("[1]")
    assert complaint(path) == "row 1 is no object with the columns as its keys: '1'"
    path.write_text("[" * 100_000)
    assert "is broken JSON" in complaint(path)


def test_csv_with_unquoted_commas_or_a_column_twice(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("base,source,base_answer,source_answer\na,b,c,d\nWell, a,b,c,d\n")
    assert complaint(path) == "row 2 has 5 cells, but there are 4 columns; put texts that hold commas in double quotes"
    path.write_text("base,base\na,b\n")
    assert complaint(path) == "has the column 'base' twice; remove or rename one"


def test_missing_columns(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", dict(base="a", src="b", base_label="c"))
    assert complaint(path) == (
        "has no column 'src_label', which tables of causalgym have for the 'source_answer' of a pair; found are base, "
        "src, base_label; add it, or name another in columns (source_answer=...)"
    )
    lines(path, dict(base="a", answer="b"))
    assert complaint(path).startswith(
        "has no column 'source'; base, source, base_answer, source_answer are needed; found are base, answer; if it is "
        "called otherwise there, name it in columns (source=...). A pair is two prompts that differ in one thing, "
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(base=None), "row 2: 'base' is missing; fill it in"),
        (dict(source_answer=""), "row 2: 'source_answer' is missing; fill it in"),
        (dict(source="  "), "row 2: 'source' is '  ', which says that it is missing; fill it in"),
        (dict(source="<NA>"), "row 2: 'source' is '<NA>', which says that it is missing; fill it in"),
        (dict(source_answer="nan"), "row 2: 'source_answer' is 'nan', which says that it is missing; fill it in"),
        (dict(source_answer="None"), None),
        (dict(position=None), "row 2: 'position' is missing; fill it in, or leave the column out"),
        (dict(position=float("nan")), "row 2: 'position' is missing; fill it in, or leave the column out"),
        (dict(base_answer=3), "row 2: 'base_answer' is '3', of type int; it must be text, or a list of texts"),
        (dict(source=["a", "b"]), "row 2: 'source' is \"['a', 'b']\", of type list; it must be text"),
        (dict(position=1.5), "row 2: 'position' is '1.5', of type float; it must be a text or a whole number"),
        (dict(base_answer="Rome "), None),
        (dict(source_answer=" Rome"), "row 2: the answer and its foil are both ' Rome'; "),
    ],
)
def test_wrong_cells(tmp_path, change, message):
    path = lines(tmp_path / "pairs.jsonl", PARIS, ROME | change)
    if message is None:
        assert len(read_pairs(path)) == 2
    elif "foil" in message:
        # Equal answers alone are a pair of the same value; they are wrong where the values differ.
        assert len(read_pairs(path)) == 2
        lines(path, *(row | dict(value="a", source_value="b") for row in (PARIS, ROME | change)))
        assert complaint(path).startswith(message)
    else:
        assert complaint(path) == message


def test_a_given_foil_must_not_be_the_answer(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", PARIS | dict(foil="Lyon"), ROME | dict(foil="Rome"))
    assert complaint(path) == (
        "row 2: the answer and its foil are both 'Rome'; give the wrong answer that it is compared with in a column "
        "'foil'"
    )


def test_a_pair_that_stands_twice(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", PARIS, ROME, PARIS)
    assert complaint(path) == "row 3 is the same pair as row 1 (base 'The Louvre is in'); remove one of them"
    lines(path, PARIS, ROME, PARIS | dict(position="last"))
    assert len(read_pairs(path)) == 3


@pytest.mark.parametrize("split", ["validation", "val", "Dev"])
def test_a_split_between_train_and_test(tmp_path, split):
    path = lines(tmp_path / "pairs.jsonl", PARIS | dict(split="train"), ROME | dict(split=split))
    assert complaint(path) == (
        f"row 2: the split is '{split}', and only train and test are used; remove such rows, or call them train or test"
    )


def test_unknown_splits_and_kinds(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", PARIS | dict(split="one"))
    assert complaint(path) == "row 1: the split is 'one'; it must be train or test"
    lines(path, PARIS | dict(kind="opposite"))
    assert complaint(path).startswith("row 1: the kind is 'opposite'; it must be one of different value, ")


def test_a_group_in_both_splits(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", PARIS | dict(group="g", split="train"), ROME | dict(group="g", split="test"))
    assert complaint(path) == (
        "rows 1 and 2: the group 'g' is in both splits; put it in one, or leave out the column 'split'"
    )


def test_causalgym(tmp_path):
    row = dict(
        base=["<|endoftext|>", "The", " guard"],
        src="The guards",
        base_label=" is",
        src_label=" are",
        base_type="singular",
        src_type="plural",
        task="agr_sv_num_pp",
    )
    path = tmp_path / "train.json"
    path.write_text(json.dumps([row]))
    assert read_pairs(path).to_dict("records") == [
        dict(
            base="<|endoftext|>The guard",
            source="The guards",
            base_answer=" is",
            source_answer=" are",
            value="singular",
            source_value="plural",
            task="agr_sv_num_pp",
        )
    ]
    pd.DataFrame([row | dict(src=["The", " guards"])]).to_parquet(tmp_path / "train.parquet")
    assert read_pairs(tmp_path / "train.parquet")["source"].tolist() == ["The guards"]


RAVEL = dict(
    input="Paris is in the country of",
    label="France",
    source_input="People in Tokyo speak",
    source_label="Japanese",
    inv_label="Japan",
    split="%s is in the country of",
    source_split="People in %s speak",
    entity="Paris",
    source_entity="Tokyo",
)


def test_ravel(tmp_path):
    path = lines(tmp_path / "pairs.jsonl", RAVEL, RAVEL | dict(source_input="People in Nice speak", inv_label="France"))
    table = read_pairs(path)
    assert table.iloc[0].to_dict() == dict(
        base=RAVEL["input"],
        source=RAVEL["source_input"],
        base_answer="France",
        source_answer="Japanese",
        position="Paris",
        source_position="Tokyo",
        source_value="Japan",
        template="%s is in the country of",
        foil="Japan",
        source_split="People in %s speak",
    )
    assert pd.isna(table["foil"][1])


def test_ravel_with_a_split_of_the_usual_kind_and_no_other_label(tmp_path):
    row = {column: RAVEL[column] for column in ("input", "label", "source_input", "source_label")}
    table = read_pairs(lines(tmp_path / "pairs.jsonl", row | dict(split="test", position="last", entity="Paris")))
    assert table.iloc[0].to_dict() == dict(
        base=RAVEL["input"],
        source=RAVEL["source_input"],
        base_answer="France",
        source_answer="Japanese",
        position="last",
        split="test",
        entity="Paris",
    )


def mib(text: str, key: object, **more) -> dict:
    return dict(prompt=text, choices=["Ann", "Bob"], answerKey=key) | more


@pytest.mark.parametrize(
    ("example", "answer"),
    [
        (dict(raw_input="x", raw_output=" Ann"), " Ann"),
        (dict(prompt="x", label="Ann"), "Ann"),
        (mib("x", 1), "Bob"),
        (mib("x", "Ann"), "Ann"),
        (mib("x", 1, choices=dict(label=["A", "B"], text=["red", "blue"])), "B"),
    ],
)
def test_mib_answers(tmp_path, example, answer):
    path = lines(tmp_path / "pairs.jsonl", dict(input=example, counterfactual_inputs=[mib("y", 0)]))
    assert read_pairs(path).to_dict("records") == [dict(base="x", source="y", base_answer=answer, source_answer="Ann")]


def test_mib_gives_a_pair_for_each_counterfactual_and_rows_keep_their_number(tmp_path):
    first = dict(input=mib("x", 0), counterfactual_inputs=[mib("y", 1), mib("z", 1)], task="ioi")
    path = lines(tmp_path / "pairs.jsonl", first, first | dict(input=mib("w", 1)))
    table = read_pairs(path)
    assert table["source"].tolist() == ["y", "z", "y", "z"]
    assert table["task"].tolist() == ["ioi"] * 4
    assert table.index.tolist() == [0, 0, 1, 1]
    lines(path, first, first)
    assert complaint(path) == "row 2 is the same pair as row 1 (base 'x'); remove one of them"


def test_mib_texts_alone_with_answers_in_our_columns(tmp_path):
    row = dict(input="x", counterfactual_inputs=["y"])
    answers = dict(base_answer="a", source_answer="b")
    path = lines(tmp_path / "pairs.jsonl", row | answers)
    assert read_pairs(path).to_dict("records") == [dict(base="x", source="y", **answers)]
    lines(path, row | dict(base_answer="a"))
    assert complaint(path).startswith(
        "row 1: no text with an answer can be read from the source (counterfactual_inputs)"
    )


@pytest.mark.parametrize("example", [mib("y", 2), mib("y", -1), mib("y", "Eve"), dict(choices=["a"]), None, 3])
def test_mib_examples_without_text_or_answer(tmp_path, example):
    path = lines(tmp_path / "pairs.jsonl", dict(input=mib("x", 0), counterfactual_inputs=[example]))
    assert complaint(path).startswith("row 1: no text with an answer can be read from the source")
    lines(path, dict(input=mib("x", 0), counterfactual_inputs=[]))
    assert complaint(path) == "row 1 has no counterfactual input; remove it"


def test_mib_as_published(tmp_path):
    row = mib("x", 0, template="t", metadata=dict(place="park"), s2_io_flip_counterfactual=mib("y", 1))
    path = tmp_path / "pairs.parquet"
    pd.DataFrame([row]).to_parquet(path)
    assert read_pairs(path).to_dict("records") == [
        dict(base="x", source="y", base_answer="Ann", source_answer="Bob", template="t")
    ]
    pd.DataFrame([row | dict(abc_counterfactual=mib("z", 1))]).to_parquet(path)
    assert complaint(path) == (
        "has several kinds of counterfactual, and a pair changes one variable; set counterfactual to one of "
        "s2_io_flip_counterfactual, abc_counterfactual"
    )
    for kind in ("abc", "abc_counterfactual"):
        assert read_pairs(path, counterfactual=kind)["source"].tolist() == ["z"]
    with pytest.raises(InputError, match="has no counterfactuals 'x'; it has s2_io_flip_counterfactual, abc_"):
        read_pairs(path, counterfactual="x")
