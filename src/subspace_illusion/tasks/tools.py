"""Tables of other tools, told by their columns, in our columns."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from subspace_illusion.errors import InputError
from subspace_illusion.tasks.cells import in_python, opened
from subspace_illusion.tasks.clean_corrupted import CLEAN, CORRUPTED, is_clean_corrupted, with_answers
from subspace_illusion.tasks.completed import OPTIONAL, REQUIRED
from subspace_illusion.tasks.counterfactuals import COUNTERFACTUAL, INPUTS, one_a_counterfactual, published
from subspace_illusion.tasks.naming import Naming, plain_name, plainly_named, renamed
from subspace_illusion.tasks.not_pairs import PAIR, what_it_holds
from subspace_illusion.tasks.quoting import quoted
from subspace_illusion.tasks.several_answers import with_sets
from subspace_illusion.tasks.table import SPLITS
from subspace_illusion.tasks.token_ids import check_all_are_ids, with_named_ids

_PREFIXES = ("clean_prefix", "patch_prefix")
_POSITION = re.compile(r"(?:(?:base|clean|token|subject|patch)_)?(?:pos|position|tok|token)(?:_?(?:idx|index|id))?")
"""How columns are called that may say a position."""
_WORDS = ("prompt", "text", "input", "sentence")
_ANSWER_WORDS = ("answer", "label", "output", "target")
_BASES, _SOURCES = ("base", "original"), ("source", "counterfactual")
_SIDES = (*_BASES, *_SOURCES, "clean", "corrupted", "corrupt")
"""How columns are called by side and by what they say of it."""


def _by_side(sides: Sequence[str], words: Sequence[str]) -> list[str]:
    """What columns are called that say something of a side."""
    return [f"{side}_{word}" for side in sides for word in words]


_BASE_PROMPTS = [*_by_side(_BASES, _WORDS), "original"]
_SOURCE_PROMPTS = [*_by_side(_SOURCES, _WORDS), "counterfactual"]


@dataclass(frozen=True)
class _Tool:
    """How a tool's table becomes ours."""

    name: str
    told_by: Callable[[Collection[str]], bool]
    """Whether a table with these columns is the tool's."""
    columns: Mapping[str, Sequence[str]]
    """For each of our columns those of the tool of which the first that is there is meant."""
    prepare: Callable[[pd.DataFrame, Naming], pd.DataFrame]
    """What is done before with what no other name puts right."""


def in_our_columns(rows: Sequence[Mapping[str, Any]], naming: Naming) -> pd.DataFrame:
    """A table with our names for its columns, these first, and without other columns of lists or tables.

    Args:
        rows: One a pair, or as the tool has them.
        naming: What messages call them, and what the user does.

    Raises:
        InputError: If they are no pairs, or a column that is needed is not there.
    """
    cells = [{column: in_python(cell) for column, cell in row.items()} for row in rows]
    notes: list[str] = []
    table = with_named_ids(renamed(pd.DataFrame(cells, dtype=object), naming), replace(naming, say=notes.append))
    table = _with_sides_opened(plainly_named(table, naming, REQUIRED + OPTIONAL), naming)
    tool = _tool(table)
    if tool is None and not {*REQUIRED} <= {*table} and (its := _tool(table.rename(columns=plain_name))):
        table, tool = plainly_named(table, naming), its
    found = [str(column) for column in table.columns]
    if naming.counterfactual is not None and not (tool and tool.prepare is published):
        raise InputError(
            f"{naming.name} has no columns with kinds of counterfactual, of which {quoted(naming.counterfactual)} "
            f"would be one (they end in {COUNTERFACTUAL})"
        )
    if tool:
        table = _as_ours(table, tool, naming)
    for note in notes:
        naming.say(note)
    if lacking := [column for column in REQUIRED if column not in table]:
        raise InputError(_lacks(lacking[0], [*found, *_keys(table)], tool, naming.name))
    check_all_are_ids(table, naming.name)
    table = with_sets(table, naming)
    if "position" not in table and (unread := [column for column in table if _POSITION.fullmatch(plain_name(column))]):
        naming.say(
            f"its {quoted(unread[0])} is carried along and not read; if it says where to read, name it in columns "
            f"(position={unread[0]})"
        )
    ours = [column for column in REQUIRED + OPTIONAL if column in table]
    return table[[*ours, *(column for column in table if column not in ours and _plain(table[column]))]]


def _tool(table: pd.DataFrame) -> _Tool | None:
    """Whose table it is; ``None`` if it has our columns, or those of no tool."""
    found = [str(column) for column in table.columns]
    return None if {*REQUIRED} <= {*found} else next((tool for tool in _TOOLS if tool.told_by(found)), None)


def _with_sides_opened(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A table with a column for each thing that it says of a side in a mapping, such as ``clean_prompt`` where
    ``clean`` has a ``prompt``."""
    for side in [side for side in _SIDES if side in table]:
        cells = table[side].map(opened)
        if all(isinstance(cell, dict) and {*_WORDS} & {*cell} for cell in cells):
            names = {key: f"{side}_{key}" for key in cells.iloc[0]}
            naming.say(f"its {quoted(side)} is a mapping, and is taken apart into {', '.join(names.values())}")
            apart = {name: cells.map(lambda cell, key=key: cell.get(key)) for key, name in names.items()}
            table = table.drop(columns=side).assign(**apart)
    return table


def _keys(table: pd.DataFrame) -> list[str]:
    """What the mappings of the first row say, each with its column and a dot before it."""
    first = table.iloc[0].items()
    return [f"{column}.{key}" for column, cell in first if isinstance(cell, dict) for key in cell]


def _as_ours(table: pd.DataFrame, tool: _Tool, naming: Naming) -> pd.DataFrame:
    """A tool's table with our columns, as far as it has them; says what it is taken for, and then what is assumed."""
    notes: list[str] = []
    table = tool.prepare(table, replace(naming, say=notes.append))
    there = {ours: [column for column in theirs if column in table] for ours, theirs in tool.columns.items()}
    names = {theirs[0]: ours for ours, theirs in there.items() if theirs and ours not in table}
    said = ", ".join(f"{ours} is its {quoted(column)}" for column, ours in names.items())
    naming.say(f"{naming.name} is read as a table of {tool.name}" + (f": {said}" if said else ""))
    for note in notes:
        naming.say(note)
    return _divided(table.rename(columns=names), naming)


def _divided(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """A tool's table without a column of splits that names one which is not ours and divides nothing."""
    splits = [*set(map(str, table["split"]))] if "split" in table else []
    if len(splits) != 1 or splits[0] in SPLITS:
        return table
    naming.say(f"every row's split is {quoted(splits[0])}, so the pairs are dealt to train and test")
    return table.drop(columns="split")


def _plain(column: pd.Series) -> bool:
    """Whether a column holds no lists and no tables."""
    return not column.map(lambda value: isinstance(value, list | dict)).any()


def _lacks(column: str, found: Sequence[str], tool: _Tool | None, name: str) -> str:
    """What is said of a table that lacks a column."""
    listed = ", ".join(found)
    if tool:
        theirs = " or ".join(map(quoted, tool.columns.get(column, [column])))
        return (
            f"{name} has no column {theirs}, which tables of {tool.name} have for the '{column}' of a pair; "
            f"found are {listed}; add it, or name another in columns ({column}=...)"
        )
    return what_it_holds(found, name) or (
        f"{name} has no column {quoted(column)}; {', '.join(REQUIRED)} are needed; found are {listed}; if it is called "
        f"otherwise there, name it in columns ({column}=...). {PAIR}"
    )


def _as_it_is(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    return table


def _join_regions(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """Causalgym's lists of regions as the texts that they make up."""
    return table.assign(**{side: table[side].map(_joined) for side in ("base", "src")})


def _joined(cell: Any) -> Any:
    """A list of texts as one; whatever else there is, as it is."""
    regions = opened(cell)
    whole = isinstance(regions, list) and all(isinstance(region, str) for region in regions)
    return "".join(regions) if whole else cell


def _is_ravel(found: Collection[str]) -> bool:
    return {"input", "source_input"} <= {*found} or {"base", "source", "inv_label"} <= {*found}


def _split_is_template(table: pd.DataFrame, naming: Naming) -> pd.DataFrame:
    """RAVEL's table with its sentences under ``template``, and no foil that is the answer."""
    if "split" in table and table["split"].astype(str).str.contains("%s", regex=False).all():
        table = table.rename(columns={"split": "template"})
    if "inv_label" in table:
        table = table.assign(foil=table["inv_label"].where(table["inv_label"] != table.get("label")))
    return table


_TOOLS = (
    _Tool(
        "causalgym",
        lambda found: {"base", "src"} <= {*found},
        dict(
            source=["src"],
            base_answer=["base_label"],
            source_answer=["src_label"],
            value=["base_type"],
            source_value=["src_type"],
        ),
        _join_regions,
    ),
    _Tool(
        "feature-circuits",
        lambda found: {*_PREFIXES} <= {*found},
        dict(base=[_PREFIXES[0]], source=[_PREFIXES[1]], base_answer=["clean_answer"], source_answer=["patch_answer"]),
        _as_it_is,
    ),
    _Tool(
        "EAP-IG",
        is_clean_corrupted,
        dict(
            base=CLEAN,
            source=CORRUPTED,
            base_answer=["clean_answer", "correct_idx"],
            source_answer=["corrupted_answer", "incorrect_idx"],
        ),
        with_answers,
    ),
    _Tool(
        "RAVEL",
        _is_ravel,
        dict(
            base=["input"],
            source=["source_input"],
            base_answer=["label"],
            source_answer=["source_label"],
            source_value=["inv_label"],
            position=["entity"],
            source_position=["source_entity"],
        ),
        _split_is_template,
    ),
    _Tool(
        "prompts by side",
        lambda found: any(name in found for name in _BASE_PROMPTS) and any(name in found for name in _SOURCE_PROMPTS),
        dict(
            base=_BASE_PROMPTS,
            source=_SOURCE_PROMPTS,
            base_answer=_by_side(_BASES, _ANSWER_WORDS),
            source_answer=_by_side(_SOURCES, _ANSWER_WORDS),
        ),
        _as_it_is,
    ),
    _Tool("causalab", lambda found: {*INPUTS} <= {*found}, {}, one_a_counterfactual),
    _Tool(
        "MIB",
        lambda found: "prompt" in found and any(column.endswith(COUNTERFACTUAL) for column in found),
        {},
        published,
    ),
)
