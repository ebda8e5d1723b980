"""Audits of positions of several tokens."""

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion import Audit, audit
from subspace_illusion.auditing.given_pairs import given_pairs
from subspace_illusion.auditing.settings import Das, Reading
from subspace_illusion.core.basis import random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_table
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.positions import Prompt, span_of, token_of

SPANS = ["all", "mean"]
MLP, HEAD, STREAM = Site(1, "mlp.hook_post"), Site(1, "attn.hook_z", 1), Site(1, "hook_resid_post")
ASKED = dict(filter_incorrect=False, resamples=200, das=Das(steps=3, batch=8))


def around(text: str, name: str, before: int, behind: int) -> str:
    """A name with some of the words around it."""
    words = text.split(" ")
    return " ".join(words[words.index(name) - before : words.index(name) + behind + 1])


def example(source: tuple[int, int] = (1, 1)) -> pd.DataFrame:
    """The example's pairs, its positions the names with a word on either side; of the sources, with others."""
    table = read_table(tiny.EXAMPLE)
    own = dict(position=("base", (1, 1)), source_position=("source", source))
    named = {
        column: [around(text, name, *words) for text, name in zip(table[side], table[column], strict=True)]
        for column, (side, words) in own.items()
    }
    return table.assign(**named)


def recorded(model: Model, span: str, sites: list[Site]) -> tuple[Pairs, pd.Series]:
    """Pairs, and the tokens of each prompt by its number."""
    words, _ = given_pairs(example()[:6], Reading()).read(model.tokenizer, Reading(), 0.5, span=span)
    pairs = recorded_pairs(model, words.prompts, words.pairs, sites, 0, 32, span)
    return pairs, words.prompts.set_index("prompt")["tokens"]


def run(model: Model, site: Site, tokens: list[int], first: int, change: torch.Tensor | None = None):
    """The logits at END of a full run with a change ``[3, d]`` added by a hook, and what it reads, ``[3, d]``."""
    seen = []

    def hook(activation: torch.Tensor, hook: object) -> torch.Tensor:
        changed = activation.clone()
        here = (changed if site.head is None else changed[:, :, site.head])[0, first : first + 3]
        seen.append(here.flatten(1).clone())
        here += 0 if change is None else change.view_as(here)
        return changed

    with torch.no_grad():
        logits = model.bridge.run_with_hooks(torch.tensor([tokens]), fwd_hooks=[(site.hook, hook)])
    return logits[0, -1], seen[0]


@pytest.mark.parametrize("span", SPANS)
def test_a_patch_of_a_span_is_what_hooks_do_in_full(llama: Model, span: str):
    sites = [MLP, HEAD, STREAM]
    pairs, tokens = recorded(llama, span, sites)
    tails = [pairs.tail(0, of_sources)(torch.arange(len(pairs))) for of_sources in (False, True)]
    assert tails[0].span.sum(1).unique().tolist() == [3]
    for site in sites:
        basis = random_basis(llama.width(site), 2, 0)
        found = pairs.patch(site, {"": pairs.along(site, basis)}, 5)[""].ld[0]
        for row in (0, 5):
            sides = pairs.base_prompts[row], pairs.source_prompts[row]
            at = [int(tail.positions[row]) for tail in tails]
            (_, base), (_, source) = (run(llama, site, tokens[of], first) for of, first in zip(sides, at, strict=True))
            moved = source - base if span == "all" else (source.mean(0) - base.mean(0)).expand(3, -1)
            logits, _ = run(llama, site, tokens[sides[0]], at[0], moved @ basis @ basis.T)
            by_hand = logits[pairs.answer[row]] - logits[pairs.foil[row]]
            assert found[row] == pytest.approx(float(by_hand), abs=1e-4)


@pytest.mark.parametrize(("span", "hook", "width"), [("all", MLP.name, 64), ("mean", STREAM.name, 32)])
def test_an_audit_of_spans(llama, span, hook, width, tmp_path):
    """Which proves itself first, as every audit does."""
    direction = torch.randn(width, generator=torch.Generator().manual_seed(0))
    found = audit(llama, example()[:12], hook, {"mine": direction}, span=span, **ASKED)
    found.save(tmp_path / "audit")
    read = Audit.load(tmp_path / "audit").document.reading
    assert read.first_row.span == 3
    assert any("the position is several tokens (3 at most)" in note for note in read.notes)
    assert {"mine", "trained", "mean difference"} <= {one.subspace for one in found.document.verdicts}
    assert {"controls", "effects", "off_distribution"} <= found.tables.keys()
    assert "planted" not in found.tables
    assert found.pairs["base_token"].str.split().map(len).eq(3).all()


def test_a_span_of_one_token_is_what_the_last_gives(llama):
    direction = {"mine": torch.randn(64, generator=torch.Generator().manual_seed(0))}
    asked = ASKED | dict(train=False, controls=False, calibrate=False)
    pairs = read_table(tiny.EXAMPLE)[:8]
    plain, *spans = (audit(llama, pairs, MLP.name, direction, span=span, **asked) for span in ("last", *SPANS))
    for found in spans:
        pd.testing.assert_frame_equal(found.tables["effects"], plain.tables["effects"], atol=1e-4, rtol=1e-3)


def test_spans_of_other_lengths_have_a_mean_and_no_tokens_in_the_same_place(llama):
    asked, mine = ASKED | dict(train=False, controls=False), {"mine": torch.ones(64)}
    pairs = example((0, 1))[:16]
    with pytest.raises(InputError) as error:
        audit(llama, pairs, MLP.name, mine, span="all", **asked)
    said = str(error.value)
    assert "is 3 tokens in the base and 2 in the source" in said
    assert "set span to mean" in said
    assert "\n" not in said
    assert np.isfinite(audit(llama, pairs, MLP.name, mine, span="mean", **asked).effects["effect"]).all()


def test_a_span_begins_and_ends_with_whole_tokens_of_its_text():
    words = Prompt("base", '"Mary left', 0, 10, lambda: [(0, 5), (5, 10)], 2)
    assert token_of(words, "Mary left") == 1
    with pytest.raises(InputError, match="in a token that holds more"):
        span_of(words, "Mary left")
    assert [*span_of(words, '"Mary left')] == [0, 1]
    assert [*span_of(words, -1)] == [*span_of(words, "last")] == [1]
