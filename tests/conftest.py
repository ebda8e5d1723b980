import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub client

import pytest

import tiny
from subspace_illusion.core.model import Model


@pytest.fixture(scope="session", params=tiny.ARCHITECTURES)
def model(request) -> Model:
    return tiny.tiny_model(request.param)


@pytest.fixture(scope="session")
def llama() -> Model:
    return tiny.tiny_model("llama")
