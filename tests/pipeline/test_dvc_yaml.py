"""dvc.yaml lists, for every stage, exactly what the stage reads and runs."""

import ast
import re
from pathlib import Path

import pytest
import yaml

from subspace_illusion.pipeline.params import Params

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src/subspace_illusion"
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
CALIBRATION = yaml.safe_load((ROOT / "stages/calibration/dvc.yaml").read_text())
STAGES = DVC["stages"] | CALIBRATION["stages"]
PLUMBING = ("errors.py", "files.py", "pipeline/")
"""What holds no science and no layout: a change there makes no result stale."""
ORDER = ("errors", "files", "core", "statistics", "tasks", "subspace", "measures", "verdict", "planting", "experiments",
         "report", "auditing", "pipeline", "cli")  # fmt: skip
"""The rooms of the library, from below: each may import from itself and from those before it."""


def imported(path: Path) -> set[str]:
    """The library's modules that a file imports, as paths inside the library."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not any(name.name.startswith("subspace_illusion") for name in node.names), path
        if isinstance(node, ast.ImportFrom):
            assert not node.level, path
            assert node.module != "subspace_illusion", path
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("subspace_illusion."):
            found.add(node.module.removeprefix("subspace_illusion.").replace(".", "/") + ".py")
    return found


def everything_run(script: Path) -> set[str]:
    """The modules of the library that a stage's results come from."""
    found, left = set(), imported(script)
    while left:
        path = left.pop()
        if not path.startswith(PLUMBING):
            found.add(path)
            left |= imported(LIBRARY / path) - found
    return found


PARAMETERS = {
    section: {*getattr(field.annotation, "model_fields", {}), "${component}", "settings", "to_the_end", "learning"}
    | ({"source", "name"} if section == "model" else set())
    for section, field in Params.model_fields.items()
}
"""What may be read of every section: its keys, and no property that reads others unseen, but for three of ``das``."""


def definition(name: str) -> dict:
    return STAGES[name].get("do", STAGES[name])


@pytest.mark.parametrize("name", STAGES)
def test_what_a_stage_runs_is_listed_and_nothing_else(name):
    listed = [dep.removeprefix("${lib}/") for dep in definition(name)["deps"] if dep.startswith("${lib}/")]
    runs = everything_run(ROOT / f"stages/{name}.py")
    for path in runs:
        assert any(path == dep or path.startswith(f"{dep}/") for dep in listed), path
    for dep in listed:
        assert (LIBRARY / dep).exists()
        assert any(path == dep or path.startswith(f"{dep}/") for path in runs), dep
    assert f"stages/{name}.py" in definition(name)["deps"]


def chains(script: Path) -> set[str]:
    """The parameters that a stage reads, as the longest chains ``params.<section>.<key>`` in its source.

    ``params.components[component]`` is the component's own parameters; ``params.das.settings`` and
    ``params.das.learning`` the keys behind them;
    methods of a section (``model_dump``) read all of it.
    """
    found = set()

    class Reader(ast.NodeVisitor):
        def visit(self, node: ast.AST) -> None:
            names, inner = [], node
            while isinstance(inner, ast.Attribute | ast.Subscript):
                if isinstance(inner, ast.Subscript) and ast.unparse(inner).startswith("params."):
                    assert isinstance(inner.slice, ast.Constant) or ast.unparse(inner.slice) == "component"
                names.insert(0, inner.attr if isinstance(inner, ast.Attribute) else "${component}")
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id == "params" and names:
                if names[0] == "components" and "${component}" in names:
                    names = names[:2]
                names = [name for name in names if name not in ("model_dump", "items", "values", "${component}")] + [
                    name for name in names if name == "${component}"
                ]
                found.add(".".join(names[:2]))
                assert len(names) < 2 or names[1] in PARAMETERS[names[0]], f"{script.name}: {names}"
                for part in ast.iter_child_nodes(node):
                    if not isinstance(part, ast.Attribute | ast.Subscript | ast.Name):
                        self.visit(part)
                return
            assert not (isinstance(node, ast.Name) and node.id == "params"), f"{script.name}: params without a key"
            super().generic_visit(node)

    tree = ast.parse(script.read_text())
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    for statement in main.body:
        Reader().visit(statement)
    sections = {chain for chain in found if "." not in chain}
    found = sections | {chain for chain in found if chain.partition(".")[0] not in sections}
    learning = {"das.lr", "das.loss", "das.min_gain", "das.matmul_dtype"}
    settings = learning | {"das.steps", "das.batch"}
    of = {"das.settings": settings, "das.to_the_end": settings - {"das.min_gain"}, "das.learning": learning}
    for short, keys in of.items():
        found = found - {short} | keys if short in found else found
    return found - {"compute"}  # how the work is done, on which no result depends


@pytest.mark.parametrize("name", STAGES)
def test_the_parameters_that_a_stage_reads_are_listed_key_by_key_and_no_others(name):
    listed = {re.sub(r"\$\{(key|item)\}", "${component}", param) for param in definition(name).get("params", [])}
    shown = {*Params.model_fields} - {"compute"}
    assert listed == (shown if name == "report" else chains(ROOT / f"stages/{name}.py"))


def test_no_stage_depends_on_where_the_work_is_done():
    for name in STAGES:
        assert not any(param.startswith("compute") for param in definition(name).get("params", []))
        assert "params.yaml" not in definition(name)["deps"]


@pytest.mark.parametrize("name", STAGES)
def test_what_computes_depends_on_the_versions(name):
    assert ("requirements.lock" in definition(name)["deps"]) == (name not in ("judge",))


def test_imports_of_the_library_point_one_method():
    below = {path.relative_to(LIBRARY).as_posix(): imported(path) for path in LIBRARY.rglob("*.py")}
    for name, needs in below.items():
        room = name.partition("/")[0].removesuffix(".py")
        if room != "__init__":
            for need in needs:
                assert ORDER.index(need.partition("/")[0].removesuffix(".py")) <= ORDER.index(room), (name, need)
    while below:
        leaves = {name for name, needs in below.items() if not needs & set(below)}
        assert leaves, f"a circle among {sorted(below)}"
        below = {name: needs for name, needs in below.items() if name not in leaves}


def test_only_the_plumbing_knows_dvc_and_yaml():
    for path in LIBRARY.rglob("*.py"):
        if path.parent.name not in ("pipeline", "cli") and path.name != "files.py":
            assert not re.search(r"^\s*(import|from) (dvc|yaml|hydra)", path.read_text(), re.MULTILINE), path


def test_no_stage_is_long():
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 65, path
