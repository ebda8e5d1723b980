import gc
from pathlib import Path

import pytest
import torch

from some_pairs import prompts_and_pairs
from subspace_illusion.core import recorded, replay
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs

SITES = [Site(1, "hook_resid_post"), Site(2, "mlp.hook_post")]


def pairs_in(model: Model, most: int, **given) -> Pairs:
    prompts, table = prompts_and_pairs()
    prompts["position"] = [2, 4, 6, 1] * 4
    return recorded_pairs(model, prompts, table, SITES, 1, 3, most=most, **given)


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_a_full_disk_is_one_line(llama: Model, temporary: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorded, "write_tensors", full)
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        pairs_in(llama, 0)


def test_logits_that_are_no_numbers_are_refused(llama: Model, monkeypatch: pytest.MonkeyPatch):
    overflown = lambda logits, *_: torch.full((len(logits),), torch.nan)  # noqa: E731
    monkeypatch.setattr("subspace_illusion.subspace.pairs.logit_difference", overflown)
    with pytest.raises(InputError, match=r"in 24 of 24 pairs .* no finite numbers in float32"):
        pairs_in(llama, 2**30)


@pytest.mark.parametrize("most", [0, 40_000])
def test_what_is_past_the_limit_is_on_disk_and_is_the_same(llama: Model, temporary: Path, most: int):
    in_memory, spilled = pairs_in(llama, 2**30), pairs_in(llama, most)
    (folder,) = temporary.iterdir()
    files = list(folder.iterdir())
    assert (len(files) < len(spilled.prompts._batches)) == (most > 0)
    rows = torch.tensor([5, 0, 5, 2])
    for site in SITES:
        assert torch.equal(in_memory.source(site), spilled.source(site))
        one, other = (pairs.tail(site.start)(rows) for pairs in (in_memory, spilled))
        assert torch.equal(one.positions, other.positions)
        for part in ("residual", "keys", "values"):
            here, there = getattr(one, part), getattr(other, part)
            assert here.keys() == there.keys()
            assert all(torch.equal(x, there[block]) for block, x in here.items())
    assert (in_memory.ld_clean == spilled.ld_clean).all()
    del spilled
    gc.collect()
    assert not folder.exists()


def test_an_interrupt_leaves_nothing_behind(llama: Model, temporary: Path, monkeypatch):
    def interrupted(self, number, tensors):
        if number == 2:
            assert len(list(temporary.glob("*/*"))) == 2
            raise KeyboardInterrupt
        return put_away(self, number, tensors)

    put_away = recorded.Recorded._put_away
    monkeypatch.setattr(recorded.Recorded, "_put_away", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pairs_in(llama, 0)
    gc.collect()
    assert not list(temporary.iterdir())


def test_tails_hold_the_streams_that_replays_start_from(llama: Model):
    tail = pairs_in(llama, 2**30, starts=[2]).tail(1)(torch.tensor([0]))
    assert [*tail.residual] == [2]
    assert [*tail.keys] == [1, 2, 3]


def test_long_prompts_are_run_fewer_at_a_time(llama: Model, monkeypatch):
    sizes, run = [], replay.record
    monkeypatch.setattr(
        replay,
        "record",
        lambda model, tokens, *rest, **more: sizes.append(len(tokens)) or run(model, tokens, *rest, **more),
    )
    found = pairs_in(llama, 2**30)
    monkeypatch.setattr(replay, "TOKENS", 1)
    assert abs(pairs_in(llama, 2**30).ld_clean - found.ld_clean).max() < 1e-5
    assert max(sizes) > 1
    assert set(sizes[len(sizes) - 16 :]) == {1}
