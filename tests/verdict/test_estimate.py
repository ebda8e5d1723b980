"""The estimate in a transformer whose weights are written by hand, so that it is known where its variable runs.

The variable is the last token. Its embedding is plus or minus e0, which only the first MLP reads; the MLP writes plus
or minus e1, and the answer is read off e1 + e2. So in the stream after it e1 is the variable, e0 varies with it and
does nothing, and e2 would act but never varies: e0 + e2 is an illusion.
"""

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import tiny
from subspace_illusion.core.basis import orthonormal
from subspace_illusion.core.opening import bridge_model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.measures.own_difference import moved_alone, own_difference, what_acts
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.tasks.table import DIFFERENT
from subspace_illusion.verdict.estimate import kind_of, match_of, mediated_share, share_of

WIDTH, HIDDEN, STREAM = 16, 8, residual_after(0)
FIRST, SECOND, ONE, OTHER = 1, 2, 5, 6
"""The tokens that the variable is, and the answers that go with them."""


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """The two swaps of a few prompts, of the hand-written model."""
    return written_pairs([{0: 0.1}, {}])


def written_pairs(writes: list[dict[int, float]]) -> Pairs:
    """The two swaps of a few prompts, of a model in which each block's MLP has pairs of units that read e0, the first
    of each at these places, and write so much of e1."""
    words = tiny.tokenizer()
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=HIDDEN,
        tie_word_embeddings=False,
    )  # fmt: skip
    config.architectures = ["LlamaForCausalLM"]
    written = LlamaForCausalLM(config)
    for name, weight in written.named_parameters():
        weight.data.fill_(1.0 if "norm" in name else 0.0)
    embedding, unembedding = written.get_input_embeddings().weight.data, written.get_output_embeddings().weight.data
    embedding[:, 5] = 0.1  # so that no prompt is nothing
    embedding[FIRST, 0], embedding[SECOND, 0] = 1.0, -1.0
    for layer, of_block in zip(written.model.layers, writes, strict=True):
        for first, much in of_block.items():
            for unit, sign in ((first, 1.0), (first + 1, -1.0)):
                layer.mlp.gate_proj.weight.data[unit, 0] = layer.mlp.up_proj.weight.data[unit, 0] = sign
                layer.mlp.down_proj.weight.data[1, unit] = much * sign
    unembedding[ONE, 1] = unembedding[ONE, 2] = 1.0
    unembedding[OTHER, 1] = unembedding[OTHER, 2] = -1.0
    model = bridge_model(written, Tokenizer(words), tiny.CPU)
    prompts, rows = [], []
    for case in range(4):
        for value, token in enumerate((FIRST, SECOND)):
            tokens = [10 + case, 20 + case, token]
            prompts.append(dict(prompt=2 * case + value, tokens=tokens, position=2))
        for base, (answer, foil) in enumerate(((ONE, OTHER), (OTHER, ONE))):
            rows.append(
                dict(
                    pair=len(rows), group=case, kind=DIFFERENT, base=2 * case + base, source=2 * case + 1 - base,
                    answer_id=answer, foil_id=foil, target_id=foil, base_value=str(base), source_value=str(1 - base),
                )
            )  # fmt: skip
    sites = [STREAM, Site(0, "mlp.hook_post")]
    return recorded_pairs(model, pd.DataFrame(prompts), pd.DataFrame(rows), sites, 0, batch=4)


def axis(*places: int, d: int = WIDTH) -> torch.Tensor:
    """The direction along the sum of unit vectors, ``[d, 1]``."""
    vector = torch.zeros(d, 1)
    vector[list(places)] = 1.0
    return orthonormal(vector)


def estimated(pairs: Pairs, site: Site, basis: torch.Tensor) -> tuple[float, float]:
    """The effect of a patch as a share of the clean LD, and the estimate of its mediated share."""
    component = Component.of(pairs, site)
    own = own_difference(component, what_acts(component, 1e-5, batch=8))
    changes = dict(
        patch=component.along(basis),
        whole=component.along(None),
        own=moved_alone(component, basis, own, (component.change @ own).squeeze(1)),
    )
    outcomes = component.patch(changes, batch=8)
    done = {name: np.array([(pairs.ld_clean - outcome.ld[0]).mean()]) for name, outcome in outcomes.items()}
    share = share_of(done["own"], done["patch"])
    estimate = mediated_share(share, match_of(done["patch"], done["whole"]), kind_of(site))
    return float(done["patch"][0] / pairs.ld_clean.mean()), float(estimate[0])


def test_the_model_is_what_it_was_written_to_be(pairs: Pairs):
    assert (pairs.ld_clean > 0.1).all()
    assert estimated(pairs, STREAM, axis(0))[0] == pytest.approx(0, abs=0.01)
    assert estimated(pairs, STREAM, axis(2))[0] == pytest.approx(0, abs=0.01)


def test_in_the_stream_the_variable_is_told_from_the_illusion(pairs: Pairs):
    effect, share = estimated(pairs, STREAM, axis(1))
    assert effect == pytest.approx(2, abs=0.01)
    assert share > 0.95
    effect, share = estimated(pairs, STREAM, axis(0, 2))
    assert effect > 0.5
    assert share < 0.1  # a quarter of own's weight: 0.002 of it leaves a fifth


def test_in_the_mlp_the_variable_is_told_from_what_writes_it_without_varying(pairs: Pairs):
    """The MLP's two units vary against each other; one alone writes it too, and moves half."""
    site = Site(0, "mlp.hook_post")
    effect, share = estimated(pairs, site, units(1, -1))
    assert effect == pytest.approx(2, abs=0.05)
    assert share > 0.95


def units(*signs: float) -> torch.Tensor:
    """The direction of an MLP's first units with these signs, ``[HIDDEN, 1]``."""
    vector = torch.zeros(HIDDEN, 1)
    vector[: len(signs), 0] = torch.tensor(signs)
    return orthonormal(vector)


def test_two_mediators_that_cancel_are_an_illusion_in_another_basis():
    """The post's footnote. Each alone moves the answer; in the rotated basis their sum varies and writes nothing, their
    difference would write and never varies, and one alone is half of each. The answer comes from the second block."""
    pairs, site = written_pairs([{0: 0.1, 2: -0.1}, {0: 0.1}]), Site(0, "mlp.hook_post")
    assert estimated(pairs, site, units(1, -1, 1, -1))[0] == pytest.approx(0, abs=0.01)
    assert estimated(pairs, site, units(1, -1, -1, 1))[0] == pytest.approx(0, abs=0.01)
    for one in (units(1, -1), units(0, 0, 1, -1)):
        effect, share = estimated(pairs, site, one)
        assert abs(effect) > 0.1
        assert share < 0.05


def test_what_varies_with_the_variable_and_writes_nothing_changes_no_verdict():
    """A distractor: a second pair of units that holds the variable too, whose weights to the stream are zero."""
    pairs, site = written_pairs([{0: 0.1, 2: 0.0}, {}]), Site(0, "mlp.hook_post")
    for basis in (units(1, -1), units(1, -1, 1, -1)):
        effect, share = estimated(pairs, site, basis)
        assert effect > 0.9
        assert share > 0.95
