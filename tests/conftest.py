import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports the hub client

import pytest
import torch

import tiny
from subspace_illusion.core.model import Model

torch.set_num_threads(1)  # the tiny models are so small that threads only wait for one another


@pytest.fixture(scope="session", params=tiny.ARCHITECTURES)
def model(request) -> Model:
    return tiny.tiny_model(request.param)


@pytest.fixture(scope="session")
def llama() -> Model:
    return tiny.tiny_model("llama")
