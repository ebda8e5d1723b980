"""The pages as a site: it builds, strictly, so that links lead somewhere. Skipped where mkdocs is not installed."""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINKED = ("README.md", "docs", "examples", "benchmarks", "results", "src", "site", "data/own")


@pytest.mark.slow
def test_the_site_builds_and_has_every_page(tmp_path):
    pytest.importorskip("mkdocs")
    for part in LINKED:
        place = tmp_path / "build/pages" / part
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(ROOT / part)
    (tmp_path / "src").symlink_to(ROOT / "src")
    (tmp_path / "site").mkdir()
    shutil.copy(ROOT / "site/mkdocs.yml", tmp_path / "site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--config-file", "site/mkdocs.yml"]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").glob("*.md"):
        assert (tmp_path / "build/site/docs" / f"{page.stem}.html").exists()


def test_the_makefile_links_what_the_site_names():
    made = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(part.rpartition("/")[2] in made for part in LINKED)
    named = (ROOT / "site/mkdocs.yml").read_text(encoding="utf-8")
    assert all(f": docs/{page.name}" in named for page in (ROOT / "docs").glob("*.md"))


def test_what_the_reference_names_is_there():
    names = re.findall(r"^::: (\S+)$", (ROOT / "site/api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    assert all(pkgutil.resolve_name(name) is not None for name in names)
