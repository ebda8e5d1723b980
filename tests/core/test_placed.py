"""Models whose blocks are on several devices, in the processor's memory and on disk."""

import gc
import json

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module

import architectures
import tiny
from some_pairs import some_pairs
from subspace_illusion import audit
from subspace_illusion.auditing.given_model import given_model
from subspace_illusion.auditing.settings import Settings
from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.core.heads import readers_readout
from subspace_illusion.core.matmul import matmul_in
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.placed import device_of, read_device_map
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.find_readers import respond
from subspace_illusion.planting.plant import Mediator, Signal, plant, stream_before
from subspace_illusion.subspace.das import train_das

MLP = Site(1, "mlp.hook_post")
SPREAD = {"": "cpu", "model.layers.1": "disk", "model.layers.3": "disk", "model.norm": "disk", "lm_head": "disk"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tiny.write_folder(path)
    return path


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def both(folder, request) -> tuple[Model, Model]:
    """A model on one device, and the same with blocks on disk."""
    whole, spread = (open_model(folder, dtype=request.param, device_map=where) for where in (None, SPREAD))
    assert not whole.is_spread
    assert spread.is_spread
    offloaded = {name.split(".")[2] for name, x in spread.bridge.original_model.named_parameters() if x.is_meta}
    assert {"1", "3"} < offloaded
    return whole, spread


def test_blocks_on_disk_compute_what_they_do_in_memory(both):
    """Everything that an audit makes of a model: patches, DAS, readers, planted cases."""
    found = []
    for model in both:
        pairs = some_pairs(model, [MLP, residual_after(1), stream_before(model, MLP)], 1)
        patched = pairs.patch(MLP, {"whole": pairs.along(MLP, None)}, batch=4)["whole"].ld
        run = train_das(
            model, MLP, pairs.examples(MLP), rank=1, seeds=[0], steps=2, batch=4, lr=0.1, loss="cross_entropy"
        )
        readers = respond(pairs, MLP, batch=8).patched
        heads = readers_readout(model, [Site(3, "attn.hook_z", 1)], look_back=False)
        held = Signal(torch.eye(32)[0], stream_before(model, MLP)), Mediator(torch.eye(64)[0], instead=False)
        planted = plant(pairs, MLP, *held, dose=1.0, batch=4).prompts.planted.returned
        found.append([torch.from_numpy(patched), run.bases, readers, heads, planted, model.readout(MLP)])
        assert model.centres is False
    for here, there in zip(*found, strict=True):
        assert torch.equal(here, there)


def test_experts_on_disk_are_those_in_memory_and_leave_nothing_behind(tmp_path, monkeypatch):
    """They are saved one by one and computed with all together, so that transformers saves them anew."""
    words = tiny.tokenizer()
    architectures.hf_model("Mixtral", len(words)).save_pretrained(tmp_path / "model")
    words.save_pretrained(tmp_path / "model")
    (aside := tmp_path / "aside").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    site, tokens = residual_after(2), torch.tensor([[1, 2, 3], [3, 2, 1]])
    held = []
    for where in (None, {"": "cpu", "model.layers.1": "disk"}):
        model = open_model(tmp_path / "model", device_map=where)
        held.append(record(model, tokens, [site]).activations[site])
        assert any(path.is_file() for path in aside.rglob("*")) == model.is_spread
        del model
        gc.collect()
    assert torch.equal(*held)
    assert list(aside.iterdir()) == []


def test_a_map_is_a_setting_of_an_audit_and_is_told(folder, tmp_path):
    file = tmp_path / "map.json"
    file.write_text(json.dumps(SPREAD))
    settings = Settings.given(dict(device_map=str(file)))
    assert settings.model_dump(mode="json")["device_map"] == SPREAD
    opened = given_model(folder, settings, open_tokenizer(folder))
    assert opened.about["device_map"]["model.layers.3"] == "disk"
    with pytest.raises(InputError, match="open already.*leave device_map away"):
        given_model(opened.model, settings, opened.model.tokenizer)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("nonsense", "is 'nonsense', which is no device"),
        ("disk", "is 'disk', which is no device"),
        ("cuda:77", "is 'cuda:77', but torch finds"),
        ("there/is/none.json", "there is no such file"),
        ({"": "meta"}, "has '' on 'meta', which is no device"),
        ({"": True}, "has '' on 'True'"),
        ({"": "disk"}, "has everything on disk"),
        ({}, "has to be auto, balanced"),
    ],
)
def test_maps_that_are_none(wrong, words):
    with pytest.raises(InputError, match=words) as raised:
        read_device_map(wrong)
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=words):
        audit("no model", tiny.EXAMPLE, MLP.name, device_map=wrong)


def test_a_map_in_a_broken_file_is_said_to_be_none(tmp_path):
    (tmp_path / "map.json").write_text('{"a":')
    with pytest.raises(InputError, match=r"^device_map \S+map.json is no JSON: write a mapping"):
        read_device_map(str(tmp_path / "map.json"))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"model": "cpu"}, "device_map leaves out lm_head"),
        (
            SPREAD | {"model.layer.0": "cpu"},
            "'model.layer.0', which the model does not have.*its blocks model.layers.0",
        ),
        ({"": "cpu", "model.embed_tokens": "disk"}, "has the embedding, model.embed_tokens, on disk"),
    ],
)
def test_maps_of_another_model(folder, wrong, words):
    with pytest.raises(InputError, match=words):
        open_model(folder, device_map=wrong)


def test_what_a_block_on_another_device_takes_is_brought_there():
    """``meta`` stands for the other device: it computes no values, but is no place to add a tensor of the CPU's to."""
    model = tiny.tiny_model("llama")
    tokens = torch.randint(1, 500, (3, 8), generator=torch.Generator().manual_seed(0))
    tail = record(model, tokens, tail_from=1, position=5).tail
    away = torch.device("meta")
    for part in (*model.bridge.blocks[2:], model.bridge.ln_final, model.bridge.unembed):
        add_hook_to_module(part.to(away).original_component, AlignDevicesHook(execution_device=away))
    assert [device_of(block, tiny.CPU) for block in model.bridge.blocks] == [tiny.CPU, tiny.CPU, away, away]
    change = torch.zeros(3, 64, requires_grad=True)
    for kind in ("float32", "bfloat16"):
        with matmul_in(model, kind, 1):
            logits = replay(model, tail, {MLP: change, residual_after(2): torch.zeros(3, 32)}).logits
        assert logits.device == away
