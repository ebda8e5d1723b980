from pathlib import Path

import pandas as pd
import pytest
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.files import (
    atomic_folder,
    atomic_write,
    check_free,
    read_json,
    read_table,
    read_tensors,
    read_yaml,
    write_table,
    write_tensors,
)


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_write(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


def test_what_a_killed_run_left_behind_is_cleared(tmp_path):
    left = tmp_path / ".out.partial"
    left.mkdir()
    (left / "rubbish").write_text("")
    with atomic_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("whole")
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "a"]


def test_unreadable_files_are_named(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.randn(100, 100)})
    path.write_bytes(path.read_bytes()[:-100])
    table = tmp_path / "t.parquet"
    table.write_bytes(b"PAR1 no")
    (tmp_path / "y.yaml").write_text("a: [")
    for read, name in (
        (read_yaml, "y.yaml"),
        (read_tensors, "x.safetensors"),
        (read_table, "t.parquet"),
        (read_json, "none.json"),
    ):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_come_back(tmp_path, suffix):
    table = pd.DataFrame(dict(a=[1, 2], b=["x", "y"]))
    write_table(tmp_path / f"t.{suffix}", table)
    assert read_table(tmp_path / f"t.{suffix}").equals(table)


def test_a_folder_is_there_until_what_replaces_it_stands(tmp_path, monkeypatch):
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").write_text("old")
    replace, named = Path.replace, []

    def stopped(self, target):
        named.append(target.name)
        if len(named) == 2:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt), atomic_folder(path) as partial:
            (partial / "new").write_text("new")
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "old"]
    with atomic_folder(path) as partial:
        (partial / "new").write_text("new")
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "new"]


def test_a_folder_with_more_than_a_run_writes_is_left_alone(tmp_path):
    check_free(tmp_path / "out", ("mark", "more"), False)
    (tmp_path / "out").mkdir()
    check_free(tmp_path / "out", ("mark", "more"), False)
    (tmp_path / "out/more").write_text("")
    with pytest.raises(InputError, match=r"holds something else \(more\)"):
        check_free(tmp_path / "out", ("mark", "more"), True)
    (tmp_path / "out/mark").write_text("")
    with pytest.raises(InputError, match="add --force"):
        check_free(tmp_path / "out", ("mark", "more"), False)
    check_free(tmp_path / "out", ("mark", "more"), True)
    (tmp_path / "out/notes.txt").write_text("")
    with pytest.raises(InputError, match=r"holds something else \(notes.txt\)"):
        check_free(tmp_path / "out", ("mark", "more"), True)
    (tmp_path / "out/notes.txt").unlink()
    (tmp_path / "out/more").unlink()
    (tmp_path / "out/more").mkdir()
    with pytest.raises(InputError, match=r"holds something else \(more\)"):
        check_free(tmp_path / "out", ("mark", "more"), True)
