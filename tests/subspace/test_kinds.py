"""Directions in the forms in which tools save them, and what their files say of themselves."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from torch.nn.utils.parametrizations import orthogonal

from subspace_illusion.core.basis import random_basis
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.origin import Origin, origin_of
from subspace_illusion.subspace.user_subspaces import UserSubspace, parse_spec, read_user_subspace, user_subspace

D = 12
G = torch.Generator().manual_seed(0)
FEATURES = torch.randn(30, D, generator=G)
V = FEATURES[0]


def read(spec: str | Path, width: int = D) -> UserSubspace:
    """What the command line's spelling names."""
    file, tensor, rows = parse_spec(str(spec))
    return read_user_subspace(file, width, tensor, rows)


def complaint(spec: str | Path, width: int = D) -> str:
    with pytest.raises(InputError) as error:
        read(spec, width)
    assert "\n" not in str(error.value)
    return str(error.value)


def is_along(own: UserSubspace, direction: torch.Tensor) -> bool:
    return own.basis.shape == (D, 1) and torch.allclose(own.basis[:, 0], direction / direction.norm(), atol=1e-6)


def test_an_archive_of_numpy_is_read_and_its_words_and_numbers_are_what_it_says(tmp_path):
    objects = np.array([{}], dtype=object)
    np.savez(tmp_path / "w.npz", w=V.numpy(), hook_name="blocks.1.hook_resid_post", layer=1, pickled=objects)
    own = read(tmp_path / "w.npz")
    assert is_along(own, V)
    assert own.origin == Origin(hook="blocks.1.hook_resid_post", layer=1)
    np.savez(tmp_path / "scope.npz", W_dec=FEATURES.numpy(), W_enc=FEATURES.T.numpy(), threshold=np.zeros(30, "f"))
    assert is_along(read(f"{tmp_path / 'scope.npz'}#:17"), FEATURES[17])
    assert is_along(read(f"{tmp_path / 'scope.npz'}#W_enc:17"), FEATURES[17])
    assert "#W_dec is a list of 30 features of an SAE's decoder; choose one" in complaint(tmp_path / "scope.npz")
    np.savez(tmp_path / "none.npz", pickled=objects)
    assert "holds no tensors" in complaint(tmp_path / "none.npz")


def test_what_lies_deep_in_dictionaries_and_lists_has_a_name(tmp_path):
    torch.save({"layer_activations": {13: V, 14: 2 * V}, "note": None}, tmp_path / "nested.pt")
    assert "several tensors (layer_activations.13, layer_activations.14); name one, as in " in complaint(
        tmp_path / "nested.pt"
    )
    own = read(f"{tmp_path / 'nested.pt'}#layer_activations.14")
    assert is_along(own, V)
    assert own.origin == Origin(layer=14)
    torch.save([FEATURES[0], FEATURES[1]], tmp_path / "list.pt")
    assert is_along(read(f"{tmp_path / 'list.pt'}#1"), FEATURES[1])
    torch.save(dict(layer_3=(V.reshape(1, 1, D), None)), tmp_path / "outputs.pt")  # what hooks of a block hand on
    assert (own := read(tmp_path / "outputs.pt")).origin == Origin(layer=3)
    assert is_along(own, V)
    torch.save({-1: {10: V, 11: FEATURES[1]}, -2: {10: FEATURES[2]}}, tmp_path / "by_position.pt")
    own = read(f"{tmp_path / 'by_position.pt'}#-1.11")
    assert is_along(own, FEATURES[1])
    assert own.origin == Origin(layer=11, position=-1)
    torch.save((V, 0.5), tmp_path / "with_a_threshold.pt")
    assert read(tmp_path / "with_a_threshold.pt").origin == Origin()


def test_numbers_beside_a_direction_are_what_its_file_says_of_it(tmp_path):
    torch.save(dict(direction=V.double(), layer=torch.tensor(10), pos=-2), tmp_path / "w.pt")
    own = read(tmp_path / "w.pt")
    assert is_along(own, V)
    assert str(own.origin) == "layer 10, position -2"
    np.savez(tmp_path / "w.npz", direction=V.numpy(), layer=np.array([10]), pos=np.int64(-2), bias=np.zeros(1))
    assert is_along(read(tmp_path / "w.npz"), V)
    assert str(read(tmp_path / "w.npz").origin) == "layer 10, position -2"
    save_file({"w": V}, tmp_path / "w.safetensors", {"hook_name": "blocks.3.hook_mlp_out", "prepend_bos": "False"})
    origin = read(tmp_path / "w.safetensors").origin
    assert origin == Origin(hook="blocks.3.hook_mlp_out", bos=False)
    assert (
        "its file says: blocks.3.hook_mlp_out, without a beginning-of-sequence token"
        in read(tmp_path / "w.safetensors").told
    )


def test_what_lies_beside_a_file_and_its_own_name_say_where_it_is_from(tmp_path):
    torch.save(V, tmp_path / "direction.pt")
    assert read(tmp_path / "direction.pt").origin == Origin()
    (tmp_path / "direction_metadata.json").write_text(json.dumps(dict(pos=-2, layer=10)))
    assert read(tmp_path / "direction.pt").origin == Origin(layer=10, position=-2)
    (tmp_path / "direction_metadata.json").write_text("[1")
    (tmp_path / "direction.json").write_text(json.dumps(dict(hook=dict(hook_name="blocks.3.hook_mlp_out"))))
    assert read(tmp_path / "direction.pt").origin == Origin(hook="blocks.3.hook_mlp_out")
    torch.save(V, tmp_path / "vec_layer_13_of_a_model.pt")
    assert read(tmp_path / "vec_layer_13_of_a_model.pt").origin == Origin(layer=13)
    torch.save(V, tmp_path / "17.pt")
    assert read(tmp_path / "17.pt").origin == Origin()


def test_lists_of_numbers_in_json_are_tensors(tmp_path):
    file = tmp_path / "w.json"
    file.write_text(json.dumps(dict(modelId="gpt2", layer="5-res", vector=V.tolist())))
    assert is_along(read(file), V)
    file.write_text(json.dumps(dict(coef_=[V.tolist()], intercept_=[0.1], classes_=["he", "she"])))
    assert is_along(own := read(file), V)
    assert own.taken_for == f"a probe, [1, {D}]"
    file.write_text(json.dumps({"10": V.tolist(), "11": FEATURES[1].tolist()}))
    assert is_along(read(f"{file}#11"), FEATURES[1])
    file.write_text(json.dumps([[1.0], V.tolist()]))  # of different lengths
    assert is_along(read(f"{file}#1"), V)
    file.write_text(json.dumps([3, 5]))
    assert read(file).taken_for == "a set of 2 neurons, [2]"
    file.write_text("{")
    assert "cannot be read as json: " in complaint(file)


@pytest.mark.parametrize("shape", [(1, 1, D), (1, D), (D, 1), (1, D, 1)])
def test_axes_of_one_are_of_no_matter(tmp_path, shape):
    torch.save(V.reshape(shape), tmp_path / "w.pt")
    own = read(tmp_path / "w.pt")
    assert is_along(own, V)
    assert own.taken_for == f"a direction, {list(shape)}"


def test_axes_of_one_may_have_an_index(tmp_path):
    torch.save(FEATURES.reshape(1, *FEATURES.shape), tmp_path / "w.pt")
    for rows in (":0,-1", f":{len(FEATURES) - 1}"):
        own = read(f"{tmp_path / 'w.pt'}#{rows}")
        assert is_along(own, FEATURES[-1])
        assert own.origin == Origin()


def test_what_an_autoencoder_has_is_no_probe_and_its_decoder_is_meant(tmp_path):
    n = len(FEATURES)
    torch.save({"encoder.weight": FEATURES, "encoder.bias": torch.zeros(n), "decoder.weight": FEATURES.T, "bias": V},
               tmp_path / "ae.pt")  # fmt: skip
    assert f"#decoder.weight is a list of {n} features of an SAE's decoder" in complaint(tmp_path / "ae.pt")
    crossing = FEATURES[:, None].repeat(1, 2, 1)
    save_file({"W_dec": crossing, "W_enc": crossing.permute(1, 2, 0).contiguous()}, tmp_path / "crosscoder.safetensors")
    own = read(f"{tmp_path / 'crosscoder.safetensors'}#W_dec:3,1")
    assert is_along(own, FEATURES[3])
    assert own.origin == Origin()


@settings(max_examples=20)
@given(st.integers(2, 6), st.integers(2, 6), st.data())
def test_directions_by_position_and_layer_take_an_index_each(tmp_path_factory, positions, layers, data):
    file = tmp_path_factory.mktemp("by") / "w.pt"
    values = torch.randn(positions, layers, D, generator=G)
    torch.save(values, file)
    position, layer = data.draw(st.integers(-positions, positions - 1)), data.draw(st.integers(0, layers - 1))
    own = read(f"{file}#:{position},{layer}")
    assert is_along(own, values[position, layer])
    assert own.origin == Origin(layer=layer, position=position - positions * (position >= 0))
    last = f"{positions - 1},{layers - 1}"
    for rows in ("", f"#:{positions},0", "#:0", "#:0,0,0", "#:a,b"):
        assert complaint(f"{file}{rows}").endswith(f"from 0 up to {last}, as in {file}#:{last}")


def folder_of(path: Path, weights: str, tensors: dict[str, torch.Tensor], config: str, about: dict) -> Path:
    path.mkdir()
    if weights.endswith(".pt"):
        torch.save(tensors, path / weights)
    else:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path / weights)
    (path / config).write_text(json.dumps(about))
    return path


def test_folders_of_saes_say_where_they_are_from(tmp_path):
    about = dict(d_in=D, metadata=dict(hook_name="blocks.8.hook_resid_pre", prepend_bos=True, model_name="tiny"))
    saelens = folder_of(tmp_path / "sae", "sae_weights.safetensors", dict(W_dec=FEATURES), "cfg.json", about)
    tensors = {"encoder.weight": 2 * FEATURES, "W_dec": FEATURES, "b_dec": V.clone()}
    sparsify = folder_of(tmp_path / "layers.10.mlp", "sae.safetensors", tensors, "cfg.json", dict(d_in=D, k=4))
    about = dict(trainer=dict(layer=3, lm_name="tiny", submodule_name=None))
    learnt = folder_of(tmp_path / "trainer_0", "ae.pt", {"decoder.weight": FEATURES.T}, "config.json", about)
    for folder, tool, said, site in (
        (
            saelens,
            "SAELens",
            "blocks.8.hook_resid_pre, with a beginning-of-sequence token, model tiny",
            "hook_resid_pre",
        ),
        (sparsify, "sparsify", "layers.10.mlp", "hook_mlp_out"),
        (learnt, "dictionary_learning", "layer 3, model tiny", None),
    ):
        own = read(f"{folder}#:17")
        assert is_along(own, FEATURES[17])
        assert (
            own.taken_for == f"features of an SAE's decoder, {'[12, 30]' if folder == learnt else '[30, 12]'} of {tool}"
        )
        assert str(own.origin) == said
        assert (own.origin.site and own.origin.site.point) == site


@pytest.mark.parametrize(
    ("module", "site"),
    [("layers.10", "blocks.10.hook_resid_post"), ("transformer.h.3", "blocks.3.hook_resid_post"),
     ("model.layers.4.self_attn", "blocks.4.hook_attn_out"), ("gpt_neox.layers.0.mlp", "blocks.0.hook_mlp_out"),
     ("blocks.2.hook_resid_mid", "blocks.2.hook_resid_mid"), ("embed_tokens", None), ("layers.1.mlp.act_fn", None),
     ("layers.1.block_sparse_moe", "blocks.1.hook_mlp_out"), ("layers.1.mlp.down_proj", "blocks.1.hook_mlp_out"),
     ("layers.1.input_layernorm", None)],
)  # fmt: skip
def test_modules_are_known_by_the_hooks_that_hold_what_they_give(module, site):
    found = Origin(hook=module).site
    assert (found and found.name) == site


@pytest.mark.parametrize(
    ("tensor", "origin"),
    [("layers.7.w", Origin(layer=7)), ("7", Origin(layer=7)), ("layer_7", Origin(layer=7)), ("trained:0", Origin()),
     ("blocks.2.mlp.hook_post:trained:0", Origin(hook="blocks.2.mlp.hook_post")), ("w7", Origin()),
     ("direction.7", Origin(hook="blocks.7.hook_resid_post")), ("layer_7_direction", Origin(layer=7)),
     ("L7", Origin(layer=7)), ("layer7/pos-1", Origin(layer=7, position=-1)), ("-1.7", Origin(layer=7, position=-1)),
     ("(-1, 7)", Origin(layer=7, position=-1)), ("pos_-2.layer_7", Origin(layer=7, position=-2)), ("2.7", Origin()),
     ("position 3", Origin(position=3)), ("l1_norm", Origin()), ("refusal.7", Origin()),
     ("blocks.7.hook_resid_post", Origin(hook="blocks.7.hook_resid_post")),
     ("blocks.7.attn.hook_z.2", Origin(hook="blocks.7.attn.hook_z.2")),
     ("blocks.7.hook_resid_post.-1", Origin(hook="blocks.7.hook_resid_post"))],
)  # fmt: skip
def test_a_tensors_name_may_say_its_layer_or_hook(tensor, origin):
    assert origin_of({}, tensor) == origin


def boundless(**more: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What pyvene saves of an intervention on a whole rotation, and the rotation."""
    module = torch.nn.Module()
    module.rotate_layer = torch.nn.Module()
    module.rotate_layer.weight = torch.nn.Parameter(random_basis(D, D, 1))
    orthogonal(module.rotate_layer)
    return module.state_dict() | dict(embed_dim=torch.tensor(D)) | more, module.rotate_layer.weight.detach()


@pytest.mark.parametrize(
    ("more", "columns", "kind", "done"),
    [
        (dict(intervention_boundaries=torch.tensor([0.25]), temperature=torch.tensor(0.1),
              intervention_population=torch.arange(D)), [0, 1, 2], "a boundless rotation",
         "its boundary says the first 3 of 12"),
        (dict(intervention_boundaries=torch.tensor([0.26])), [0, 1, 2, 3], "a boundless rotation", "first 4 of 12"),
        (dict(intervention_boundaries=torch.tensor([-1.0])), [0], "a boundless rotation", "first 1 of 12"),
        (dict(masks=torch.tensor([-1.0, 2, -3, 4] + [-1] * 8)), [1, 3], "a rotation", "its mask turns on 2 of 12"),
        (dict(interchange_dim=torch.tensor(2)), [0, 1], "a rotation", "its interchange_dim says the first 2 of 12"),
    ],
)  # fmt: skip
def test_a_whole_rotation_says_which_columns_it_exchanges(tmp_path, more, columns, kind, done):
    state, rotation = boundless(**more)
    torch.save(state, tmp_path / "intkey.bin")
    own = read(tmp_path / "intkey.bin")
    torch.testing.assert_close(own.basis, rotation[:, columns])
    assert own.taken_for == f"{kind}, [12, 12]"
    assert own.note.endswith(done)
    torch.testing.assert_close(read(f"{tmp_path / 'intkey.bin'}#:5").basis, rotation[:, [5]])


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("prefix", ["", "intervention/", "layer.3."])
@pytest.mark.parametrize("batch", [False, True])
def test_pyrefts_rotation_is_meant_and_not_what_its_coordinates_are_set_to(tmp_path, k, prefix, batch):
    rotation = random_basis(D, k, 3)
    source = torch.nn.Linear(D, k).state_dict() | dict(rotate_layer=rotation[None] if batch else rotation)
    torch.save({f"{prefix}{name}": values for name, values in source.items()}, tmp_path / "loreft.bin")
    own = read(tmp_path / "loreft.bin")
    torch.testing.assert_close(own.basis, rotation)
    assert own.taken_for.startswith("a rotation, ")
    assert f"weight says what the coordinates of a rotation are set to, and is no subspace; name {prefix}rotate" in (
        complaint(f"{tmp_path / 'loreft.bin'}#{prefix}weight")
    )


def test_a_rotation_under_any_name_is_put_together(tmp_path):
    module = torch.nn.Module()
    module.R = torch.nn.Parameter(random_basis(D, 3, 4))
    orthogonal(module, "R")
    torch.save(module.state_dict(), tmp_path / "w.pt")
    torch.testing.assert_close(read(tmp_path / "w.pt").basis, module.R.detach())
    assert read(f"{tmp_path / 'w.pt'}#R:1").basis.shape == (D, 1)


def test_the_only_tensor_of_the_hooks_width_is_meant_and_named(tmp_path):
    torch.save(dict(scores=torch.ones(5), w=V, other=FEATURES[:, :7]), tmp_path / "w.pt")
    own = read(tmp_path / "w.pt")
    assert is_along(own, V)
    assert own.note.startswith("took w, the only one of its tensors that may be meant; ")
    torch.save(dict(mask=V, mean_activation=FEATURES[1]), tmp_path / "w.pt")
    assert "has several tensors (mask, mean_activation); name one" in complaint(tmp_path / "w.pt")


def test_a_probe_beside_other_vectors_is_not_meant_alone(tmp_path):
    torch.save({"R.weight": random_basis(D, 2, 0).T, "W.weight": FEATURES[:2], "W.bias": torch.zeros(2)},
               tmp_path / "w.pt")  # fmt: skip
    assert "has several tensors (R.weight, W.weight); name one" in complaint(tmp_path / "w.pt")
    layers = torch.nn.Sequential(torch.nn.Linear(D, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    torch.save(layers.state_dict(), tmp_path / "deep.pt")
    assert "is the first layer of a probe of several, which reads along no single direction" in complaint(
        tmp_path / "deep.pt"
    )
    np.savez(
        tmp_path / "w.npz", coef_=V[None].numpy(), intercept_=np.zeros(1), classes_=np.array([0, 1]), scores=[1, 2.0]
    )
    assert is_along(read(tmp_path / "w.npz"), V)


@pytest.mark.parametrize("boundary", [1.0, 7.0])
def test_a_boundary_that_holds_all_is_the_whole_component(tmp_path, boundary):
    state, rotation = boundless(intervention_boundaries=torch.tensor([boundary]))
    torch.save({f"a.{name}": value for name, value in state.items()}, tmp_path / "w.bin")
    assert "#a.rotate_layer.weight spans all 12 dimensions, which an audit patches as the whole" in complaint(
        tmp_path / "w.bin"
    )
    plain = {"rotate_layer.parametrizations.weight.original": rotation, "intervention_boundaries": torch.tensor([0.1])}
    torch.save(plain, tmp_path / "plain.bin")
    torch.testing.assert_close(read(tmp_path / "plain.bin").basis, rotation[:, :2])


def test_components_of_standardised_activations_read_the_same_of_activations(tmp_path):
    x = np.random.default_rng(0).normal(size=(50, D)) * np.arange(1, D + 1)
    mean, std = x.mean(0), x.std(0)
    fitted = PCA(2).fit((x - mean) / std)
    as_tensors = dict(pca_components=fitted.components_, pca_mean=mean, pca_std=std)
    torch.save({name: torch.from_numpy(array).float() for name, array in as_tensors.items()}, tmp_path / "pca.bin")
    np.savez(tmp_path / "pca.npz", components_=fitted.components_, mean_=mean, scale_=std)
    for file, name in ((tmp_path / "pca.bin", "pca_components"), (tmp_path / "pca.npz", "components_")):
        whole, first = read(file), read(f"{file}#{name}:0")
        assert whole.basis.shape == (D, 2)
        assert whole.taken_for == "principal components of standardised activations, [2, 12]"
        assert "divided by the deviation" in whole.note
        scores = (x - mean) @ first.basis.double().numpy()[:, 0]
        assert np.corrcoef(scores, fitted.transform((x - mean) / std)[:, 0])[0, 1] == pytest.approx(1)
    assert "#pca_std says how activations lie and is no direction; name pca_components" in complaint(
        f"{tmp_path / 'pca.bin'}#pca_std"
    )


STD = torch.rand(D, generator=G) + 0.5
AXES = random_basis(D, 2, 8).T


@pytest.mark.parametrize(
    "tensors",
    [
        dict(pca_components=AXES, pca_std=STD[None]), dict(components=AXES, std=STD[:, None]),
        {"pca.components_": AXES, "scaler.scale_": STD, "scaler.mean_": V}, dict(components_=AXES, scaler_scale_=STD),
        dict(components_=AXES, sigma=STD), {"pca/components_": AXES, "pca/scale_": STD},
        dict(components_=AXES, act_std=STD, var_=STD**2), dict(pca_components=AXES[None], std_dev=STD),
        dict(components=AXES.T, stds=STD), dict(components_=AXES, scale=STD, mean=V),
        {"7.pca.components_": AXES, "7.scaler.scale_": STD},
        dict(pca_components=AXES.bfloat16(), pca_std=STD.bfloat16()),
    ],
)  # fmt: skip
def test_a_deviation_is_known_by_many_names_and_shapes(tmp_path, tensors):
    torch.save(tensors, tmp_path / "w.pt")
    own = read(tmp_path / "w.pt")
    expected = torch.linalg.qr((AXES / STD).T)[0]
    torch.testing.assert_close(own.basis @ own.basis.T, expected @ expected.T, atol=2e-2, rtol=0)
    assert own.taken_for.startswith("principal components of standardised activations, ")
    assert "divided by the deviation " in own.note
    probe = {"coef_" if "components" in name else name: values for name, values in tensors.items()}
    torch.save(probe | dict(coef_=V), tmp_path / "probe.pt")
    own = read(tmp_path / "probe.pt")
    assert own.taken_for == "a probe of standardised activations, [12]"
    torch.testing.assert_close(own.basis[:, 0], (V / STD) / (V / STD).norm(), atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    "beside",
    [dict(var_=STD), dict(inv_std=STD), dict(log_std=STD), dict(scale=STD), dict(scale_=STD * 0),
     {"scale_": STD, "min_": V}, dict(sigma=STD.sort(descending=True)[0]), dict(std=STD.repeat(3, 1)),
     {"a.scale_": STD, "b.scale_": 2 * STD}],
)  # fmt: skip
@pytest.mark.parametrize("vectors", [dict(components_=AXES), dict(coef_=V, intercept_=torch.zeros(1))])
def test_what_may_be_a_deviation_and_may_not_is_refused(tmp_path, beside, vectors):
    torch.save(vectors | beside, tmp_path / "w.pt")
    assert "beside it, and nothing tells for certain by what activations were divided" in complaint(
        f"{tmp_path / 'w.pt'}#{next(iter(vectors))}"
    )


def test_a_deviation_is_that_of_the_vectors_in_its_module(tmp_path):
    tensors = {"layer3.components_": AXES, "layer3.std": STD, "layer4.components_": AXES, "layer4.std": 1 / STD}
    torch.save(tensors, tmp_path / "w.pt")
    own = read(f"{tmp_path / 'w.pt'}#layer4.components_:1")
    assert is_along(own, AXES[1] * STD)
    assert own.origin == Origin(layer=4)
    del tensors["layer4.std"]
    torch.save(tensors, tmp_path / "w.pt")
    assert read(f"{tmp_path / 'w.pt'}#layer4.components_").taken_for == "principal components, [2, 12]"


def test_other_vectors_are_taken_as_they_are_and_the_deviation_beside_them_is_named(tmp_path):
    torch.save(dict(mean=V.roll(1), act_std=STD, direction=V), tmp_path / "w.pt")
    own = read(tmp_path / "w.pt")
    assert is_along(own, V)
    assert "taken as it is, not divided by act_std beside it" in own.note
    torch.save(dict(W_dec=FEATURES, std=STD), tmp_path / "sae.pt")
    assert "not divided by std beside it" in read(f"{tmp_path / 'sae.pt'}#:3").note


@pytest.mark.parametrize("name", ["std", "act_std", "variance", "sigma"])
def test_how_activations_spread_is_no_direction_wherever_it_stands(tmp_path, name):
    torch.save({name: STD}, tmp_path / "w.pt")
    np.save(tmp_path / f"{name}.npy", STD.numpy())
    torch.save({"mean": V, name: STD}, tmp_path / "both.pt")
    for file in ("w.pt", f"{name}.npy", "both.pt", "both.pt#mean", f"both.pt#{name}"):
        assert "says by its name how activations lie and is no direction" in complaint(f"{tmp_path / file}")
    torch.save({name: V}, tmp_path / "signed.pt")
    assert is_along(read(tmp_path / "signed.pt"), V)


def test_components_that_lean_on_each_other_are_a_list(tmp_path):
    np.savez(tmp_path / "w.npz", components_=FEATURES[:3].numpy())
    assert "is a list of 3 directions and no basis" in complaint(tmp_path / "w.npz")
    assert read(f"{tmp_path / 'w.npz'}#:0").taken_for == "components, [3, 12]"


def test_a_probe_of_two_classes_is_the_difference_of_its_rows(tmp_path):
    probe = torch.nn.Linear(D, 2)
    torch.save(probe.state_dict(), tmp_path / "two.pt")
    own = read(tmp_path / "two.pt")
    weight = probe.weight.detach()
    assert is_along(own, weight[1] - weight[0])
    assert own.taken_for == "a probe of two classes, [2, 12]"
    assert own.note.startswith("its second row less the first; normalised")
    torch.save(
        {f"head.{name}": value for name, value in torch.nn.Linear(D, 1).state_dict().items()}, tmp_path / "one.pt"
    )
    assert read(tmp_path / "one.pt").taken_for == "a probe, [1, 12]"
    torch.save(torch.nn.Linear(D, 5).state_dict(), tmp_path / "five.pt")
    assert "#weight is a list of 5 classes of a probe; choose one" in complaint(tmp_path / "five.pt")
    assert read(f"{tmp_path / 'five.pt'}#weight:3").basis.shape == (D, 1)
    np.savez(tmp_path / "fit.npz", coef_=weight[:1].numpy(), intercept_=np.zeros(1), scale_=np.arange(1.0, D + 1))
    own = read(tmp_path / "fit.npz")
    assert is_along(own, weight[0] / torch.arange(1.0, D + 1))
    assert own.taken_for == "a probe of standardised activations, [1, 12]"


@pytest.mark.parametrize("name", ["mask", "masks", "a.mask", "neuron_mask"])
def test_a_mask_is_refused_and_one_that_only_turns_on_or_off_is_a_set_of_neurons(tmp_path, name):
    torch.save({name: V, "temperature": torch.tensor(0.01)}, tmp_path / "soft.bin")
    assert (
        f"#{name} is a mask, which weighs every neuron for itself and is no direction; save the neurons"
        in complaint(tmp_path / "soft.bin")
    )
    torch.save({name: (V > 0).float()}, tmp_path / "hard.bin")
    own = read(tmp_path / "hard.bin")
    assert torch.equal(own.basis, torch.eye(D)[:, V > 0])
    assert own.taken_for == f"a set of {int((V > 0).sum())} neurons, [12]"


def test_zeros_and_ones_alone_are_a_mask_or_a_direction(tmp_path):
    np.save(tmp_path / "w.npy", (V > 0).float().numpy())
    assert "has no numbers below 0 or above 1, as a mask over neurons does; save the neurons" in complaint(
        tmp_path / "w.npy"
    )
    np.save(tmp_path / "w.npy", torch.eye(D)[3].numpy())
    assert is_along(read(tmp_path / "w.npy"), torch.eye(D)[3])


SOFT = torch.linspace(0.02, 1, D)


@pytest.mark.parametrize(
    "mask",
    [SOFT, SOFT[None], SOFT[:, None], SOFT.reshape(1, 1, D), SOFT.bfloat16(), (V > 0).float()[None],
     (V > 0).half()[:, None], 0.3 * SOFT],
)  # fmt: skip
def test_numbers_from_0_to_1_are_a_mask_unless_they_have_unit_length(tmp_path, mask):
    torch.save(mask, tmp_path / "w.pt")
    said = complaint(tmp_path / "w.pt")
    assert "numpy.flatnonzero(mask > 0.5)), and give these; if it is a direction, save it at unit length" in said
    unit = mask / mask.double().norm()
    torch.save(unit, tmp_path / "w.pt")
    assert is_along(read(tmp_path / "w.pt"), unit.float().flatten())
    with pytest.raises(InputError, match="^mine has no numbers below 0 or above 1"):
        user_subspace("mine", mask, D)


def test_masks_among_vectors_are_found_too(tmp_path):
    on = (V > 0).float()
    np.save(tmp_path / "w.npy", torch.stack([on, 1 - on]))
    for spec in (tmp_path / "w.npy", f"{tmp_path / 'w.npy'}#:1"):
        assert "has no numbers below 0 or above 1" in complaint(spec)


def test_other_vectors_without_negative_numbers_are_directions(tmp_path):
    for vector in (3 * SOFT, torch.ones(D), 1e-3 * SOFT):
        np.save(tmp_path / "w.npy", vector)
        assert is_along(read(tmp_path / "w.npy"), vector)
    np.savez(tmp_path / "sae.npz", W_dec=FEATURES.sigmoid().numpy())
    assert is_along(read(f"{tmp_path / 'sae.npz'}#:3"), FEATURES[3].sigmoid())


@pytest.mark.parametrize("name", ["gate", "gates", "mlp.gate_logits", "log_alpha", "logalpha", "z_loga", "Gate"])
def test_masks_are_known_by_other_names(tmp_path, name):
    for values, above in ((V[None], "0"), (SOFT, "0.5")):
        torch.save({name: values}, tmp_path / "w.pt")
        said = complaint(tmp_path / "w.pt")
        assert f"#{name} is a mask, " in said
        assert f"numpy.flatnonzero(mask > {above}))" in said
    torch.save({name: FEATURES[:3]}, tmp_path / "w.pt")  # a matrix of a gated MLP
    assert is_along(read(f"{tmp_path / 'w.pt'}#:1"), FEATURES[1])


def test_a_mask_that_is_alone_in_its_file_is_known_by_the_files_name(tmp_path):
    np.save(tmp_path / "mask_over_neurons.npy", V.numpy())
    np.save(tmp_path / "unmasked.npy", V.numpy())
    assert "is a mask" in complaint(tmp_path / "mask_over_neurons.npy")
    assert is_along(read(tmp_path / "unmasked.npy"), V)


@pytest.mark.parametrize(
    "neurons",
    [
        np.array([3, 7]),
        np.array([3, 7], dtype=np.uint8),
        np.isin(np.arange(D), [3, 7]),
        np.isin(np.arange(D), [3, 7]) * 1,
        np.isin(np.arange(D), [3, 7])[None],
        np.array([[3], [7]]),
    ],
)
def test_a_set_of_neurons_is_the_subspace_of_their_axes(tmp_path, neurons):
    np.save(tmp_path / "neurons.npy", neurons)
    for own in (read(tmp_path / "neurons.npy"), user_subspace("mine", torch.from_numpy(neurons), D)):
        assert torch.equal(own.basis, torch.eye(D)[:, [3, 7]])
        assert own.taken_for == f"a set of 2 neurons, {list(neurons.shape)}"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [([3, 3], "holds int64; a subspace needs real"), ([12], "are no neurons from 0 to 11"),
     ([-1], "are no neurons from 0 to 11"), ([[1, 2], [3, 4]], "holds int64"), ([], "are no neurons")],
)  # fmt: skip
def test_whole_numbers_that_are_no_set_of_neurons(tmp_path, numbers, words):
    np.save(tmp_path / "w.npy", np.array(numbers, dtype=np.int64))
    assert words in complaint(tmp_path / "w.npy")


def test_a_gguf_that_is_no_control_vector_and_a_broken_one(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_tensor("output.weight", FEATURES.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert "holds no tensors" in complaint(tmp_path / "model.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF and no more")
    assert "cannot be read as gguf: " in complaint(tmp_path / "broken.gguf")


def test_a_line_says_what_was_read():
    own = user_subspace("mine", 2 * random_basis(D, 1, 0)[:, 0], D)
    assert own.told == "taken for a direction, [12]; normalised: its norm was 2"
    assert (
        user_subspace("mine", random_basis(D, 2, 0), D).told
        == "taken for a basis of 2 directions, [12, 2]; of unit length as it was"
    )
