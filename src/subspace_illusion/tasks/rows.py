"""The rows of a file, whatever kind of table it is: parquet, csv with any separator, json."""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from subspace_illusion.errors import InputError
from subspace_illusion.files import check_has_content, check_is_no_address, one_line
from subspace_illusion.tasks.completed import REQUIRED
from subspace_illusion.tasks.quoting import at, quoted
from subspace_illusion.tasks.table import OTHER_SPLITS, SPLITS

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may stand between the cells of a csv file, and what that is called."""
_PACKED = b"\x1f\x8b"
"""How what gzip packs begins, whatever the file is called."""
_SEPARATOR_LINE = re.compile(r'\s*"?sep=.?"?\s*\n', re.IGNORECASE)
"""A first line that tells a spreadsheet what stands between the cells."""


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file, from column to cell.

    Args:
        path: A file in parquet; csv or tsv, whose separator is told from the first line; jsonl, or json (a list of
            rows, or an object that holds one); all but parquet also with .gz behind it. Nothing in it is unpickled.

    Raises:
        InputError: If it is none of these, is not there or cannot be read.
    """
    check_is_no_address(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the file in it that holds the table of pairs")
    read = _READERS.get((path.with_suffix("") if _is_packed(path) else path).suffix.lower())
    if read is None:
        raise InputError(f"{path} is none of {', '.join(_READERS)}; save the table of pairs as one of these")
    if not path.is_file():
        raise InputError(f"{path} is not there; name a file with a table of pairs")
    if path.stat().st_size:  # an empty table is told as such
        check_has_content(path)
    return read(path)


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _text(path: Path) -> str:
    """What a text file says, in UTF-8, or in UTF-16 where it begins as spreadsheets begin such a file.

    Raises:
        InputError: If it is in neither, or cannot be unpacked.
    """
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data.startswith(_PACKED) else data
        is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = io.TextIOWrapper(io.BytesIO(data), "utf-16" if is_wide else "utf-8-sig").read()
    except UnicodeError as error:
        at_byte = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
        raise InputError(f"{path} is not UTF-8{at_byte}; save it with that encoding") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from error
    if (place := text.find("\0")) >= 0:
        raise InputError(f"{path} is not UTF-8 (it has a zero at character {place}); save it with that encoding")
    return text


def _read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a csv file, every cell as text; a column without a name, such as a written index, is left out.

    Raises:
        InputError: If it is none.
    """
    text = _text(path)
    if told := _SEPARATOR_LINE.match(text):
        text = text[told.end() :]
    separator = _separator(next((line for line in text.splitlines() if line.strip()), ""))
    try:
        found = [row for row in csv.reader(io.StringIO(text), strict=True, delimiter=separator) if row]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as csv: {one_line(error)}") from error
    header, *rows = found or [[]]
    header = [name.strip() for name in header]
    if twice := sorted(name for name in set(header) if name and header.count(name) > 1):
        raise InputError(f"{path} has the column {quoted(twice[0])} twice; remove or rename one")
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise InputError(
                f"{at(str(path), number)} has {len(row)} cells, but there are {len(header)} columns; "
                f"put texts that hold {SEPARATORS[separator]} in double quotes"
            )
    return [{name: cell for name, cell in zip(header, row, strict=True) if name} for row in rows]


def _separator(header: str) -> str:
    """What stands between the cells: what parts the first line into most of them, a comma before others."""
    return max(SEPARATORS, key=lambda separator: len(next(csv.reader([header], delimiter=separator), [])))


def _read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object a line, or with a list of them.

    Raises:
        InputError: If it is neither.
    """
    text = _text(path)
    return _objects(_loads(text, f"{path}") if text.lstrip().startswith("[") else _by_line(text, path), path)


def _read_json(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with a list of JSON objects; with one object that holds such a list, one for each split, or
    what pandas makes of a table, which is its columns, or its rows by their names; with what the hub's viewer
    serves, rows beside their numbers; or as jsonl.

    Raises:
        InputError: If it is none of these.
    """
    text = _text(path)
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        is_by_line = text.strip().partition("\n")[0].endswith("}")
        return _objects(_by_line(text, path) if is_by_line or not text.strip() else _loads(text, f"{path}"), path)
    if not isinstance(whole, dict):
        return _objects(whole, path)
    if whole and {*whole} <= {*SPLITS, *OTHER_SPLITS} and all(isinstance(rows, list) for rows in whole.values()):
        return [row | dict(split=split) for split, rows in whole.items() for row in _objects(rows, path)]
    match whole:
        case {"columns": [*names], "data": [*rows]} if rows and all(isinstance(row, list) for row in rows):
            if any(len(row) != len(names) for row in rows):
                raise InputError(f"{path} has {len(names)} columns and rows of another length; mend its data")
            return [dict(zip(map(str, names), row, strict=True)) for row in rows]
    if (columns := _columns(whole)) is not None:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    lists = [value for value in whole.values() if isinstance(value, list)]
    of_rows = [value for value in lists if any(isinstance(row, dict) for row in value)]
    numbered = [[row["row"] for row in rows] for rows in of_rows if _are_numbered(rows)]
    best = numbered or of_rows or lists
    return _objects(best[0] if len(best) == 1 else [whole] if whole else [], path)


def _are_numbered(rows: list[Any]) -> bool:
    """Whether each row stands beside its number, as the hub's viewer serves them."""
    numbered = (isinstance(row, dict) and "row_idx" in row and isinstance(row.get("row"), dict) for row in rows)
    return bool(rows) and all(numbered)


def _columns(whole: Mapping[str, Any]) -> dict[str, list[Any]] | None:
    """The columns of a table that JSON has column by column, as lists or by the rows' names; or row by row,
    by their numbers; ``None`` if not."""
    named = [value for value in whole.values() if isinstance(value, dict)]
    if len(named) == len(whole) > 1 and all(value.keys() == named[0].keys() for value in named):
        of_rows = not {*REQUIRED} & {*whole} and not all(name.isdecimal() for name in named[0])
        if of_rows and (all(name.isdecimal() for name in whole) or {*REQUIRED} <= {*named[0]}):
            return {name: [row[name] for row in named] for name in named[0]}
        return {name: [*value.values()] for name, value in whole.items()}
    listed = [value for value in whole.values() if isinstance(value, list)]
    cells = [cell for value in listed for cell in value]
    is_table = len(listed) == len(whole) > 1 and len({*map(len, listed)}) == 1
    return dict(whole) if is_table and not any(isinstance(cell, dict) for cell in cells) else None


def _by_line(text: str, path: Path) -> list[Any]:
    """The values of a text with one a line.

    Raises:
        InputError: If a line is broken.
    """
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [_loads(line, f"{path}, line {number}") for number, line in lines]


def _objects(rows: Any, path: Path) -> list[dict[str, Any]]:
    """Rows that are made sure of.

    Raises:
        InputError: If they are no list of objects.
    """
    if not isinstance(rows, list):
        raise InputError(f"{path} holds no list of rows; write one object with the columns as its keys for each pair")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise InputError(f"{at(str(path), index)} is no object with the columns as its keys: {quoted(row)}")
    return rows


def _loads(text: str, where: str) -> Any:
    """What a JSON text says.

    Raises:
        InputError: If it is none.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is broken JSON ({one_line(error)}); mend or remove it") from error


def _read_parquet(path: Path) -> list[dict[str, Any]]:
    """The rows of a parquet file.

    Raises:
        InputError: If it is none.
    """
    try:
        return pq.read_table(path).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as parquet: {one_line(error)}") from error


_READERS: Mapping[str, Callable[[Path], list[dict[str, Any]]]] = {
    ".parquet": _read_parquet,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_json,
}
