import pytest

from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError


@pytest.mark.parametrize(
    ("theirs", "here"),
    [
        ("model.layers.10.mlp", "blocks.10.hook_mlp_out"),
        ("model.layers.10.mlp.down_proj", "blocks.10.mlp.hook_post"),
        ("model.layers.10.self_attn", "blocks.10.hook_attn_out"),
        ("model.layers.10.self_attn.o_proj", "blocks.10.attn.hook_z"),
        ("model.layers.10", "blocks.10.hook_resid_post"),
        ("model.layers[10].output[0]", "blocks.10.hook_resid_post"),
        ("model.model.layers[10].mlp.output", "blocks.10.hook_mlp_out"),
        ("layers.10", "blocks.10.hook_resid_post"),
        ("model.layers.10.input_layernorm", "blocks.10.hook_resid_pre"),
        ("transformer.h.3", "blocks.3.hook_resid_post"),
        ("transformer.h.3.mlp.c_proj", "blocks.3.mlp.hook_post"),
        ("transformer.h.3.attn.c_proj", "blocks.3.attn.hook_z"),
        ("gpt_neox.layers.5.mlp.dense_4h_to_h", "blocks.5.mlp.hook_post"),
        ("gpt_neox.layers.5.attention.dense", "blocks.5.attn.hook_z"),
        ("model.decoder.layers.2.fc2", "blocks.2.mlp.hook_post"),
        ("transformer.blocks.7.ffn", "blocks.7.hook_mlp_out"),
        ("hidden_states[0]", "blocks.0.hook_resid_pre"),
        ("outputs.hidden_states[11]", "blocks.10.hook_resid_post"),
    ],
)
def test_places_of_other_libraries_are_answered_with_ours(theirs, here):
    with pytest.raises(InputError) as refused:
        Site.parse(theirs)
    assert f"here it is {here}," in str(refused.value)
    assert Site.parse(here).name == here


def test_what_is_no_place_anywhere_is_told_what_one_looks_like():
    for name in ("mlp", "layer", "blocks.x.mlp", "10", ""):
        with pytest.raises(InputError, match="expected blocks.<block>.<hook>"):
            Site.parse(name)
