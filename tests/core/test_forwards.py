import pytest
import torch

from subspace_illusion.core.forwards import forwards


def test_a_module_does_something_else_within_and_its_own_after():
    module, x = torch.nn.Linear(2, 2), torch.ones(1, 2)
    own, state = module(x), set(module.__dict__)
    with forwards({module: lambda x: 2 * x}):
        assert module(x).tolist() == [[2, 2]]
        with forwards({module: lambda x: 3 * x}):
            assert module(x).tolist() == [[3, 3]]
        assert module(x).tolist() == [[2, 2]]
    torch.testing.assert_close(module(x), own)
    assert set(module.__dict__) == state


def test_an_error_within_leaves_the_module_as_it_was():
    module = torch.nn.Identity()
    with pytest.raises(ZeroDivisionError), forwards({module: lambda x: 1 / 0}):
        module(1)
    assert module(1) == 1
