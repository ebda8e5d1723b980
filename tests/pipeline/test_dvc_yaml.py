"""dvc.yaml lists, for every stage, exactly what the stage reads and runs."""

import ast
import re
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest
import yaml

from subspace_illusion.pipeline.calibration import CalibrationParams
from subspace_illusion.pipeline.layout import CALIBRATION_PARAMS, SUMMARIES
from subspace_illusion.pipeline.params import Parameters, Params
from subspace_illusion.pipeline.stage import SUMMING_UP, sections_of

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "src/subspace_illusion"
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())
CALIBRATION = yaml.safe_load((ROOT / "stages/calibration/dvc.yaml").read_text())
STAGES = DVC["stages"] | CALIBRATION["stages"]
OF_ONE = ("components", "texts", "models", "cases")
"""Sections of which some stages read one entry, named on their command line."""
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


def main_of(name: str) -> Callable[..., None]:
    """The function ``main`` of a stage."""
    spec = spec_from_file_location(f"stage_{name}", ROOT / f"stages/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def parameters_of(name: str) -> type[Parameters]:
    return CalibrationParams if name in CALIBRATION["stages"] else Params


def listed_params(name: str) -> list[str]:
    """The parameters that a stage's entry lists; those of the calibration stand under their file's name."""
    listed = definition(name)["params"]
    if name in CALIBRATION["stages"]:
        ((file, listed),) = listed[0].items()
        assert file == CALIBRATION_PARAMS.as_posix()
    return listed


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_lists_the_sections_that_its_main_takes(name):
    """Whole and no others, but for the lists that a foreach runs over: those as far as the stage reads them."""
    main, parameters = main_of(name), parameters_of(name)
    sections = sections_of(main, parameters)
    asked = set(sections.values()) if "" not in sections.values() else set(parameters.model_fields)
    listed = [re.sub(r"\$\{(key|item)\}", "*", param) for param in listed_params(name)]
    one = {f"{given}s" for given in signature(main).parameters if given not in sections}
    assert one <= set(OF_ONE)
    expected = {f"{section}.*" if section in one else section for section in asked - {"compute"}}
    assert sorted(listed) == sorted(expected)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_all_of_each_section_that_it_lists(name):
    """So that no change of a parameter reruns what it cannot change."""
    main, parameters = main_of(name), parameters_of(name)
    for argument, section in sections_of(main, parameters).items():
        if not section:
            continue  # the report, which shows all of them
        read = keys_read(ROOT / f"stages/{name}.py", argument)
        keys = fields_of(name, section)
        if section in OF_ONE:  # the component's, or task's, own where the stage is of one
            one = section.removesuffix("s")
            assert read == ({one} if one in signature(main).parameters else None), section
        else:  # the list of keys of a section of one value is empty, and it is read whole
            assert read is None or read == keys, section


def keys_read(script: Path, argument: str) -> set[str] | None:
    """The keys of an argument of ``main`` that its source reads, attributes and names in brackets; all where the
    argument is used whole, as ``None``, or a method of it."""
    tree = ast.parse(script.read_text())
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    inside = {child: node for node in ast.walk(main) for child in ast.iter_child_nodes(node)}
    uses = [node for node in ast.walk(main) if isinstance(node, ast.Name) and node.id == argument]
    assert uses, f"{script.name} takes {argument} and does not read it"
    found = set()
    for use in uses:
        above = inside[use]
        if isinstance(above, ast.Attribute) and not hasattr(dict, above.attr) and above.attr != "model_dump":
            found.add(above.attr)
        elif isinstance(above, ast.Subscript) and above.value is use:
            found.add(ast.unparse(above.slice))
        elif isinstance(above, ast.Attribute) and (excluded := excluded_from(inside[above])):
            found |= {key for key in fields_of(script.stem, argument) if key not in excluded}
        else:
            return None
    return found


def excluded_from(call: ast.AST) -> set[str]:
    """The keys that ``model_dump(exclude=...)`` leaves out."""
    given = call.keywords if isinstance(call, ast.Call) else []
    return {key for keyword in given if keyword.arg == "exclude" for key in ast.literal_eval(keyword.value)}


def fields_of(name: str, section: str) -> set[str]:
    """The keys of a section, those of every kind where there are several kinds; none of one that is a value."""
    kind = parameters_of(name).model_fields[section].annotation
    return {key for one in (get_args(kind) or (kind,)) for key in getattr(one, "model_fields", {})}


def test_single_keys_are_listed_of_what_foreach_runs_over_alone():
    keys = {param for name in STAGES for param in listed_params(name) if "." in param}
    assert {re.sub(r"\$\{(key|item)\}", "*", key) for key in keys} == {
        "components.*", "texts.*", "models.*", "cases.*",
    }  # fmt: skip


def test_no_section_has_a_seed_of_its_own():
    for parameters in (Params, CalibrationParams):
        for field in parameters.model_fields.values():
            assert "seed" not in getattr(field.annotation, "model_fields", {})


def test_no_stage_depends_on_where_the_work_is_done():
    for name in STAGES:
        assert "compute" not in listed_params(name)
        assert not any("params.yaml" in dep for dep in definition(name)["deps"])


@pytest.mark.parametrize("name", STAGES)
def test_what_computes_depends_on_the_versions(name):
    assert ("requirements.lock" in definition(name)["deps"]) == (name not in ("judge",))


def test_imports_of_the_library_point_one_way():
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


def test_only_the_pipeline_knows_where_things_lie():
    for path in LIBRARY.rglob("*.py"):
        if path.parent.name not in ("pipeline", "cli"):
            assert "pipeline/layout.py" not in imported(path), path
            assert not re.search(r"""Path\(["'](?!/)""", path.read_text()), path


def test_no_file_of_the_pipeline_is_long():
    for name, most in {"dvc.yaml": 450, "params.yaml": 200}.items():
        assert len((ROOT / name).read_text().splitlines()) < most


def test_what_sums_up_a_run_is_taken_back_whole():
    """A run that is half made leaves nothing of the one before it; the metrics say so themselves."""
    written = {name for stage in SUMMING_UP for out in STAGES[stage]["outs"] for name in out}
    assert written <= {path.as_posix() for path in SUMMARIES}


def test_no_stage_is_long():
    for path in (ROOT / "stages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 65, path
