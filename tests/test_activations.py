import pandas as pd
import torch

import tiny
from subspace_illusion.core.activations import Activations, cache_shard, finish_cache, megabytes, shards_of, sites_of
from subspace_illusion.core.replay import Tail, record
from subspace_illusion.core.sites import Site
from subspace_illusion.files import read_json


def test_the_cache_gives_back_what_was_recorded_in_any_order(tmp_path):
    model, site = tiny.tiny_model("llama"), Site(2, "mlp.hook_post")
    tokens = [torch.randint(1, 500, (3, length), generator=torch.Generator().manual_seed(length)) for length in (6, 9)]
    rows = [list(prompt) for batch in tokens for prompt in batch.tolist()]
    prompts = pd.DataFrame(
        dict(prompt=range(6), split="test", template=0, tokens=rows, end=[len(row) - 1 for row in rows], is_base=True)
    )
    prompts = prompts.assign(io_id=1, s_id=2)
    sites = sites_of(site)
    shards = shards_of(prompts, 64)
    assert [len(shard) for shard in shards] == [3, 3]  # a shard has one length
    index = [cache_shard(tmp_path, f"{i:04d}", model, shard, sites, 2) for i, shard in enumerate(shards)]
    finish_cache(tmp_path, model, {"mlp2": site}, index)
    recordings = [record(model, batch, sites, tail_from=2) for batch in tokens]

    cached = Activations(tmp_path)
    order = [4, 0, 5, 5, 2]
    everything = torch.cat([recording.activations[site] for recording in recordings])
    assert torch.equal(cached.at(site, order), everything[order])
    expected = Tail.cat([recording.tail for recording in recordings]).rows(torch.tensor(order))
    got = cached.tail(2, order)
    assert torch.equal(got.lengths, expected.lengths)
    for block in (2, 3):
        assert torch.equal(got.keys[block], expected.keys[block])
        assert torch.equal(got.values[block], expected.values[block])
    assert torch.equal(got.residual[2], expected.residual[2])
    logits = torch.cat([recording.logits for recording in recordings])
    assert torch.allclose(torch.tensor(cached.index["ld"].to_numpy()), logits[:, 1] - logits[:, 2])
    assert cached.site("mlp2") == site
    assert torch.equal(cached.readout("mlp2"), model.readout(site))
    named = read_json(tmp_path / "components" / "mlp2.json")["files"]
    folders = {site.name for site in sites} | {"tail.2", "tail.3", "readout"}
    assert {name.split("/")[0] for name in named} == folders


def test_the_size_said_beforehand_is_the_size_on_disk(tmp_path):
    model, site = tiny.tiny_model("gpt2"), Site(1, "hook_resid_post")
    prompts = pd.DataFrame(
        dict(prompt=range(4), split="test", template=0, tokens=[[5] * 30] * 4, end=29, is_base=[True, False] * 2)
    )
    prompts = prompts.assign(io_id=1, s_id=2)
    sites = sites_of(site)
    said = megabytes(model, prompts, sites, 2)
    for number, shard in enumerate(shards_of(prompts, 64)):
        cache_shard(tmp_path, f"{number:04d}", model, shard, sites, 2)
    on_disk = sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors")) / 1e6
    assert said <= on_disk <= said + 0.01  # headers
