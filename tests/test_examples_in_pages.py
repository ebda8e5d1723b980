"""The Python of README and docs does what it says, on a small model."""

import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

import tiny

TOP = Path(__file__).parents[1]
PAGES = ("README.md", "docs/contributing.md", "docs/inputs.md", "examples/probe/README.md")
W = np.linspace(-1, 1, 64, dtype=np.float32)
"""A direction of the small model's MLPs."""


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What a user puts in is put in: a model, whose blocks are fewer, pairs and a direction."""
    monkeypatch.chdir(tmp_path)
    tiny.write_folder(Path("model"))
    shutil.copy(tiny.EXAMPLE, "pairs.csv")
    np.save("probe.npy", W)
    blocks = re.findall(r"^```python\n(.*?)^```$", (TOP / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    given = {r"(path/to|data)/model": "model", "examples/probe/pairs.csv": "pairs.csv", r"blocks\.\d+\.": "blocks.1."}
    for said, here in given.items():
        blocks[0] = re.sub(said, here, blocks[0])
    Path("page.py").write_text(blocks[0], encoding="utf-8")
    done = runpy.run_path("page.py", dict(w=W))
    assert {"found", "logits"} & done.keys()


def test_every_page_with_python_is_run():
    pages = [TOP / "README.md", *(TOP / "docs").glob("*.md"), *(TOP / "examples").glob("*/*.md")]
    with_python = {page.relative_to(TOP).as_posix() for page in pages if "```python" in page.read_text("utf-8")}
    assert with_python == set(PAGES)
