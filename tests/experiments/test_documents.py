"""Text from files, from a dataset of the hub and from a wheel, and what is refused."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pandas as pd
import pytest

from subspace_illusion.errors import InputError
from subspace_illusion.experiments.documents import read_column, read_documents, read_hub, read_wheel
from subspace_illusion.files import sha256


def test_a_file_and_a_folder_are_read(tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).write_text(name)
    assert read_documents(tmp_path) == ["a.txt", "b.txt"]
    assert read_documents(tmp_path / "c.md") == ["c.md"]


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(InputError, match="nowhere cannot be read: .*No such file"):
        read_documents(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no .txt files"):
        read_documents(tmp_path)
    (tmp_path / "bad.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="cannot be read: .*utf-8"):
        read_documents(tmp_path)


@pytest.fixture
def dataset(tmp_path, monkeypatch) -> Path:
    """A folder that the hub's client answers with."""
    info = SimpleNamespace(sha="0" * 40)
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *args, **kwargs: info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *args, **kwargs: str(tmp_path))
    return tmp_path


def test_a_dataset_of_the_hub_is_read_from_parquet_alone(dataset):
    (dataset / "plain/train").mkdir(parents=True)
    (dataset / "loader.py").write_text("raise SystemExit")
    pd.DataFrame(dict(text=["one", "two"], n=[1, 2])).to_parquet(dataset / "plain/train/0000.parquet")
    assert read_hub("someone/text", "0" * 40, "text") == ["one", "two"]
    with pytest.raises(InputError, match="column 'words' cannot be read from 0000.parquet"):
        read_hub("someone/text", "0" * 40, "words")
    with pytest.raises(InputError, match="column 'n' of 0000.parquet does not hold text"):
        read_hub("someone/text", "0" * 40, "n")


def test_a_dataset_with_a_loading_script_alone_is_refused(dataset):
    (dataset / "loader.py").write_text("raise SystemExit")
    with pytest.raises(InputError, match="holds no parquet files.* try the revision refs/convert/parquet"):
        read_hub("someone/text", "0" * 40, "text")


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (tmp_path / "a.parquet").write_text("something else")
    with pytest.raises(InputError, match="cannot be read from a.parquet"):
        read_column([tmp_path / "a.parquet"], "text")


@pytest.fixture
def wheel(tmp_path, monkeypatch) -> Path:
    """A wheel that pip would download."""
    path = tmp_path / "texts-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("texts/b.txt", "texts/a.txt", "texts/a.py", "texts-1.0.dist-info/top_level.txt"):
            archive.writestr(name, f"{name}: naïve")
    monkeypatch.setattr("subspace_illusion.experiments.documents.download_wheel", lambda requirement, folder: path)
    return path


def test_a_wheels_texts_are_read_and_not_what_is_about_the_wheel(wheel):
    assert read_wheel("texts==1.0", sha256(wheel), "texts.own") == ["texts/a.txt: naïve", "texts/b.txt: naïve"]


def test_another_wheel_and_one_without_texts_are_refused(wheel):
    with pytest.raises(InputError, match="has sha256 .* but texts.own.wheel_sha256 is 000.*not the file expected"):
        read_wheel("texts==1.0", "0" * 64, "texts.own.wheel_sha256")
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("texts-1.0.dist-info/top_level.txt", "texts")
    with pytest.raises(InputError, match="the wheel of texts==1.0 holds no .txt files"):
        read_wheel("texts==1.0", sha256(wheel), "texts.own.wheel_sha256")
