import gzip
import json

import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.rows import read_rows

ROWS = [dict(base="Well, no; yes", source="a|b"), dict(base='"Hm" he said', source="c\td")]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".CSV"])
def test_any_separator_is_told_from_the_first_line(tmp_path, separator, suffix):
    path = tmp_path / f"pairs{suffix}"
    cells = [[*ROWS[0]], *(row.values() for row in ROWS)]
    quoted = [separator.join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells]
    path.write_text("\n".join(quoted))
    assert read_rows(path) == ROWS


def test_a_spreadsheets_unicode_text_is_read(tmp_path):
    (tmp_path / "pairs.tsv").write_text("base\tsource\ncafé\t\N{GRINNING FACE}\n", encoding="utf-16")
    assert read_rows(tmp_path / "pairs.tsv") == [dict(base="café", source="\N{GRINNING FACE}")]


def test_json_may_have_the_splits_or_the_columns_of_a_table(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(dict(train=ROWS[:1], test=ROWS[1:])))
    assert read_rows(path) == [ROWS[0] | dict(split="train"), ROWS[1] | dict(split="test")]
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    for table in (columns, {name: dict(enumerate(cells)) for name, cells in columns.items()}):
        path.write_text(json.dumps(table))
        assert read_rows(path) == ROWS


def test_names_lose_spaces_and_columns_without_one_are_left_out(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("; base; source;\n0;a; b;\n1;c;d;\n")
    assert read_rows(path) == [dict(base="a", source=" b"), dict(base="c", source="d")]


def test_a_row_with_too_many_cells_is_told_with_what_separates_them(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("base;source\na;b;c\n")
    with pytest.raises(InputError, match="row 1 has 3 cells, .* put texts that hold semicolons in double quotes"):
        read_rows(path)


def test_json_may_be_an_object_that_holds_the_list(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(dict(name="mine", examples=ROWS), indent=1))
    assert read_rows(path) == ROWS
    path.write_text("\n".join(map(json.dumps, ROWS)))
    assert read_rows(path) == ROWS
    path.write_text(json.dumps(ROWS[0], indent=1))
    assert read_rows(path) == ROWS[:1]
    path.write_text('"text"')
    with pytest.raises(InputError, match="holds no list of rows"):
        read_rows(path)


@pytest.mark.parametrize(
    ("suffix", "text"), [(".csv.gz", "base;source\na;b\n"), (".jsonl.gz", '{"base":"a","source":"b"}')]
)
def test_packed_files_are_read(tmp_path, suffix, text):
    path = tmp_path / f"pairs{suffix}"
    path.write_bytes(gzip.compress(text.encode()))
    assert read_rows(path) == [dict(base="a", source="b")]
    path.write_bytes(gzip.compress(text.encode())[:-9])
    with pytest.raises(InputError, match="cannot be read: "):
        read_rows(path)


@pytest.mark.parametrize(("suffix", "packed"), [(".csv", True), (".csv.gz", False)])
def test_a_packed_file_is_told_by_how_it_begins(tmp_path, suffix, packed):
    path, text = tmp_path / f"pairs{suffix}", b"base,source\na,b\n"
    path.write_bytes(gzip.compress(text) if packed else text)
    assert read_rows(path) == [dict(base="a", source="b")]


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"'])
def test_a_line_for_spreadsheets_is_no_header(tmp_path, first):
    path = tmp_path / "pairs.csv"
    path.write_bytes(f"{first}\r\nbase;source\r\na;b\r\n".encode("utf-8-sig"))
    assert read_rows(path) == [dict(base="a", source="b")]


def test_text_with_zeros_is_of_another_encoding(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_bytes("base,source\na,b\n".encode("utf-16-le"))
    with pytest.raises(InputError, match="is not UTF-8 .*; save it with that encoding"):
        read_rows(path)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n",
            "is a pointer of Git LFS, .*: git lfs pull",
        ),
        (
            "\n<!DOCTYPE html>\n<html><body>404, not found</body></html>",
            "is a web page, .*; download that file anew",
        ),
    ],
)
def test_what_stands_in_a_tables_place_is_none(tmp_path, suffix, content, complaint):
    path = tmp_path / f"pairs{suffix}"
    path.write_text(content)
    with pytest.raises(InputError, match=complaint):
        read_rows(path)


@pytest.mark.parametrize("orient", ["columns", "index", "split", "records", "table"])
def test_whatever_way_pandas_writes_json(tmp_path, orient):
    path = tmp_path / "pairs.json"
    pd.DataFrame(ROWS).to_json(path, orient=orient)
    assert [{name: row[name] for name in ROWS[0]} for row in read_rows(path)] == ROWS


def test_json_may_hold_other_lists_beside_the_rows(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(dict(seq_labels=["one", "two"], word_idxs=dict(one=1), prompts=ROWS)))
    assert read_rows(path) == ROWS
    path.write_text(json.dumps(dict(train=ROWS[:1], validation=ROWS[1:])))
    assert [row["split"] for row in read_rows(path)] == ["train", "validation"]
    path.write_text("{}")
    assert read_rows(path) == []


def test_rows_as_the_hubs_viewer_serves_them_and_by_their_names(tmp_path):
    rows = [dict(base=f"a{n}", source=f"b{n}", base_answer="x", source_answer="y") for n in range(3)]
    served = dict(features=[dict(name="base")], rows=[dict(row_idx=n, row=row) for n, row in enumerate(rows)])
    for said in (served, {f"row {n}": row for n, row in enumerate(rows)}):
        (tmp_path / "w.json").write_text(json.dumps(said))
        assert read_rows(tmp_path / "w.json") == rows


def test_where_json_of_several_lines_is_broken_is_said(tmp_path):
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(dict(name="mine", examples=ROWS), indent=1).replace('"source"', "source", 1))
    with pytest.raises(InputError, match=r"is broken JSON \(Expecting property name .*: line 6 "):
        read_rows(path)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="is a folder; name the file in it"):
        read_rows(tmp_path)
