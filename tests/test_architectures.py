"""Kinds of model that differ in structure: tuples, experts, norms behind, caps, factors. The whole table is made by
``python tests/architectures.py``.
"""

from dataclasses import replace

import pandas as pd
import pytest
from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES
from transformers import (
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    BertConfig,
    Gemma3Config,
    Gemma3TextConfig,
    PretrainedConfig,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

import architectures
import tiny
from architectures import TOLERANCE, audited, farthest, opened, places, small_model
from kinds import KINDS, NOT_TRIED
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import bridge_model
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.measures import own_readers

PLACES = ("hook_resid_mid", "hook_resid_post", "attn.hook_z", "mlp.hook_post", "hook_mlp_out")


@pytest.fixture(scope="module", params=["GPT-J", "BLOOM", "Mixtral", "OLMo-2", "Granite"])
def kind(request) -> tuple[str, Model]:
    return request.param, small_model(request.param)


def test_replays_are_full_forward_passes(kind):
    sites = [Site(1, point) for point in PLACES if kind[1].has(Site(1, point))]
    assert len(sites) >= 4
    assert farthest(kind[1], sites) < TOLERANCE


@pytest.mark.parametrize("name", ["Falcon", "Llama 4"])
def test_the_last_mlp_is_run_at_end_alone_also_where_its_block_adds_in_place_or_its_experts_give_a_row(name):
    model = small_model(name)
    assert farthest(model, [Site(1, "hook_resid_post")]) < TOLERANCE


@pytest.mark.parametrize("name", ["Jamba", "GLM-MoE-DSA"])
def test_whole_prompts_are_replayed_at_every_place(name):
    """Also where a block's hooks hold choices and scores of tokens, which are none."""
    model = small_model(name)
    assert model.whole_prompts
    assert farthest(model, places(model)) < TOLERANCE


def test_blocks_without_a_stream_are_refused_when_the_model_is_opened():
    with pytest.raises(InputError, match=r"^the blocks of the DeepseekV4ForCausalLM hand on no residual stream"):
        small_model("DeepSeek-V4")
    with pytest.raises(InputError, match=r"^HrmTextForCausalLM has no single row of blocks"):
        small_model("HRM-Text")


def test_experts_are_refused_at_once_with_the_hook_that_does(kind):
    name, model = kind
    hidden = Site(1, "mlp.hook_post")
    assert model.has(hidden) == (name != "Mixtral")
    if name == "Mixtral":
        with pytest.raises(InputError, match=r"mixture of experts.*take what it gives, blocks\.1\.hook_mlp_out$"):
            audited(model, hidden.point)


@pytest.fixture(scope="module")
def gemma2() -> Model:
    return small_model("Gemma-2, its cap biting")


def test_what_a_cap_bends_is_said(gemma2):
    found = audited(gemma2, "hook_resid_post", "readers", calibrate=False)
    assert found.remarks == {"blocks.1.hook_resid_post": own_readers.BENT}
    assert own_readers.BENT in str(found)
    assert found.document.remarks == found.remarks


def test_where_heads_have_no_share_the_verdict_does_without_them_and_says_so(gemma2, monkeypatch):
    monkeypatch.setattr("subspace_illusion.core.attribution.norm_at_end", lambda bridge: None)
    found = audited(gemma2, "hook_resid_post", calibrate=False)
    assert "readers" not in found.tables
    assert list(found.remarks.values()) == ["readers are left out: no norm stands behind the last block"]
    assert found.verdicts


def wrapped(config: PretrainedConfig, loads: type = AutoModelForCausalLM) -> Model:
    words = tiny.tokenizer()
    hf_model = loads.from_config(config)
    hf_model.config.architectures = [type(hf_model).__name__]
    return bridge_model(hf_model, Tokenizer(words), tiny.CPU)


SMALL = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64)


def test_a_model_that_looks_ahead_is_refused_when_it_is_opened():
    with pytest.raises(InputError, match=r"^BertLMHeadModel looks ahead: .* give a causal model$"):
        wrapped(BertConfig(**SMALL, initializer_range=0.2))


@pytest.mark.parametrize(
    ("name", "unusual"),
    [("GPT-2", dict(scale_attn_weights=False)), ("Gemma-3", dict(attn_logit_softcapping=0.5))],
)
def test_a_model_that_transformer_lens_runs_otherwise_is_refused_when_it_is_opened(name, unusual, monkeypatch):
    monkeypatch.setitem(KINDS, name, replace(KINDS[name], shape=KINDS[name].shape | unusual))
    with pytest.raises(
        InputError, match=r"^transformer_lens runs the \w+ otherwise than transformers does: .* audited"
    ):
        small_model(name)


def test_a_model_that_gives_no_numbers_is_refused_when_it_is_opened():
    hf_model = architectures.hf_model("Llama", 1000)
    hf_model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(InputError, match=r"^LlamaForCausalLM gives logits that are no numbers: .* for float32$"):
        bridge_model(hf_model, Tokenizer(tiny.tokenizer()), tiny.CPU)


def test_nothing_is_installed_for_a_model_that_reads_images_too(monkeypatch):
    """transformer_lens has pip install what it lacks for images."""
    monkeypatch.setattr("subprocess.check_call", lambda *args: pytest.fail(f"{args} was run"))
    vision = dict(SMALL, image_size=16, patch_size=8)
    text = Gemma3TextConfig(**SMALL, num_key_value_heads=2, head_dim=8, vocab_size=500)
    model = wrapped(Gemma3Config(text_config=text, vision_config=vision), AutoModelForImageTextToText)
    assert farthest(model, [Site(1, "hook_resid_post")]) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_the_table_says_which_kinds_can_be_opened(name):
    table = pd.read_csv(architectures.TABLE, keep_default_na=False).set_index("architecture")
    said = str(table.at[name, "why"])
    refused = ""
    try:
        opened(name)
    except InputError as error:
        refused = str(error)
    assert refused in said if refused else not said.startswith("opening")


def test_the_table_has_every_kind_and_no_traceback():
    table = pd.read_csv(architectures.TABLE, keep_default_na=False)
    assert table["architecture"].tolist() == list(KINDS)
    assert len(table) >= 25
    assert set(table["works"]) <= {"yes", "in part", "no"}
    assert not table["why"].str.contains("TRACEBACK|\n").any()
    assert (table["works"] == "yes").sum() >= 25
    assert (table.loc[table["works"] != "yes", "why"] != "").all()


def test_what_both_libraries_have_is_in_the_table():
    types = {name: kinds for kinds, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()}
    shared = {types[name] for name in SUPPORTED_ARCHITECTURES if name in types}
    assert shared - {kind.model_type for kind in KINDS.values()} <= NOT_TRIED.keys()
