import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.replay import record
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.localise import (
    DIFFERING,
    EMBEDDED,
    END,
    FURTHER,
    MLP_OUTPUT,
    NEXT,
    POSITION,
    RESIDUAL,
    TOKEN_ITSELF,
    TOKENS,
    all_sites,
    find_window,
    localise,
    map_tokens,
    patch_whole,
    swaps_of,
    token_kinds,
    window_of,
)
from subspace_illusion.subspace.pairs import recorded_pairs


@pytest.mark.parametrize(
    ("embedded", "effects", "parallel", "writes", "reads", "mlps"),
    [
        (0.0, [0.0, 0.1, 3.0, 3.1, 0.2, 0.0], False, 2, 4, [2, 3]),
        (0.0, [0.0, 0.1, 3.0, 3.1, 0.2, 0.0], True, 2, 4, [3]),
        (0.0, [2.0, 0.0], False, 0, 1, [0]),
        (2.0, [2.0, 2.1, 0.1, 0.0], False, TOKEN_ITSELF, 2, [0, 1]),
        (2.0, [2.0, 2.1, 0.1, 0.0], True, TOKEN_ITSELF, 2, [0, 1]),
        (2.0, [0.1, 0.0], False, TOKEN_ITSELF, 0, []),
        (1.0, [3.0, 3.0, 0.5], False, 0, 2, [0, 1]),
    ],
)
def test_the_window_lies_between_the_steepest_rise_and_the_steepest_fall(
    embedded, effects, parallel, writes, reads, mlps
):
    window = find_window(embedded, effects, parallel)
    assert (window.writes, window.reads, window.mlps) == (writes, reads, mlps)


def test_a_block_without_an_mlp_has_none_between():
    rows = [dict(kind=EMBEDDED, block=0, effect=0.0)]
    rows += [dict(kind=RESIDUAL, block=block, effect=effect) for block, effect in enumerate([0.0, 1.0, 1.0, 0.0])]
    mlp = [dict(kind=MLP_OUTPUT, block=2, effect=0.0)]
    assert window_of(pd.DataFrame(rows), parallel_blocks=False).mlps == []
    assert window_of(pd.DataFrame(rows + mlp), parallel_blocks=False).mlps == [2]


def test_one_block_has_no_window():
    with pytest.raises(InputError, match="one block"):
        find_window(0.0, [1.0], False)


LAYOUTS = [((7, 6), (7, 6)), ((7, 3), (7, 3)), ((8, 5), (6, 1))]
IDS = ["END", "before END", "different lengths"]


def in_layout(base: tuple[int, int], source: tuple[int, int]) -> tuple[pd.DataFrame, list[tuple[int, int, str]]]:
    """Three pairs of random prompts: of base prompts and of sources the length and the position."""
    generator = torch.Generator().manual_seed(sum(base) + 10 * sum(source))
    layouts = [base] * 3 + [source] * 3
    tokens = {i: torch.randint(1, 500, (n,), generator=generator).tolist() for i, (n, _) in enumerate(layouts)}
    prompts = prompts_of(tokens, {i: at for i, (_, at) in enumerate(layouts)})
    return prompts, [(i, i + 3, "a") for i in range(3)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=IDS)
def test_components_are_patched_as_by_full_forward_passes(model, layout):
    prompts, rows = in_layout(*layout)
    sites = [site for of_block in all_sites(model) for site in of_block]
    pairs = recorded_pairs(model, prompts, pairs_of(model, prompts, rows), sites, 0, 3)
    outcomes = patch_whole(pairs)
    assert list(outcomes) == sites
    bases, at = torch.tensor(prompts["tokens"].tolist()[:3]), layout[0][1]
    for site in sites:
        by_hand = record(model, bases, changes={site: pairs.source(site) - pairs.base(site)}, position=at)
        assert abs(outcomes[site].ld - Outcome.of(by_hand.logits, pairs.answer, pairs.foil).ld).max() < 1e-4


def test_patching_the_last_residual_gives_the_source(llama):
    prompts, rows = in_layout((6, 5), (6, 5))
    sites = [site for of_block in all_sites(llama) for site in of_block]
    pairs = recorded_pairs(llama, prompts, pairs_of(llama, prompts, rows), sites, 0, 3)
    sources = record(llama, torch.tensor(prompts["tokens"].tolist()[3:])).logits
    of_sources = Outcome.of(sources, pairs.answer, pairs.foil)
    assert abs(patch_whole(pairs)[residual_after(3)].ld - of_sources.ld).max() < 1e-4


def test_tiny_models_are_the_same_every_time():
    a, b = (tiny.hf_model("neox", 50).state_dict() for _ in range(2))
    assert all(torch.equal(a[name], b[name]) for name in a)


def prompts_of(tokens: dict[int, list[int]], at: dict[int, int] | None = None) -> pd.DataFrame:
    ends = [len(row) - 1 for row in tokens.values()]
    position = ends if at is None else [at[number] for number in tokens]
    return pd.DataFrame(dict(prompt=list(tokens), tokens=list(tokens.values()), end=ends, position=position))


def pairs_of(model: Model, prompts: pd.DataFrame, rows: list[tuple[int, int, str]]) -> pd.DataFrame:
    """Pairs as base prompts, sources and groups, with their clean LD."""
    ld = {
        row.prompt: float(record(model, torch.tensor([row.tokens])).logits[0, [2, 1]].diff())
        for row in prompts.itertuples()
    }
    listed = [dict(base=b, source=s, group=g, answer_id=1, foil_id=2, ld=ld[b]) for b, s, g in rows]
    return pd.DataFrame(listed)


def test_the_table_has_a_row_a_component_and_its_pairs_in_any_order(llama):
    prompts = prompts_of({0: [5, 6, 7, 8], 1: [9, 6, 7, 8], 2: [5, 6, 7, 8, 9, 10], 3: [4, 6, 7, 8, 9, 10]})
    pairs = pairs_of(llama, prompts, [(2, 3, "b"), (0, 1, "a"), (3, 2, "b"), (1, 0, "a")])
    found = localise(llama, prompts, pairs, batch=1, resamples=100, seed=0)
    assert len(found) == 1 + 4 * (4 + llama.n_heads)
    assert (found["pairs"] == 4).all()
    # The last residual stream gives each pair its source's LD, and the sources are the base prompts in another order.
    last = found[found["site"] == residual_after(3).name].iloc[0]
    assert abs(last["effect"]) < 1e-4
    assert abs(last["ld_clean"] - pairs["ld"].mean()) < 1e-5
    again = localise(llama, prompts, pairs.iloc[::-1], batch=4, resamples=100, seed=0)
    assert abs(again["effect"] - found["effect"]).max() < 1e-4


def mixed() -> tuple[pd.DataFrame, list[tuple[int, int, str]]]:
    """Prompts of several layouts: pairs whose tails have one length and others whose tails have not."""
    generator = torch.Generator().manual_seed(4)
    layouts = [(7, 3), (7, 3), (7, 6), (7, 6), (9, 3), (6, 1), (8, 4), (8, 4)]
    tokens = {i: torch.randint(1, 500, (n,), generator=generator).tolist() for i, (n, _) in enumerate(layouts)}
    tokens[1][0] = tokens[0][0]
    tokens[7][:4] = tokens[6][:4]  # nothing differs before the position
    rows = [(0, 1, "a"), (1, 0, "a"), (2, 3, "b"), (4, 5, "c"), (5, 4, "c"), (6, 7, "d"), (0, 4, "e")]
    return prompts_of(tokens, {i: at for i, (_, at) in enumerate(layouts)}), rows


@pytest.mark.parametrize("size", [1, 3])
def test_components_of_pairs_in_mixed_layouts(llama, size):
    """By hand: a full forward pass for every pair."""
    prompts, rows = mixed()
    pairs = pairs_of(llama, prompts, rows)
    done: list[int] = []
    found = localise(llama, prompts, pairs, batch=size, resamples=100, seed=0, on_pairs=done.append).set_index("site")
    assert sum(done) == len(rows)
    by_number = prompts.set_index("prompt")
    for site in (residual_after(1), Site(2, "mlp.hook_post"), Site(1, "attn.hook_z", 2)):
        x = {
            row.prompt: record(llama, torch.tensor([row.tokens]), [site], position=row.position).activations[site]
            for row in prompts.itertuples()
        }
        effects = []
        for base, source, _ in rows:
            tokens, at = torch.tensor([by_number["tokens"][base]]), int(by_number["position"][base])
            logits = record(llama, tokens, changes={site: x[source] - x[base]}, position=at).logits
            effects.append(float(pairs.loc[pairs["base"] == base, "ld"].iloc[0] - (logits[0, 1] - logits[0, 2])))
        assert found.loc[site.name, "effect"] == pytest.approx(sum(effects) / len(effects), abs=1e-4)


# The map of tokens


def test_kinds_of_token_by_hand():
    def kinds(base: list[int], base_at: int, source: list[int], source_at: int) -> dict[str, list[tuple[int, int]]]:
        return token_kinds(base, source, base_at, source_at)

    # IOI: the position is END, and the names differ.
    assert kinds([1, 7, 3, 8, 5], 4, [1, 8, 3, 7, 5], 4) == {DIFFERING: [(1, 1), (3, 3)], END: [(4, 4)]}
    # A fact: three tokens of a subject, then four more.
    assert kinds([1, 7, 7, 7, 2, 3, 4, 5], 3, [1, 8, 7, 9, 2, 3, 4, 5], 3) == {
        DIFFERING: [(1, 1)], POSITION: [(3, 3)], NEXT: [(4, 4)], FURTHER: [(5, 5), (6, 6)], END: [(7, 7)]
    }  # fmt: skip
    # Subjects of two lengths: what stands before them is not compared, and what follows is counted from them.
    assert kinds([1, 7, 7, 2, 3, 4], 2, [1, 8, 2, 3, 4], 1) == {
        POSITION: [(2, 1)], NEXT: [(3, 2)], FURTHER: [(4, 3)], END: [(5, 4)]
    }  # fmt: skip
    # Tails of two lengths: no further tokens have a counterpart, and END stands at the end of either.
    assert kinds([1, 7, 2, 3, 4, 5], 1, [1, 8, 2, 5], 1) == {POSITION: [(1, 1)], NEXT: [(2, 2)], END: [(5, 3)]}
    # Next to END, and at END in one prompt alone.
    assert kinds([1, 7, 5], 1, [1, 8, 5], 1) == {POSITION: [(1, 1)], END: [(2, 2)]}
    assert kinds([1, 7, 5], 1, [1, 8, 5, 5], 1) == {POSITION: [(1, 1)], END: [(2, 3)]}
    assert kinds([1, 7, 5], 1, [1, 8], 1) == {END: [(2, 1)]}


def streams_of(model: Model, tokens: list[int]) -> list[torch.Tensor]:
    """The residual stream after every block in a full forward pass, ``[1, length, d_model]`` each."""
    found = []
    hooks = [(residual_after(block).hook, lambda x, hook: found.append(x.detach().clone())) for block in range(4)]
    with torch.no_grad(), model.bridge.hooks(fwd_hooks=hooks):
        model.bridge.original_model(input_ids=torch.tensor([tokens]))
    return found


def patched_by_hook(
    model: Model, tokens: list[int], stream: torch.Tensor, places: list[tuple[int, int]], block: int
) -> float:
    """LD of a full forward pass in which the residual stream after a block is, at some tokens, the source's."""

    def write(x: torch.Tensor, hook: object) -> torch.Tensor:
        x = x.clone()
        for to, of in places:
            x[:, to] = stream[:, of]
        return x

    with torch.no_grad(), model.bridge.hooks(fwd_hooks=[(residual_after(block).hook, write)]):
        logits = model.bridge.original_model(input_ids=torch.tensor([tokens])).logits[0, -1]
    return float(logits[1] - logits[2])


def test_the_map_is_that_of_full_forward_passes(model):
    """Pair by pair, whatever other pairs share the batch: also where tails differ in length, and tokens that differ."""
    prompts, rows = mixed()
    tokens, at = prompts["tokens"].tolist(), prompts["position"].tolist()
    pairs = pairs_of(model, prompts, rows)
    streams = [streams_of(model, row) for row in tokens]
    kinds = [token_kinds(tokens[b], tokens[s], at[b], at[s]) for b, s, _ in rows]
    expected = {}
    for kind in TOKENS:
        having = [place for place, of_pair in enumerate(kinds) if kind in of_pair]
        for block in range(4):
            clean = pairs["ld"].iloc[having].mean()
            ld = [
                patched_by_hook(model, tokens[rows[i][0]], streams[rows[i][1]][block], kinds[i][kind], block)
                for i in having
            ]
            expected[kind, block] = (len(having), clean, clean - sum(ld) / len(ld))
    for size in (1, 8):
        done: list[int] = []
        swaps = swaps_of(prompts, pairs)
        found = map_tokens(model, pairs, swaps, batch=size, resamples=100, seed=0, on_pairs=done.append)
        assert sum(done) == sum(map(len, kinds))
        assert list(zip(found["tokens"], found["block"], strict=True)) == list(expected)
        for row in found.itertuples():
            number, clean, effect = expected[row.tokens, row.block]
            assert row.pairs == number
            assert row.ld_clean == pytest.approx(clean, abs=1e-5)
            assert row.effect == pytest.approx(effect, abs=1e-4)
        assert found["effect"].abs().max() > 0.1


def test_pairs_in_which_other_tokens_differ_are_patched_at_their_own(llama):
    """Two pairs of one layout: the map is that of each alone, in one batch as in two."""
    prompts = prompts_of({0: [5, 6, 7, 8, 9], 1: [4, 6, 7, 8, 9], 2: [15, 16, 17, 18, 19], 3: [15, 16, 14, 18, 19]})
    pairs = pairs_of(llama, prompts, [(0, 1, "a"), (2, 3, "b")])
    swaps = swaps_of(prompts, pairs)
    together, apart = (map_tokens(llama, pairs, swaps, batch=size, resamples=100, seed=0) for size in (2, 1))
    pd.testing.assert_frame_equal(together, apart, atol=1e-4)


def test_a_map_at_end_has_no_tokens_behind_the_position(llama):
    prompts = prompts_of({0: [5, 6, 7, 8], 1: [9, 6, 7, 8]})
    pairs = pairs_of(llama, prompts, [(0, 1, "a"), (1, 0, "a")])
    found = map_tokens(llama, pairs, swaps_of(prompts, pairs), batch=4, resamples=100, seed=0)
    assert found["tokens"].unique().tolist() == [DIFFERING, END]
    # After the last block only END is read.
    last = found[found["block"] == 3].set_index("tokens")["effect"]
    assert last[DIFFERING] == pytest.approx(0, abs=1e-5)
    whole = localise(llama, prompts, pairs, batch=4, resamples=100, seed=0).set_index("site")
    for block in range(4):
        at_end = found[(found["tokens"] == END) & (found["block"] == block)]["effect"].iloc[0]
        assert at_end == pytest.approx(whole.loc[residual_after(block).name, "effect"], abs=1e-4)
