"""Names of the code say what a thing is."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for folder in ("src", "stages", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
CONSTRUCTORS = {
    "Bootstrap",
    "Component",
    "Estimate",
    "FrozenNorm",
    "Grid",
    "Natural",
    "Outcome",
    "Place",
    "Route",
    "Text",
}
"""The classes that have a constructor ``of``."""


def named_of(tree: ast.AST) -> list[int]:
    """The lines on which a variable, an argument or a method is called ``of``."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "of")
        or (isinstance(node, ast.arg | ast.keyword) and node.arg == "of")
        or (isinstance(node, ast.FunctionDef) and node.name == "of")
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_but_a_constructor_is_called_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name in CONSTRUCTORS]
    assert named_of(tree) == [line for node in classes for line in named_of(node)]


def test_no_two_files_of_tests_have_one_name():
    """Pytest imports them by their names alone, and takes only the first."""
    named = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert {name for name in named if named.count(name) > 1} <= {"conftest.py"}
