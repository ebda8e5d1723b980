import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion.core.activations import Activations, sites_of, write_manifest, write_shard
from subspace_illusion.core.replay import Tail, record
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_json, read_table, read_tensors, whole, whole_folder, write_table, write_tensors


def test_a_failed_write_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail() -> None:
        with whole(path) as partial:
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
    with whole_folder(tmp_path / "out") as partial:
        (partial / "a").write_text("whole")
    assert [file.name for file in tmp_path.rglob("*")] == ["out", "a"]


def test_unreadable_files_are_named(tmp_path):
    path = tmp_path / "x.safetensors"
    write_tensors(path, {"x": torch.randn(100, 100)})
    path.write_bytes(path.read_bytes()[:-100])
    table = tmp_path / "t.parquet"
    table.write_bytes(b"PAR1 no")
    for read, name in ((read_tensors, "x.safetensors"), (read_table, "t.parquet"), (read_json, "none.json")):
        with pytest.raises(InputError, match=f"{name} cannot be read"):
            read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_come_back(tmp_path, suffix):
    table = pd.DataFrame(dict(a=[1, 2], b=["x", "y"]))
    write_table(tmp_path / f"t.{suffix}", table)
    assert read_table(tmp_path / f"t.{suffix}").equals(table)


def test_the_cache_gives_back_what_was_recorded_in_any_order(tmp_path):
    model, site = tiny.tiny_model("llama"), Site(2, "mlp.hook_post")
    tokens = [torch.randint(1, 500, (3, length), generator=torch.Generator().manual_seed(length)) for length in (6, 9)]
    recordings = [record(model, batch, sites_of(site), tail_from=2) for batch in tokens]
    rows = []
    for shard, (batch, recording) in enumerate(zip(tokens, recordings, strict=True)):
        write_shard(tmp_path, f"{shard:04d}", recording)
        rows += [dict(prompt=len(rows) + i, shard=f"{shard:04d}", row=i, length=batch.shape[1]) for i in range(3)]
    write_table(tmp_path / "index.parquet", pd.DataFrame(rows))
    write_manifest(tmp_path, "mlp2", site, model.n_blocks)
    cached = Activations(tmp_path)
    order = [4, 0, 5, 5, 2]
    everything = torch.cat([recording.activations[site] for recording in recordings])
    assert torch.equal(cached.at(site, order), everything[order])
    expected = Tail.cat([recording.tail for recording in recordings]).rows(torch.tensor(order))
    got = cached.tail(2, model.n_blocks, order)
    assert torch.equal(got.lengths, expected.lengths)
    for block in (2, 3):
        assert torch.equal(got.keys[block], expected.keys[block])
        assert torch.equal(got.values[block], expected.values[block])
    assert torch.equal(got.residual[2], expected.residual[2])
    assert cached.site("mlp2") == site
    named = read_json(tmp_path / "components" / "mlp2.json")["files"]
    assert {name.split("/")[0] for name in named} == {site.name for site in sites_of(site)} | {"tail.2", "tail.3"}
