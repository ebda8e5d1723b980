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
        ("model.layers[10].input", "blocks.10.hook_resid_pre"),
        ("model.layers[10].inputs[0][0]", "blocks.10.hook_resid_pre"),
        ("model.layers[10].mlp.down_proj.input[0]", "blocks.10.mlp.hook_post"),
        ("model.layers[10].mlp.down_proj.output", "blocks.10.hook_mlp_out"),
        ("model.layers[10].self_attn.o_proj.output", "blocks.10.hook_attn_out"),
        ("model.layers.10.block_sparse_moe", "blocks.10.hook_mlp_out"),
        ("layers.10.feed_forward", "blocks.10.hook_mlp_out"),
        ("layers.10.feed_forward.w2", "blocks.10.mlp.hook_post"),
        ("layers.10.attention.wo", "blocks.10.attn.hook_z"),
        ("transformer.h.3.attn.attention", "blocks.3.hook_attn_out"),
        ("transformer.h.3.attn.attention.out_proj", "blocks.3.attn.hook_z"),
        ("transformer.h.3", "blocks.3.hook_resid_post"),
        ("transformer.h.3.mlp.c_proj", "blocks.3.mlp.hook_post"),
        ("transformer.h.3.attn.c_proj", "blocks.3.attn.hook_z"),
        ("gpt_neox.layers.5.mlp.dense_4h_to_h", "blocks.5.mlp.hook_post"),
        ("gpt_neox.layers.5.attention.dense", "blocks.5.attn.hook_z"),
        ("model.decoder.layers.2.fc2", "blocks.2.mlp.hook_post"),
        ("transformer.blocks.7.ffn", "blocks.7.hook_mlp_out"),
        ("hidden_states[0]", "blocks.0.hook_resid_pre"),
        ("outputs.hidden_states[11]", "blocks.10.hook_resid_post"),
        ("hidden_states.11", "blocks.10.hook_resid_post"),
        ("model.layers.10.mlp@end", "blocks.10.hook_mlp_out"),
    ],
)
def test_places_of_other_libraries_are_answered_with_ours(theirs, here):
    with pytest.raises(InputError) as refused:
        Site.parse(theirs)
    assert f"here it is {here}," in str(refused.value)
    assert Site.parse(here).name == here


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ("input_layernorm", "norms are no sites: the residual stream is blocks.4.hook_resid_pre before attention, "),
        ("post_attention_layernorm", "norms are no sites: "),
        ("pre_feedforward_layernorm", "norms are no sites: "),
        ("self_attn_layer_norm", "norms are no sites: "),
        ("ln_1", "norms are no sites: "),
        ("self_attn.q_norm", "norms are no sites: "),
        ("mlp.input", "what the MLP reads comes from a norm, and norms are no sites: "),
        ("self_attn.q_proj", "inside of attention, blocks.4.attn.hook_z is what its last matrix reads; "),
        ("attn.c_attn.output", "inside of attention, "),
        ("mlp.gate_proj", "inside of the MLP, blocks.4.mlp.hook_post is what its last matrix reads; "),
        ("mlp.act_fn", "inside of the MLP, "),
        ("mlp.down_proj.weight", "inside of the MLP, "),
        ("block_sparse_moe.gate", "inside of the MLP, "),
        ("block_sparse_moe.experts.3.w2", "what all experts give together is blocks.4.hook_mlp_out, "),
        ("mlp.shared_expert.down_proj", "what all experts give together is blocks.4.hook_mlp_out, "),
        ("mixer.out_proj", "no site is known in its place: the residual stream is blocks.4.hook_resid_pre "),
        ("mlp_dropout", "no site is known in its place: "),
    ],
)
def test_modules_in_whose_place_no_site_is_are_told_the_sites_around(theirs, words):
    with pytest.raises(InputError) as refused:
        Site.parse(f"model.layers.4.{theirs}")
    assert f"is a name of another library: {words}" in str(refused.value)
    assert "here it is" not in str(refused.value)


def test_hidden_states_behind_the_final_norm_are_no_site():
    for entry, words in (
        (11, "here it is blocks.10.hook_resid_post, entry 0 being the embedding; the last entry is no site: "),
        (-1, "the last entry is no site: in most models the final norm is behind it; before that is hook_resid_post"),
        (-3, "of n blocks it is hook_resid_post of block n - 3, "),
    ):
        with pytest.raises(InputError) as refused:
            Site.parse(f"hidden_states[{entry}]")
        assert words in str(refused.value)


def test_what_is_no_place_anywhere_is_told_what_one_looks_like():
    for name in ("mlp", "layer", "blocks.x.mlp", "10", ""):
        with pytest.raises(InputError, match="expected blocks.<block>.<hook>"):
            Site.parse(name)
