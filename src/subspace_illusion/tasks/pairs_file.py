"""A table of pairs of one's own, read from a file: this project's columns, or those of MIB, causalgym or RAVEL."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line
from subspace_illusion.tasks.checked import OnBad, checked
from subspace_illusion.tasks.completed import OPTIONAL, REQUIRED
from subspace_illusion.tasks.quoting import at, quoted

_COUNTERFACTUAL = "_counterfactual"


def read_pairs(path: Path, on_bad: OnBad | None = None) -> pd.DataFrame:
    """The raw table of pairs of a file.

    Tables of other tools are told by their columns:

    - causalgym: ``base``, ``src`` (texts, or lists of regions, which are joined), ``base_label``, ``src_label`` and,
      as the values, ``base_type``, ``src_type``.
    - RAVEL: ``input``, ``source_input``, ``label``, ``source_label``; the answer that the source's value calls for,
      ``inv_label``, is the foil and the source's value; ``entity``, ``source_entity`` are the positions; its ``split``
      is the template where it is a sentence with a gap.
    - MIB: ``input`` and ``counterfactual_inputs``, one pair for each of the latter; or ``prompt`` and one column
      ``..._counterfactual``. A side's answer is its ``raw_output``, ``answer`` or ``label``, or what ``answerKey`` says
      of ``choices``.

    Args:
        path: A file in parquet, csv, jsonl, or json (a list of rows). Nothing in it is unpickled.
        on_bad: Told of each row that is wrong, which is left out then; by default such a table is refused.

    Returns:
        The columns ``REQUIRED`` of ``tasks.tokenise``, those of ``OPTIONAL`` that the file has, and the file's others
        except where they hold lists or tables. The index is the row's number in the file, from 0; it repeats where
        a row makes several pairs.

    Raises:
        InputError: If the file cannot be read, lacks a column or a value, holds something else than text where text is
            needed, has a pair twice, a foil that is the answer, a split that is neither train nor test or a group that
            is in both.
    """
    read = _READERS.get(path.suffix)
    if read is None:
        raise InputError(f"{path} is none of {', '.join(_READERS)}; save the table of pairs as one of these")
    if not path.is_file():
        raise InputError(f"{path} is not there; name a file with a table of pairs")
    rows = read(path)
    return pairs_of(rows, str(path), on_bad)


def pairs_of(rows: Sequence[Mapping[str, Any]], name: str, on_bad: OnBad | None = None) -> pd.DataFrame:
    """The raw table of pairs of some rows, from a file or from memory.

    Args:
        rows: One a pair, with the columns of ``read_pairs``.
        name: What messages call them.
        on_bad: As in ``read_pairs``.

    Returns:
        As ``read_pairs``.

    Raises:
        InputError: As ``read_pairs``, for what is wrong with the rows.
    """
    if not rows:
        raise InputError(f"{name} is empty; it needs one row for each pair")
    return checked(_ours(pd.DataFrame(rows, dtype=object), name), name, on_bad).infer_objects()


def _text(path: Path) -> str:
    """What a text file says.

    Raises:
        InputError: If it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 (byte {error.start}); save it with that encoding") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {one_line(error)}") from error


def _read_csv(path: Path) -> list[dict[str, Any]]:
    """The rows of a csv file, every cell as text.

    Raises:
        InputError: If it is none.
    """
    try:
        header, *rows = [row for row in csv.reader(io.StringIO(_text(path)), strict=True) if row] or [[]]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as csv: {one_line(error)}") from error
    if twice := sorted(name for name in set(header) if header.count(name) > 1):
        raise InputError(f"{path} has the column {quoted(twice[0])} twice; remove or rename one")
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise InputError(
                f"{at(str(path), number)} has {len(row)} cells, but there are {len(header)} columns; "
                "put texts that hold commas in double quotes"
            )
    return [dict(zip(header, row, strict=True)) for row in rows]


def _read_json(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object a line, or with a list of them.

    Raises:
        InputError: If it is neither.
    """
    text = _text(path)
    if text.lstrip().startswith("["):
        rows = _loads(text, f"{path}")
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        rows = [_loads(line, f"{path}, line {number}") for number, line in lines]
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
    ".jsonl": _read_json,
    ".json": _read_json,
}


@dataclass(frozen=True)
class _Tool:
    """How a tool's table becomes ours."""

    name: str
    told_by: Callable[[Sequence[str]], bool]
    """Whether a table with these columns is the tool's."""
    columns: Mapping[str, str]
    """The tool's column for each of ours that is not called the same."""
    prepare: Callable[[pd.DataFrame, str], pd.DataFrame]
    """What is done before with what no other name puts right."""


def _join_regions(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Causalgym's lists of regions as the texts that they make up."""
    sides = {side: table[side].map(_joined) for side in ("base", "src")}
    return table.assign(**sides)


def _joined(regions: Any) -> Any:
    """A list of texts as one; whatever else there is, as it is."""
    whole = isinstance(regions, list) and all(isinstance(region, str) for region in regions)
    return "".join(regions) if whole else regions


def _split_is_template(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """RAVEL's table with its sentences under ``template``, and no foil that is the answer."""
    if "split" in table and table["split"].astype(str).str.contains("%s", regex=False).all():
        table = table.rename(columns={"split": "template"})
    if "inv_label" in table:
        table = table.assign(foil=table["inv_label"].where(table["inv_label"] != table.get("label")))
    return table


def _one_a_counterfactual(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """MIB's table with one row for each counterfactual.

    Raises:
        InputError: If a row has none, or one of the two has no text or no answer.
    """
    rows: list[dict[str, Any]] = []
    index: list[int] = []
    for number, row in enumerate(table.to_dict("records")):
        sources = row["counterfactual_inputs"]
        sources = sources if isinstance(sources, list) else [sources]
        if not sources:
            raise InputError(f"{at(name, number)} has no counterfactual input; remove it")
        rest = {column: value for column, value in row.items() if column not in ("input", "counterfactual_inputs")}
        for source in sources:
            # Columns of our own names say what the examples themselves do not.
            sides = _example(row["input"], "base") | _example(source, "source")
            rows.append(rest | {column: value for column, value in sides.items() if value is not None})
            index.append(number)
            for side in ("base", "source"):
                if not {side, f"{side}_answer"} <= rows[-1].keys():
                    raise InputError(
                        f"{at(name, number)}: no text with an answer can be read from MIB's {side} "
                        f"({'input' if side == 'base' else 'counterfactual_inputs'}); it needs raw_input or prompt, "
                        "and raw_output, answer, label, or choices with an answerKey that is one of them"
                    )
    return pd.DataFrame(rows, index=index, dtype=object)


def _example(example: Any, side: str) -> dict[str, Any]:
    """Text and answer of one of MIB's examples, ``None`` where it does not say."""
    if isinstance(example, str):
        return {side: example}
    if not isinstance(example, dict):
        return {}
    text, answer = (
        next((example[key] for key in keys if example.get(key) is not None), None)
        for keys in (("raw_input", "prompt", "input"), ("raw_output", "answer", "label"))
    )
    return {side: text, f"{side}_answer": _choice(example) if answer is None else answer}


def _choice(example: Mapping[str, Any]) -> Any:
    """The answer that the key of one of MIB's examples tells, ``None`` where it does not."""
    choices, key = example.get("choices"), example.get("answerKey")
    labels = choices.get("label") if isinstance(choices, dict) else choices
    if not isinstance(labels, list):
        return None
    if isinstance(key, int):
        return labels[key] if 0 <= key < len(labels) else None
    return key if key in labels else None


def _hub_example(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """MIB's published table in the form of its library.

    Raises:
        InputError: If there are several kinds of counterfactual: each changes another variable.
    """
    kinds = [column for column in table if column.endswith(_COUNTERFACTUAL)]
    if len(kinds) > 1:
        raise InputError(
            f"{name} has several kinds of counterfactual, and a pair changes one variable; keep one of the columns "
            + ", ".join(kinds)
        )
    own = [column for column in ("prompt", "choices", "answerKey", "answer", "label") if column in table]
    return _one_a_counterfactual(
        table.drop(columns=[*own, *kinds]).assign(
            input=table[own].to_dict("records"), counterfactual_inputs=table[kinds[0]]
        ),
        name,
    )


_TOOLS = (
    _Tool(
        "causalgym",
        lambda found: {"base", "src"} <= {*found},
        dict(
            source="src",
            base_answer="base_label",
            source_answer="src_label",
            value="base_type",
            source_value="src_type",
        ),
        _join_regions,
    ),
    _Tool(
        "RAVEL",
        lambda found: {"input", "source_input"} <= {*found},
        dict(
            base="input",
            source="source_input",
            base_answer="label",
            source_answer="source_label",
            source_value="inv_label",
            position="entity",
            source_position="source_entity",
        ),
        _split_is_template,
    ),
    _Tool("MIB", lambda found: {"input", "counterfactual_inputs"} <= {*found}, {}, _one_a_counterfactual),
    _Tool(
        "MIB",
        lambda found: "prompt" in found and any(column.endswith(_COUNTERFACTUAL) for column in found),
        {},
        _hub_example,
    ),
)


def _ours(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """A table with our names for its columns, these first, and without other columns of lists or tables.

    Raises:
        InputError: If a column that is needed is not there.
    """
    found = [str(column) for column in table.columns]
    tool = next((tool for tool in _TOOLS if tool.told_by(found)), None)
    theirs = dict(tool.columns) if tool else {}
    if tool:
        table = tool.prepare(table, name)
    names = {column: column if column in table else theirs.get(column, column) for column in REQUIRED + OPTIONAL}
    if lacking := [names[column] for column in REQUIRED if names[column] not in table]:
        raise InputError(
            f"{name} has no column {quoted(lacking[0])}; "
            + (f"its columns are {tool.name}'s, with which " if tool else "")
            + f"{', '.join(names[column] for column in REQUIRED)} are needed; "
            + f"found are {', '.join(found)}"
            + ("" if tool else " (columns of MIB, causalgym or RAVEL will do too)")
        )
    ours = {column: table[its] for column, its in names.items() if its in table}
    rest = [column for column in table if column not in {*names, *names.values()} and _plain(table[column])]
    return pd.DataFrame(ours | {column: table[column] for column in rest})


def _plain(column: pd.Series) -> bool:
    """Whether a column holds no lists and no tables."""
    return not column.map(lambda value: isinstance(value, list | dict)).any()
