"""Every interval in the result tables holds its own figure."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest

RESULTS = Path(__file__).parents[1] / "results"
ENDS = (("_lo", "_hi"), ("_min", "_max"))
ROUNDED = 1.1e-6
"""Tables are rounded to a millionth."""

Interval = tuple[str, float, float, float]


def triples(names: list[str]) -> Iterator[tuple[str, str, str]]:
    """A figure and its two ends among names, whatever they are called."""
    for low, high in ENDS:
        for name in names:
            if f"{name}{low}" in names:
                yield name, f"{name}{low}", f"{name}{high}"
    if {"value", "low", "high"} <= set(names):
        yield "value", "low", "high"


def of_table(table: pd.DataFrame) -> Iterator[Interval]:
    for names in triples(list(table.columns)):
        for row, ends in table[list(names)].dropna().iterrows():
            yield f"{names[0]}, row {row}", *map(float, ends)
    if {"this run", "interval"} <= set(table.columns):
        for row, (value, words) in table[["this run", "interval"]].iterrows():
            if found := re.match(r"(-?[\d.]+) to (-?[\d.]+)", str(words)):
                # Ends have two decimals there.
                yield f"row {row}", float(value), float(found[1]) - 0.005, float(found[2]) + 0.005


def of_json(content: object, place: str = "") -> Iterator[Interval]:
    if isinstance(content, Mapping):
        for figure, low, high in triples(list(content)):
            columns = [
                each if isinstance(each, list) else [each] for each in (content[figure], content[low], content[high])
            ]
            for value, *ends in zip(*columns, strict=True):
                if None not in ends:
                    yield f"{place}.{figure}", value, *ends
        for name, ends in content.items():
            if name.endswith("_ci"):
                yield f"{place}.{name}", content[name.removesuffix("_ci")], *ends
            yield from of_json(ends, f"{place}.{name}")
    elif isinstance(content, list):
        for number, each in enumerate(content):
            yield from of_json(each, f"{place}[{number}]")


def intervals(path: Path) -> list[Interval]:
    if path.suffix == ".json":
        return list(of_json(json.loads(path.read_text(encoding="utf-8"))))
    return list(of_table(pd.read_csv(path)))


FILES = sorted(path for ending in ("csv", "json") for path in RESULTS.rglob(f"*.{ending}"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(RESULTS).as_posix())
def test_every_interval_holds_its_figure(path):
    outside = [each for each in intervals(path) if not each[2] - ROUNDED <= each[1] <= each[3] + ROUNDED]
    assert outside == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".csv"], ids=lambda path: path.name)
def test_no_ends_go_by_names_that_the_test_above_does_not_know(path):
    names = list(pd.read_csv(path, nrows=0).columns)
    known = {name for triple in triples(names) for name in triple}
    endings = ("_lo", "_hi", "_min", "_max", "_low", "_high", "_lower", "_upper", "_ci")
    assert [name for name in names if (name.endswith(endings) or name in ("low", "high")) and name not in known] == []


def test_there_are_intervals_to_look_at():
    assert sum(len(intervals(path)) for path in FILES) > 1000
