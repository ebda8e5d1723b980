"""dvc.yaml lists, for every stage, exactly what the stage reads and runs."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PLUMBING = {"files", "params", "stage"}
"""Modules of stages/common that hold no science and no layout: a change there makes no result stale."""


def imported(path: Path) -> set[str]:
    """The project's modules that a file imports, as paths from the top."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            package, _, module = node.module.partition(".")
            if package == "subspace_illusion":
                found.add(f"src/subspace_illusion/{module.replace('.', '/')}.py")
            elif package == "common" and module not in PLUMBING:
                found.add(f"stages/common/{module}.py")
    return found


def everything_run(script: Path) -> set[str]:
    found, left = set(), imported(script)
    while left:
        path = left.pop()
        found.add(path)
        left |= imported(ROOT / path) - found
    # errors.py holds a class without behaviour.
    return found - {"src/subspace_illusion/errors.py"}


def definition(name: str) -> dict:
    return STAGES[name].get("do", STAGES[name])


@pytest.mark.parametrize("name", STAGES)
def test_the_modules_are_listed(name):
    listed = {dep for dep in definition(name)["deps"] if dep.endswith(".py")}
    script = f"stages/{name}.py"
    assert listed == everything_run(ROOT / script) | {script}


@pytest.mark.parametrize("name", STAGES)
def test_the_parameters_are_listed(name):
    source = (ROOT / f"stages/{name}.py").read_text()
    reads = set(re.search(r"reads=\((.*?)\)", source).group(1).replace('"', "").replace(",", " ").split())
    used = set(re.findall(r"params\.([a-z_]+)", source))
    listed = definition(name).get("params", [])
    assert reads == used == {param.split(".")[0] for param in listed}
    for param in listed:
        section, _, key = param.partition(".")
        if key and "$" not in key:  # where one parameter of a section is listed, no other is read
            assert set(re.findall(rf"params\.{section}\b(\.\w+)?", source)) == {f".{key}"}


def test_imports_of_the_library_point_one_way():
    below: dict[str, set[str]] = {}
    for path in (ROOT / "src/subspace_illusion").rglob("*.py"):
        below[path.relative_to(ROOT).as_posix()] = imported(path)
    while below:
        leaves = {name for name, needs in below.items() if not needs & set(below)}
        assert leaves, f"a circle among {sorted(below)}"
        below = {name: needs for name, needs in below.items() if name not in leaves}


def test_the_library_knows_no_dvc_and_no_yaml():
    for path in (ROOT / "src/subspace_illusion").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (dvc|yaml|hydra|common)", path.read_text(), re.MULTILINE), path


def test_no_stage_is_long():
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 100, path
