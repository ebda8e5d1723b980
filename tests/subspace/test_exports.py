"""What is written for other tools is what they open, and patches what we patch."""

import json

import gguf
import pytest
import torch
from safetensors.torch import load_file
from transformer_lens.tools.analysis.interchange import SubspaceInterchange

from subspace_illusion.core.basis import patch_change, random_basis
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.exports import TOOLS, write_for
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.subspace.user_subspaces import read_user_subspace

D = 12
MODEL = dict(architecture="LlamaForCausalLM", path="models/tiny")
MLP, STREAM = "blocks.2.mlp.hook_post", "blocks.2.hook_resid_post"


def trained(hook: str, rank: int, seeds: int = 1) -> dict[SubspaceKey, torch.Tensor]:
    keys = [SubspaceKey(TRAINED, seed=seed, component=hook) for seed in range(seeds)]
    return {key: random_basis(D, rank, key.seed).contiguous() for key in keys}


def activations() -> tuple[torch.Tensor, torch.Tensor]:
    base, source = torch.randn(2, 5, D, generator=torch.Generator().manual_seed(1))
    return base, source


@pytest.mark.parametrize(("tool", "place"), [
    ("transformer_lens", f"{MLP}.trained.0.safetensors"), ("pyvene", f"intkey_{MLP}.trained.0.bin"),
])  # fmt: skip
@pytest.mark.parametrize("rank", [1, 3])
def test_what_is_written_is_read_back(tmp_path, tool, place, rank):
    bases = trained(MLP, rank, seeds=2)
    write_for(tool, tmp_path, bases, MODEL)
    assert sorted(path.name for path in tmp_path.iterdir()) == [place, place.replace(".0.", ".1.")]
    torch.testing.assert_close(read_user_subspace(tmp_path / place, D).basis, next(iter(bases.values())))


def test_transformer_lens_patches_with_its_file(tmp_path):
    bases = trained(MLP, 2)
    write_for("transformer_lens", tmp_path, bases, MODEL)
    base, source = activations()
    theirs = SubspaceInterchange(load_file(tmp_path / f"{MLP}.trained.0.safetensors")["basis"])(base, source)
    torch.testing.assert_close(theirs, base + patch_change(base, source, *bases.values()))


def test_pyvene_loads_its_file(tmp_path):
    pyvene = pytest.importorskip("pyvene")
    bases = trained(MLP, 2)
    write_for("pyvene", tmp_path, bases, MODEL)
    intervention = pyvene.LowRankRotatedSpaceIntervention(embed_dim=D, low_rank_dimension=2)
    intervention.load_state_dict(torch.load(tmp_path / f"intkey_{MLP}.trained.0.bin", weights_only=True))
    base, source = activations()
    with torch.no_grad():
        expected = base + patch_change(base, source, *bases.values())
        torch.testing.assert_close(intervention(base, source), expected)


def test_the_sae_reconstructs_the_projection_and_its_features_are_the_columns(tmp_path):
    bases = trained("blocks.2.attn.hook_z.1", 2)
    write_for("saelens", tmp_path, bases, MODEL)
    folder, (basis,) = tmp_path / "blocks.2.attn.hook_z.1.trained.0", bases.values()
    weights, config = load_file(folder / "sae_weights.safetensors"), json.loads((folder / "cfg.json").read_text())
    x = activations()[0]
    features = torch.relu(x @ weights["W_enc"] + weights["b_enc"])
    torch.testing.assert_close(features @ weights["W_dec"] + weights["b_dec"], x @ basis @ basis.mT)
    assert (config["d_in"], config["d_sae"]) == (D, 4)
    assert config["metadata"] == dict(
        sae_lens_version="6.0.0", hook_name="blocks.2.attn.hook_z", hook_head_index=1, model_name="tiny"
    )
    own = read_user_subspace(folder, D, rows="0:2")
    torch.testing.assert_close(own.basis, basis)
    assert str(own.origin) == "blocks.2.attn.hook_z.1, model tiny"


def test_saelens_loads_its_folder(tmp_path):
    sae_lens = pytest.importorskip("sae_lens")
    bases = trained(STREAM, 2)
    write_for("saelens", tmp_path, bases, MODEL)
    sae, x = sae_lens.SAE.load_from_disk(tmp_path / f"{STREAM}.trained.0"), activations()[0]
    (basis,) = bases.values()
    with torch.no_grad():
        torch.testing.assert_close(sae(x), x @ basis @ basis.mT)
    assert sae.cfg.metadata.hook_name == STREAM


def test_a_control_vector_has_a_direction_a_block(tmp_path):
    before = {key: -basis for key, basis in trained("blocks.2.hook_resid_pre", 1).items()}
    write_for("gguf", tmp_path, trained(STREAM, 1) | before, MODEL)
    reader = gguf.GGUFReader(tmp_path / "trained.0.gguf")
    assert reader.fields["general.architecture"].contents() == "controlvector"
    assert reader.fields["controlvector.layer_count"].contents() == 2
    found = {tensor.name: torch.from_numpy(tensor.data.copy()) for tensor in reader.tensors}
    (basis,) = trained(STREAM, 1).values()
    assert torch.equal(found["direction.2"], basis[:, 0])
    assert torch.equal(found["direction.1"], -basis[:, 0])
    own = read_user_subspace(tmp_path / "trained.0.gguf", D, "direction.2")
    assert torch.equal(own.basis, basis)
    assert own.origin.site.name == STREAM
    assert own.taken_for == "a direction, [12] of gguf"


@pytest.mark.parametrize(
    ("hook", "rank"), [(MLP, 1), ("blocks.2.hook_mlp_out", 1), (STREAM, 2), ("blocks.0.hook_resid_post", 1)]
)
def test_what_is_no_control_vector_is_refused(tmp_path, hook, rank):
    with pytest.raises(InputError, match=f"^{hook}: a control vector is one direction of the residual stream behind"):
        write_for("gguf", tmp_path, trained(hook, rank), MODEL)
    with pytest.raises(InputError, match=f"'llama' is no tool .*; take one of {', '.join(TOOLS)}"):
        write_for("llama", tmp_path, trained(hook, rank), MODEL)
