from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion.core.activations import (
    Activations,
    cache_shard,
    finish_cache,
    megabytes,
    shards_of,
    sites_of,
    starts_of,
    with_clean,
)
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, residual_after, residual_entering
from subspace_illusion.core.tail import Tail
from subspace_illusion.files import read_json

MLP = Site(2, "mlp.hook_post")
RESID = Site(1, "hook_resid_post")


def prompts_of(lengths: Sequence[int], positions: Sequence[int], has_tail: bool = True) -> pd.DataFrame:
    """Random prompts of these lengths, each read at its position."""
    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randint(1, 500, (length,), generator=generator).tolist() for length in lengths]
    ends = [length - 1 for length in lengths]
    return pd.DataFrame(dict(prompt=range(len(tokens)), tokens=tokens, end=ends, position=positions, has_tail=has_tail))


PAIRS = pd.DataFrame(dict(pair=[0, 1], base=[0, 3], source=[4, 1], answer_id=[1, 3], foil_id=[2, 4]))


def cached_in(folder: Path, model: Model, prompts: pd.DataFrame, components: dict[str, Site], size: int) -> Activations:
    sites = list(dict.fromkeys(site for component in components.values() for site in sites_of(component)))
    made = [
        cache_shard(folder, f"{i:04d}", model, shard, PAIRS, [*components.values()], sites)
        for i, shard in enumerate(shards_of(prompts, size))
    ]
    index, clean = zip(*made, strict=True)
    finish_cache(folder, model, components, index, with_clean(PAIRS, clean))
    return Activations(folder)


@pytest.mark.parametrize(
    "positions", [(5, 5, 5, 8, 8, 8), (2, 5, 2, 8, 3, 3), (2, 2, 4, 0, 6, 0)], ids=["END", "mixed", "before END"]
)
def test_the_cache_gives_back_what_was_recorded_in_any_order(tmp_path, positions):
    """Also where prompts of several lengths are read at several tokens, so that tails differ on both sides."""
    model, components = tiny.tiny_model("llama"), dict(mlp2=MLP, resid1=RESID)
    prompts = prompts_of((6, 6, 6, 9, 9, 9), positions)
    shards = shards_of(prompts, 64)
    for shard in shards:  # a shard has one layout
        assert shard[["end", "position"]].drop_duplicates().shape == (1, 2)
    assert len(shards) == len({*zip(prompts["end"], positions, strict=True)})
    cached = cached_in(tmp_path, model, prompts, components, 64)
    read = [*sites_of(MLP), *sites_of(RESID)]
    each = [
        record(model, torch.tensor([row.tokens]), read, tail_from=2, position=row.position)
        for row in prompts.itertuples()
    ]

    order = [4, 0, 5, 5, 2]
    for site in read:
        everything = torch.cat([recording.activations[site] for recording in each])
        torch.testing.assert_close(cached.at(site, order), everything[order], atol=1e-5, rtol=1e-5)
    everything = Tail.cat([recording.tail for recording in each])
    for start in (2, 3):
        expected = everything.rows(torch.tensor(order))
        got = cached.tail(start, order)
        assert torch.equal(got.lengths, expected.lengths)
        assert torch.equal(got.positions, expected.positions)
        for block in range(start, 4):
            torch.testing.assert_close(got.keys[block], expected.keys[block], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(got.values[block], expected.values[block], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(got.residual[start], expected.residual[start], atol=1e-5, rtol=1e-5)
    assert torch.equal(cached.tail_lengths(order), expected.ends + 1)
    some = cached.tail(2, [0])  # no more padding than is needed
    assert (some.residual[2].shape[1], some.keys[2].shape[2]) == (6 - positions[0], positions[0])

    logits = torch.cat([recording.logits for recording in each])
    stored = pd.read_parquet(tmp_path / "pairs.parquet")
    for side, column in (("base", "ld"), ("source", "ld_source")):
        rows = torch.tensor(PAIRS[side].tolist())
        by_hand = logits[rows, PAIRS["answer_id"].tolist()] - logits[rows, PAIRS["foil_id"].tolist()]
        torch.testing.assert_close(torch.tensor(stored[column].to_numpy()).float(), by_hand, atol=1e-4, rtol=0)


def test_a_components_manifest_names_what_its_training_reads(tmp_path):
    model = tiny.tiny_model("llama")
    cached = cached_in(tmp_path, model, prompts_of((6,) * 6, (3,) * 6), dict(mlp2=MLP, resid1=RESID), 64)
    for name, site in dict(mlp2=MLP, resid1=RESID).items():
        assert cached.site(name) == site
        named = read_json(tmp_path / "components" / f"{name}.json")["files"]
        folders = {site.name for site in sites_of(site)} | {"tail.2", "tail.3"}
        assert {file.split("/")[0] for file in named} == folders | ({"readout"} if site == MLP else set())
    assert torch.equal(cached.readout("mlp2"), model.readout(MLP))
    assert cached.readout("resid1") is None


def test_replays_start_at_components_and_behind_their_blocks():
    assert starts_of([MLP, Site(3, "hook_resid_pre"), RESID]) == [2, 3, 4]
    assert sites_of(MLP) == [MLP, residual_after(1), residual_after(2), Site(2, "mlp.hook_in")]
    assert residual_entering(0) == Site(0, "hook_resid_pre")


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("positions", [(29,) * 6, (12,) * 6, (12, 29, 0, 20, 12, 29)], ids=["END", "before", "mixed"])
def test_the_size_said_beforehand_is_the_size_on_disk(tmp_path, architecture, positions):
    model, components = tiny.tiny_model(architecture), [RESID, MLP]
    prompts = prompts_of((30,) * 6, positions, [True, False, True, True, True, False])
    sites = list(dict.fromkeys(site for component in components for site in sites_of(component)))
    said = megabytes(model, prompts, components, sites)
    shards = shards_of(prompts, 64)
    for number, shard in enumerate(shards):
        cache_shard(tmp_path, f"{number:04d}", model, shard, PAIRS, components, sites)
    on_disk = sum(payload(file) for file in tmp_path.rglob("*.safetensors"))
    assert said == pytest.approx(on_disk / 1e6)


def payload(file: Path) -> int:
    """Size of a safetensors file without its header."""
    raw = file.read_bytes()
    return len(raw) - 8 - int.from_bytes(raw[:8], "little")
