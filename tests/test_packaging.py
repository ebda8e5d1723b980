"""What is installed with the library is what it imports, and without the extras the library and the command work."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tiny
from subspace_illusion.cli import main as command
from subspace_illusion.cli.main import COMMANDS, EXTRAS

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "src/subspace_illusion"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ABOVE = ("pipeline", "cli")
"""The rooms that may import what an extra brings."""
CALLED = {"sklearn": "scikit_learn", "yaml": "pyyaml", "hydra": "hydra_core", "omegaconf": "hydra_core"}
"""Packages that are installed under another name than they are imported; Hydra brings omegaconf."""
EXTRA_MODULES = ("bokeh", "dask", "distributed", "dvc", "hydra", "omegaconf", "ruamel")


def installed(requirements: list[str]) -> set[str]:
    """The names of requirements, as they are imported."""
    return {re.match(r"[\w-]+", line).group().lower().replace("-", "_") for line in requirements}


CORE = installed(PROJECT["dependencies"])


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The packages that a file imports from outside, and whether it does so as soon as it is imported itself."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        for name in names:
            root = name.partition(".")[0]
            if root not in sys.stdlib_module_names and root != "subspace_illusion":
                yield CALLED.get(root, root), node in tree.body


def test_what_the_library_imports_is_installed_with_it():
    extras = installed([*PROJECT["optional-dependencies"]["pipeline"], *PROJECT["optional-dependencies"]["cluster"]])
    for path in LIBRARY.rglob("*.py"):
        above = path.relative_to(LIBRARY).parts[0] in ABOVE
        for package, at_once in imports(path):
            assert package in CORE or (above and package in extras and not at_once), (path, package)


def test_the_locks_and_the_extras_name_the_same_packages():
    locked = {"pipeline": "requirements.lock", "cluster": "requirements-cluster.lock", "test": "requirements-test.lock"}
    for extra, lock in locked.items():
        there = installed((ROOT / lock).read_text().splitlines())
        own = installed(PROJECT["optional-dependencies"][extra]) - {"subspace_illusion"}
        assert own <= there, extra
    assert installed((ROOT / "requirements.lock").read_text().splitlines()) >= CORE


@pytest.mark.parametrize("package", EXTRAS)
def test_a_command_that_lacks_an_extra_says_so_in_one_line(package, monkeypatch, capsys):
    def lacks(options):
        raise ModuleNotFoundError(f"No module named '{package}.api'", name=f"{package}.api")

    monkeypatch.setattr(sys, "argv", ["subspace-illusion", "tasks"])
    monkeypatch.setattr("subspace_illusion.cli.tasks.run", lacks)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert f"subspace-illusion tasks needs {package}: pip install 'subspace-illusion[" in str(ended.value)
    assert "\n" not in str(ended.value)


def test_a_package_that_no_extra_brings_is_no_matter_of_extras(monkeypatch):
    def lacks(options):
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(sys, "argv", ["subspace-illusion", "tasks"])
    monkeypatch.setattr("subspace_illusion.cli.tasks.run", lacks)
    with pytest.raises(ModuleNotFoundError, match="numpy"):
        command.main()


def test_help_names_every_command_and_imports_none():
    looked = "import sys; sys.argv[1:] = ['--help']\nfrom subspace_illusion.cli.main import main\n"
    looked += "try: main()\nexcept SystemExit: print('torch' in sys.modules, 'pandas' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", looked], capture_output=True, text=True, check=True).stdout
    assert all(re.search(rf"^ +{name} +\S", said, re.MULTILINE) for name in COMMANDS)
    assert said.endswith("False False\n")


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Path:
    """The programs of a fresh environment with the library installed, in which nothing of an extra can be imported.

    What else it needs it borrows from this one, because torch is large.
    """
    top = tmp_path_factory.mktemp("fresh")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, top / name)
    shutil.copytree(ROOT / "src", top / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", top / "venv"], check=True)
    programs = top / "venv" / Path(sysconfig.get_path("scripts")).name
    pip = [sys.executable, "-m", "pip", "--python", programs / "python", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", top], check=True)
    (site,) = (top / "venv").rglob("site-packages")
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (site / "sitecustomize.py").write_text(
        "import sys\n"
        "class Lacking:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name.partition('.')[0] in {EXTRA_MODULES}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Lacking())\n"
    )
    return programs


def run(environment: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of the environment in a folder, with nothing of this project's in sight."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    program, *rest = arguments
    return subprocess.run([environment / program, *rest], cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.slow
def test_without_the_extras_the_command_says_what_it_can(environment, tmp_path):
    for arguments in (["--help"], ["audit", "--help"]):
        done = run(environment, tmp_path, "subspace-illusion", *arguments)
        assert done.returncode == 0, done.stderr
        assert "usage: subspace-illusion" in done.stdout
    done = run(environment, tmp_path, "subspace-illusion", "tasks")
    assert done.stderr.strip() == "error: subspace-illusion tasks needs dvc: pip install 'subspace-illusion[pipeline]'"
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_without_the_extras_and_in_an_empty_folder_python_audits(environment, tmp_path):
    tiny.write_folder(tmp_path / "model")
    shutil.copy(tiny.EXAMPLE, tmp_path / "pairs.csv")
    (tmp_path / "empty").mkdir()
    asked = (
        "import numpy as np, subspace_illusion\n"
        f"assert {str(ROOT)!r} not in subspace_illusion.__file__\n"
        "w = np.random.default_rng(0).normal(size=64)\n"
        "found = subspace_illusion.audit('../model', '../pairs.csv', 'blocks.1.mlp.hook_post', {'mine': w},\n"
        "                                filter_incorrect=False, train=False, resamples=200)\n"
        "print(found)\n"
        "found.report('audit.html')\n"
    )
    done = run(environment, tmp_path / "empty", "python", "-c", asked)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("blocks.1.mlp.hook_post, mine: ")
    assert [file.name for file in (tmp_path / "empty").iterdir()] == ["audit.html"]
