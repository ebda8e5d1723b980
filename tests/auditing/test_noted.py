"""Where a run is another than a direction's file says."""

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from subspace_illusion.auditing.noted import notes_on
from subspace_illusion.core.sites import Site
from subspace_illusion.subspace.origin import Origin
from subspace_illusion.subspace.user_subspaces import UserSubspace

BOS = 7
TOKENIZER = SimpleNamespace(hf=SimpleNamespace(bos_token_id=BOS))


def differences(origin: Origin, *hooks: str, begin: int = BOS, position: int = 3) -> str:
    prompts = pd.DataFrame(dict(tokens=[[begin, 1, 2, 3], [begin, 4, 5, 6]], position=position))
    read = {"mine": UserSubspace(torch.eye(4)[:, :1], "", "a direction, [4]", origin)}
    told = notes_on(read, [Site.parse(hook) for hook in hooks], prompts, TOKENIZER)["mine"]
    assert told.startswith("taken for a direction, [4]; of unit length as it was; ")
    return told.partition("; DIFFERENT HERE: ")[2]


@pytest.mark.parametrize(
    ("said", "asked", "same"),
    [
        ("blocks.2.mlp.hook_post", "blocks.2.mlp.hook_post", True),
        ("blocks.2.mlp.hook_post", "blocks.2.mlp.out.hook_in", True),
        ("blocks.2.mlp.hook_post", "blocks.3.mlp.hook_post", False),
        ("blocks.2.hook_resid_pre", "blocks.1.hook_resid_post", True),
        ("blocks.2.hook_resid_pre", "blocks.2.hook_resid_post", False),
        ("blocks.2.attn.hook_z", "blocks.2.attn.hook_z.1", False),
        ("layers.2", "blocks.2.hook_resid_post", True),
        ("layers.2", "blocks.2.hook_mlp_out", False),
        ("a module that nobody knows", "blocks.2.hook_mlp_out", True),
    ],
)
def test_another_hook_is_noted_and_one_by_another_name_is_not(said, asked, same):
    assert differences(Origin(hook=said), asked) == ("" if same else f"the hook is {asked}")


def test_of_a_map_the_hooks_are_counted():
    hooks = ("blocks.1.hook_mlp_out", "blocks.2.hook_mlp_out")
    expected = "the hook is 2 hooks, blocks.1.hook_mlp_out to blocks.2.hook_mlp_out"
    assert differences(Origin(hook=hooks[0]), *hooks) == expected


def test_layer_position_and_bos_are_compared():
    hook = "blocks.2.hook_mlp_out"
    assert differences(Origin(layer=2, position=-1, bos=True), hook) == ""
    assert differences(Origin(layer=3), hook) == f"the hook is {hook} (layers may be counted from the embedding)"
    assert differences(Origin(position=-2), hook) == "position -1 is read"
    assert differences(Origin(position=3), hook) == ""
    assert differences(Origin(position=0), hook) == "position 3 is read"
    assert differences(Origin(position="last"), hook) == ""
    assert differences(Origin(bos=True), hook, begin=1) == "prompts begin without such a token"
    assert differences(Origin(bos=False), hook) == "prompts begin with such a token"
    assert differences(Origin(bos=False), hook, begin=1) == ""
