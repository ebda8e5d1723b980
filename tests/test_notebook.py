"""examples/audit.ipynb: its cells run, and the output that stands in it is the example's."""

import ast
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import subspace_illusion
import tiny

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples/audit.ipynb"
ANSWER = ROOT / "examples/probe/answer.txt"
SMALL: dict[str, Any] = dict(filter_incorrect=False, resamples=100, controls=False, calibrate=False, das=dict(steps=2))
"""Random weights are wrong about most pairs, so these are kept; the rest is for speed."""


def cells() -> list[dict[str, Any]]:
    """The cells of code."""
    return [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs a cell and gives what it shows: the value of its last line, where that is an expression."""
    body = ast.parse(source).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def test_its_cells_run_where_it_lies(tmp_path, monkeypatch, capsys):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    tiny.write_folder(tmp_path / "data/model")
    monkeypatch.chdir(tmp_path / "examples")
    monkeypatch.setattr(subspace_illusion, "audit", partial(subspace_illusion.audit, **SMALL))
    install, *rest = ["".join(cell["source"]) for cell in cells()]
    assert install.startswith("%pip install")
    assert len(install.splitlines()) == 1
    names: dict[str, Any] = {}
    shown = [run_cell(source.replace("blocks.10.", "blocks.1."), names) for source in rest]
    views = [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
    assert sum("blocks.1.mlp.hook_post" in view and "</table>" in view for view in views) == 1
    assert "blocks.1.mlp.hook_post, probe: " in capsys.readouterr().out
    assert (tmp_path / "examples/my-audit/report.html").exists()


def test_the_output_that_stands_in_it_is_the_examples():
    outputs = [output for cell in cells() for output in cell["outputs"]]
    assert not any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs)
    said = ["".join(output["text"]) for output in outputs if output["output_type"] == "stream"]
    assert ANSWER.read_text(encoding="utf-8") in said
    assert all(cell["execution_count"] for cell in cells()[1:])


@pytest.mark.parametrize("word", ["illusory", "inconclusive"])
def test_its_view_has_the_verdicts(word):
    views = [
        "".join(output["data"].get("text/html", ""))
        for cell in cells()
        for output in cell["outputs"]
        if "data" in output
    ]
    assert any(f'class="{word}"' in view for view in views)
