import pandas as pd
import pytest
import torch

from subspace_illusion.errors import InputError
from subspace_illusion.files import (
    atomic_folder,
    atomic_write,
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
