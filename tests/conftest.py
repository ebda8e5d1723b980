import os

# Before anything imports the hub client, or a library with threads.
os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}  # files of tests run beside one another

import hypothesis
import pytest
import torch

import tiny
from subspace_illusion.core.model import Model
from subspace_illusion.pipeline.process import spare_memory_management

hypothesis.settings.register_profile("any machine", deadline=None)  # no test says how fast a machine is
hypothesis.settings.load_profile("any machine")
spare_memory_management()  # as a stage does

LONGEST = ("test_smollm2.py", "test_run.py", "test_tasks.py", "test_inputs.py", "test_replay.py")
"""The files that take minutes."""
FIRST = (*LONGEST, "test_units.py")
"""The files that go first, so that no core is left with one of them in the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))
    for item in items:
        if item.path.name in LONGEST:
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup() -> None:
    """The tiny models are so small that threads only wait for one another; a test before may have asked for more."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=tiny.ARCHITECTURES)
def model(request) -> Model:
    return tiny.tiny_model(request.param)


@pytest.fixture(scope="session")
def llama() -> Model:
    return tiny.tiny_model("llama")
