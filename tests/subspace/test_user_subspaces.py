import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from torch.nn.utils.parametrizations import orthogonal
from transformer_lens.tools.analysis.interchange import LearnedSubspace
from transformer_lens.tools.analysis.interchange import random_basis as a_random_basis

from subspace_illusion.core.basis import orthonormal, random_basis
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.user_subspaces import UserSubspace, parse_spec, read_user_subspace, user_subspace

D = 12
FRAME = random_basis(D, 3, 0).contiguous()
V = FRAME[:, 0]
SUFFIXES = (".safetensors", ".npy", ".pt", ".pth", ".bin")


def save(path: Path, tensor: torch.Tensor) -> Path:
    """Saves one tensor as the path's suffix says."""
    if path.suffix == ".safetensors":
        save_file({"w": tensor.contiguous()}, path)
    elif path.suffix == ".npy":
        np.save(path, tensor.numpy())
    else:
        torch.save(tensor, path)
    return path


def sae(folder: Path, decoder: torch.Tensor, **config: object) -> Path:
    """A folder as SAELens saves it."""
    folder.mkdir()
    n, d = decoder.shape
    weights = {"W_dec": decoder, "W_enc": 2 * decoder.T, "b_dec": torch.zeros(d), "b_enc": torch.zeros(n)}
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps({"d_in": d, "d_sae": n, "architecture": "standard"} | config))
    return folder


def projector(columns: torch.Tensor) -> torch.Tensor:
    """The projection on the span of columns, which tells spans apart."""
    q = torch.linalg.qr(columns.double())[0]
    return q @ q.mT


def same_span(own: UserSubspace, columns: torch.Tensor, tolerance: float = 1e-5) -> None:
    assert own.basis.dtype == torch.float32
    assert own.basis.is_contiguous()
    torch.testing.assert_close(own.basis.mT @ own.basis, torch.eye(own.basis.shape[1]), atol=1e-5, rtol=0)
    torch.testing.assert_close(projector(own.basis), projector(columns), atol=tolerance, rtol=0)


def complaint(file: Path, *args: object, width: int = D) -> str:
    with pytest.raises(InputError) as error:
        read_user_subspace(file, width, *args)
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith(str(file))
    return message.removeprefix(str(file))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_basis_comes_back_as_it_was_from_every_format(tmp_path, suffix):
    own = read_user_subspace(save(tmp_path / f"w{suffix}", FRAME), D)
    assert torch.equal(own.basis, FRAME)
    assert own.note == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("tensor", "note"),
    [
        (V, ""),
        (V[:, None], ""),
        (V[None], "transposed: it was [1, 12]"),
        (3.2 * V, "normalised: its norm was 3.2"),
        (FRAME.T, "transposed: it was [3, 12]"),
        (FRAME * torch.tensor([1.0, 2, 0.5]), "normalised: its vectors' norms were 0.5 to 2"),
        (FRAME * 2, "normalised: its vectors' norms were 2"),
        (
            FRAME.T * torch.tensor([[1.0], [2], [3]]),
            "transposed: it was [3, 12]; normalised: its vectors' norms were 1 to 3",
        ),
    ],
)
def test_what_was_done_is_said_and_the_vectors_keep_their_signs(tmp_path, suffix, tensor, note):
    own = read_user_subspace(save(tmp_path / f"w{suffix}", tensor), D)
    assert own.note == note
    torch.testing.assert_close(own.basis, FRAME[:, : own.basis.shape[1]])


@pytest.mark.parametrize("lying", [False, True])
def test_vectors_that_lean_on_each_other_are_a_list_unless_their_span_is_asked_for(tmp_path, lying):
    mixed = torch.stack([2 * FRAME[:, 0], FRAME[:, 0] + FRAME[:, 1]], dim=1)
    file = save(tmp_path / "w.npy", mixed.T if lying else mixed)
    own = read_user_subspace(file, D, rows="0:2")
    assert own.note.endswith("orthonormalised: the largest cosine between two of its vectors was 0.71")
    torch.testing.assert_close(own.basis, FRAME[:, :2])
    said = complaint(file)
    assert said.startswith(" is a list of 2 directions and no basis, with cosines of up to 0.71; choose one, as in ")
    assert f"{file}#:0, or the span of some, as in {file}#:0:2; of a probe of two classes it is the difference" in said
    with pytest.raises(InputError, match="^mine is a list of 2 .*; give one of them, or a basis of their span"):
        user_subspace("mine", mixed, D)


def test_nearly_orthogonal_concepts_are_a_list_and_a_rounded_basis_is_one(tmp_path):
    d = 2000
    concepts = torch.randn(5, d, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match="is a list of 5 directions"):
        read_user_subspace(save(tmp_path / "w.pt", concepts.bfloat16()), d)
    assert read_user_subspace(save(tmp_path / "v.pt", random_basis(d, 5, 0).bfloat16()), d).basis.shape == (d, 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_two_concepts_that_hardly_lean_on_each_other_are_a_list(tmp_path, dtype):
    one, other = random_basis(2000, 2, 1).T
    for cosine in (0.004, 0.002, 0.001):
        concepts = torch.stack([one, torch.nn.functional.normalize(other + cosine * one, dim=0)])
        for saved in (concepts.to(dtype), concepts.to(dtype).float()):
            with pytest.raises(InputError, match=r"is a list of 2 directions and no basis.*; choose one, as in "):
                read_user_subspace(save(tmp_path / "w.pt", saved), 2000)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("d", [D, 64, 2000])
def test_a_rounded_basis_is_one_in_whatever_numbers_it_is_saved(tmp_path, dtype, d):
    basis = random_basis(d, min(d // 2, 100), 3).to(dtype)
    for values in (basis, basis.float()):
        own = read_user_subspace(save(tmp_path / "w.pt", values), d)
        same_span(own, values.float(), 1e-4)


@settings(max_examples=80)
@given(
    st.integers(2, 24).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, d - 1))),
    st.integers(0, 10**6),
    st.booleans(),
    st.booleans(),
    st.sampled_from([1.0, 1e-30, 1e30]),
    st.sampled_from([".safetensors", ".npy", ".pt"]),
)
def test_the_span_is_the_one_that_was_saved(tmp_path_factory, shape, seed, lying, mixed, size, suffix):
    d, k = shape
    generator = torch.Generator().manual_seed(seed)
    columns = random_basis(d, k, seed) * torch.logspace(-2, 2, k)
    if mixed:  # by a matrix that is far from singular
        columns = random_basis(d, k, seed) @ (torch.eye(k) + 0.4 * random_square(k, generator))
    columns = torch.where((columns >= 0).all(0), -columns, columns)  # or they might be masks
    file = save(tmp_path_factory.mktemp("own") / f"w{suffix}", size * (columns.T if lying else columns))
    same_span(read_user_subspace(file, d, rows=f"0:{k}" if mixed else None), columns, 1e-4)


def random_square(k: int, generator: torch.Generator) -> torch.Tensor:
    return orthonormal(torch.randn(k, k, generator=generator))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
@pytest.mark.parametrize("rows", [None, "0:3"])
def test_short_floats_are_converted(tmp_path, dtype, rows):
    own = read_user_subspace(save(tmp_path / "w.safetensors", FRAME.to(dtype)), D, rows=rows)
    same_span(own, FRAME.to(dtype).float())
    assert f"converted from {str(dtype).removeprefix('torch.')}; orthonormalised" in own.note


@pytest.mark.parametrize("dtype", ["<f8", ">f4", ">f8", "f2", np.longdouble])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_of_any_float_type_and_order(tmp_path, dtype, order):
    np.save(tmp_path / "w.npy", np.asarray(FRAME.numpy(), dtype=dtype, order=order))
    same_span(read_user_subspace(tmp_path / "w.npy", D), FRAME, 1e-2)


def test_numbers_whose_squares_do_not_fit(tmp_path):
    for size in (1e-300, 1e300):
        np.save(tmp_path / "w.npy", size * FRAME.double().numpy())
        same_span(read_user_subspace(tmp_path / "w.npy", D), FRAME)


def test_files_with_several_tensors_need_a_name(tmp_path):
    tensors = {f"t{i}": random_basis(D, 2, i).contiguous() for i in range(7)}
    save_file(tensors, tmp_path / "w.safetensors")
    torch.save(tensors | {"step": 3}, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        file = tmp_path / name
        assert torch.equal(read_user_subspace(file, D, "t4").basis, tensors["t4"])
        assert (
            complaint(file)
            == f" has several tensors (t0, t1, t2, t3, t4 and 2 more); name one, as in {tmp_path / name}#t0"
        )
        assert complaint(file, "u") == " has no tensor u; it has t0, t1, t2, t3, t4 and 2 more"
    assert "one without a name" in complaint(save(tmp_path / "w.npy", V), "u")


@pytest.mark.parametrize(
    ("rows", "picked"),
    [("17", [17]), ("3,5,9", [3, 5, 9]), ("0:4", [0, 1, 2, 3]), ("2, 7:9", [2, 7, 8]), ([4, 1], [4, 1])],
)
def test_rows_choose_vectors(tmp_path, rows, picked):
    features = torch.nn.functional.normalize(torch.randn(40, D, generator=torch.Generator().manual_seed(1)), dim=1)
    for tensor in (features, features.T):
        own = read_user_subspace(save(tmp_path / "w.npy", tensor), D, rows=rows)
        same_span(own, features[picked].T)
        torch.testing.assert_close(own.basis[:, 0], features[picked[0]])
        assert own.note.startswith(f"took {len(picked)} of its 40 vectors")


@pytest.mark.parametrize("rows", [None, "2:4"])
def test_a_square_tensor_leaves_open_what_its_vectors_are_unless_its_name_says_so(tmp_path, rows):
    square = random_basis(D, D, 5).contiguous()
    said = complaint(save(tmp_path / "w.npy", square), None, rows)
    assert said.startswith(" is square ([12, 12]), so that its rows and its columns cannot be told apart; save ")
    named = {"W_dec": square, "W_enc": square, "decoder.weight": square, "encoder.weight": square}
    save_file({name: tensor.clone() for name, tensor in named.items()}, tmp_path / "w.safetensors")
    for name, vectors in zip(named, (square, square.T, square.T, square), strict=True):
        own = read_user_subspace(tmp_path / "w.safetensors", D, name, "2:4")
        torch.testing.assert_close(own.basis, vectors[2:4].T)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("40", "has 40 vectors, from 0 to 39; there is no 40 to choose"),
        ([-1], "there is no -1 to choose"),
        ("38:41", "there is no 38:41 to choose"),
        ("0:999999999999", "there is no 0:999999999999 to choose"),
        ("4:2", "there is no 4:2 to choose"),
        ("3:3", "there is no 3:3 to choose"),
        ("", "'' are no rows"),
        ("-1", "'-1' are no rows; write a number, several (3,5,9) or a range (0:4), from 0"),
        ("1:2:3", "are no rows"),
        ("9" * 5000, "are no rows"),
        ([], "no rows are chosen"),
        (None, "has 40 vectors in 12 dimensions; choose one, as in "),
        ("0:20", "has 20 vectors in 12 dimensions"),
        ("3,3", "has 2 vectors, only 1 of which are independent"),
    ],
)
def test_rows_that_are_none(tmp_path, rows, words):
    file = save(tmp_path / "w.npy", torch.randn(40, D, generator=torch.Generator().manual_seed(1)))
    assert words in complaint(file, None, rows)


def test_an_sae_gives_its_decoders_features(tmp_path):
    decoder = torch.nn.functional.normalize(torch.randn(40, D, generator=torch.Generator().manual_seed(2)), dim=1)
    folder = sae(tmp_path / "sae", decoder)
    own = read_user_subspace(folder, D, rows="17")
    torch.testing.assert_close(own.basis[:, 0], decoder[17])
    assert own.note == "took 1 of its 40 vectors"
    assert torch.equal(read_user_subspace(folder, D, "W_dec", [17]).basis, own.basis)
    torch.testing.assert_close(read_user_subspace(folder, D, "W_enc", "17").basis, own.basis)
    assert "#W_dec is a list of 40 features of an SAE's decoder; choose one, as in " in complaint(folder)
    # As wide as the SAE has features, which are no vectors of that width.
    assert "has vectors of 12 dimensions, the component has 40; choose the component" in complaint(
        folder, None, "1", width=40
    )
    assert torch.equal(read_user_subspace(folder / "sae_weights.safetensors", D, rows="17").basis, own.basis)
    sae(tmp_path / "transcoder", decoder, d_in=99, d_out=D)
    assert read_user_subspace(tmp_path / "transcoder", D, rows="0").basis.shape == (D, 1)


def test_folders_that_are_no_saes(tmp_path):
    folder = sae(tmp_path / "sae", torch.ones(40, D))
    for text, words in [("{", "cannot be read"), ("[" * 10**5, "cannot be read"), ("[1]", "no object")]:
        (folder / "cfg.json").write_text(text)
        assert words in complaint(folder, None, "1")
    (folder / "cfg.json").unlink()
    assert complaint(folder) == " is a folder without cfg.json; name a file, or a folder that SAELens saved"
    assert "without sae_weights.safetensors or sae.safetensors or ae.pt" in complaint(tmp_path)
    assert complaint(tmp_path).endswith(f"; it has folders that do: name one, as in {folder}")


def test_a_probe_of_scikit_learn(tmp_path):
    generator = np.random.default_rng(0)
    activations, labels = generator.normal(size=(90, D)), np.repeat([0, 1, 2], 30)
    np.save(tmp_path / "two.npy", LogisticRegression().fit(activations[:60], labels[:60]).coef_)
    coef = torch.from_numpy(np.load(tmp_path / "two.npy"))
    own = read_user_subspace(tmp_path / "two.npy", D)
    torch.testing.assert_close(own.basis, (coef / coef.norm()).T.float())
    assert own.note.startswith("transposed: it was [1, 12]; normalised: its norm was ")
    # The rows of a softmax add up to zero.
    np.save(tmp_path / "three.npy", LogisticRegression().fit(activations, labels).coef_)
    assert "is a list of 3 directions and no basis" in complaint(tmp_path / "three.npy")
    assert "only 2 of which are independent" in complaint(tmp_path / "three.npy", None, "0:3")
    same_span(
        read_user_subspace(tmp_path / "three.npy", D, rows="0:2"),
        torch.from_numpy(np.load(tmp_path / "three.npy")[:2].T),
    )


class Rotated(torch.nn.Module):
    """What pyvene's rotated interventions save of themselves."""

    def __init__(self, d: int, k: int, seed: int):
        super().__init__()
        self.register_buffer("embed_dim", torch.tensor(d))
        self.rotate_layer = torch.nn.Module()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.rotate_layer.weight = torch.nn.Parameter(torch.nn.init.orthogonal_(torch.empty(d, k)))
            orthogonal(self.rotate_layer)
            # As training does, all but the diagonal, which is only a sign and gets no gradient.
            original = self.rotate_layer.parametrizations.weight.original
            original.data += 0.3 * torch.randn_like(original).tril(-1)

    @property
    def rotation(self) -> torch.Tensor:
        return self.rotate_layer.weight.detach()


@pytest.mark.parametrize("k", [1, 3])
def test_a_trained_rotation_of_pyvene(tmp_path, k):
    module = Rotated(D, k, seed=k)
    torch.save(module.state_dict(), tmp_path / "intkey.bin")
    torch.save(module.rotate_layer.state_dict(), tmp_path / "layer.bin")
    save_file({name: tensor.contiguous() for name, tensor in module.state_dict().items()}, tmp_path / "w.safetensors")
    for name in ("intkey.bin", "layer.bin", "w.safetensors"):
        torch.testing.assert_close(read_user_subspace(tmp_path / name, D).basis, module.rotation)
    torch.testing.assert_close(
        read_user_subspace(tmp_path / "intkey.bin", D, "rotate_layer.weight").basis, module.rotation
    )
    assert "has no tensor" in complaint(tmp_path / "intkey.bin", "rotate_layer.parametrizations.weight.original")


def test_a_whole_rotation_of_pyvene_gives_its_first_columns(tmp_path):
    module = Rotated(D, D, seed=0)
    torch.save(module.state_dict(), tmp_path / "intkey.bin")
    torch.testing.assert_close(read_user_subspace(tmp_path / "intkey.bin", D, rows="0:3").basis, module.rotation[:, :3])
    assert "#rotate_layer.weight spans all 12 dimensions, which an audit patches " in complaint(tmp_path / "intkey.bin")


def test_the_rotation_of_a_wide_layer(tmp_path):
    layer = orthogonal(torch.nn.Linear(D, 3, bias=False))
    torch.save(layer.state_dict(), tmp_path / "w.pt")
    torch.testing.assert_close(read_user_subspace(tmp_path / "w.pt", D).basis, layer.weight.detach().T)


@pytest.mark.parametrize(
    "broken", [{}, {"a.parametrizations.weight.0.base": torch.eye(3)}, {"a.parametrizations.weight.0.base": V}]
)
def test_a_rotation_without_its_base(tmp_path, broken):
    torch.save({"a.parametrizations.weight.original": 2 * FRAME} | broken, tmp_path / "w.pt")
    assert "has no fitting parametrizations.weight.0.base; save a.weight itself" in complaint(tmp_path / "w.pt")


def test_subspaces_of_transformer_lens(tmp_path):
    basis = a_random_basis(D, 3, seed=4)
    torch.testing.assert_close(read_user_subspace(save(tmp_path / "basis.pt", basis), D).basis, basis)
    learned = LearnedSubspace(D, 3)
    torch.save(learned.state_dict(), tmp_path / "learned.pt")
    torch.testing.assert_close(read_user_subspace(tmp_path / "learned.pt", D).basis, learned.basis.detach())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.ones(D - 1), " has shape [11], no side of which is the component's width of 12"),
        (torch.ones(2, 3), " has shape [2, 3], no side of which is the component's width of 12"),
        (torch.tensor(1.0), " has shape []; a subspace is [d], [k, d] or [d, k]"),
        (torch.ones(3, 2, D), " has shape [3, 2, 12]; give one index for each of the first 2 axes, from 0 up to 2,1"),
        (torch.ones(3, D, 2), " has shape [3, 12, 2], the last side of which is not the component's width of 12"),
        (torch.eye(D), " is square ([12, 12]), so that its rows and its columns cannot be told apart; save "),
        (torch.zeros(D), " is zero, which is no direction"),
        (FRAME * torch.tensor([1.0, 0, 1]), " is zero in vector 1 of 3, which is no direction"),
        (FRAME[:, [0, 1, 0]], " is a list of 3 directions and no basis, with cosines of up to 1; choose one, as in "),
        (V / torch.tensor(0.0), " holds NaN or infinite numbers"),
        (torch.where(torch.arange(D) == 3, torch.nan, V), " holds NaN or infinite numbers"),
        (torch.ones(2, D).long(), " holds int64; a subspace needs real floating-point numbers, save it as float32"),
        (torch.arange(D) + 1, " holds whole numbers that are no neurons from 0 to 11; save vectors as float32"),
        (torch.arange(D), " spans all 12 dimensions, which an audit patches as the whole component; "),
        (torch.ones(D, dtype=torch.bool), " spans all 12 dimensions, "),
        (torch.ones(D - 1, dtype=torch.bool), " holds bool; "),
        (torch.ones(D, dtype=torch.complex64), " holds complex64; "),
        (torch.ones(0, D), " has 0 vectors in 12 dimensions"),
    ],
)
def test_tensors_that_are_no_subspaces(tmp_path, suffix, tensor, words):
    message = complaint(save(tmp_path / f"w{suffix}", tensor))
    assert re.sub("^#w", "", message).startswith(words)


class Payload:
    """Would run something if it were unpickled."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_pickles_are_refused(tmp_path):
    torch.save({"w": V, "config": Payload()}, tmp_path / "w.pt")
    (tmp_path / "w.bin").write_bytes(pickle.dumps(Payload()))
    for name, tool in (("w.pt", "torch"), ("w.bin", "joblib")):
        said = complaint(tmp_path / name)
        assert " without unpickling more than tensors, which is refused; save the vector alone, if you trust " in said
        assert f"numpy.save('{tmp_path / 'w.npy'}', {tool}.load('{tmp_path / name}'" in said
    for name in ("w.pkl", "w.joblib"):  # not even opened
        assert f"joblib.load('{tmp_path / name}')" in complaint(tmp_path / name)
    (tmp_path / "w.npy").write_bytes(pickle.dumps(Payload()))
    np.save(tmp_path / "v.npy", np.array([Payload()], dtype=object), allow_pickle=True)
    for name in ("w.npy", "v.npy"):
        assert complaint(tmp_path / name).startswith(" holds no array of numbers (pickled objects are not opened); ")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.filterwarnings("error")
def test_broken_files_are_said_to_be(tmp_path, suffix):
    file = tmp_path / f"w{suffix}"
    assert complaint(file) == " is not there; name a file with a subspace"
    whole = save(file, FRAME).read_bytes()
    file.write_bytes(b"")
    assert complaint(file) == " is an empty file; write or download it anew"
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n")
    assert complaint(file).startswith(" is a pointer of Git LFS, ")
    for broken in (b"hello there", whole[: len(whole) // 2], whole[:-1], whole[:20]):
        file.write_bytes(broken)
        assert re.search(r"cannot be (read as|opened)|holds no array", complaint(file))


def test_files_of_other_kinds(tmp_path):
    assert "is none of .safetensors, .npy, .npz, .pt, .pth, .bin, .gguf, .json" in complaint(tmp_path / "w.h5")
    assert " is a table of text; save its numbers alone: python -c " in complaint(tmp_path / "w.csv")
    with pytest.raises(InputError, match="is an address; download the file"):
        read_user_subspace(Path("https://somewhere.org/w.pt"), D)
    torch.jit.save(torch.jit.script(torch.nn.Linear(D, 1)), tmp_path / "w.pt")
    assert complaint(tmp_path / "w.pt").endswith("; save a tensor anew")
    torch.save(torch.empty(D, device="meta"), tmp_path / "w.pt")
    assert complaint(tmp_path / "w.pt") == " holds no tensors; save the subspace's tensor in it"
    torch.save({1, 2}, tmp_path / "w.pt")
    assert complaint(tmp_path / "w.pt") == " holds a set; save a tensor, or a dict of tensors by name"
    torch.save({"step": 1}, tmp_path / "w.pt")
    assert complaint(tmp_path / "w.pt") == " holds no tensors; save the subspace's tensor in it"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("w.npy", ("w.npy", None, None)),
        ("a/w.safetensors#W_dec", ("a/w.safetensors", "W_dec", None)),
        ("sae/#W_dec:17", ("sae", "W_dec", "17")),
        ("sae#W_dec:0:4", ("sae", "W_dec", "0:4")),
        ("probe.npy#:3,5", ("probe.npy", None, "3,5")),
        ("C:/w.pt#w", ("C:/w.pt", "w", None)),
        ("intkey_layer_1#0.bin", ("intkey_layer_1#0.bin", None, None)),
        ("intkey_layer_1#0.bin#rotate_layer.weight:0:2", ("intkey_layer_1#0.bin", "rotate_layer.weight", "0:2")),
    ],
)
def test_the_command_lines_spelling(text, parts):
    file, tensor, rows = parse_spec(text)
    assert (file, tensor, rows) == (Path(parts[0]), *parts[1:])


def test_a_home_folder_is_found_behind_a_label_where_no_shell_does_it():
    assert parse_spec("~/w.npy#:1") == (Path.home() / "w.npy", None, "1")


@pytest.mark.parametrize("text", ["", "#w"])
def test_a_spelling_without_a_file(text):
    with pytest.raises(InputError, match="names no file"):
        parse_spec(text)


def test_names_with_colons_are_found_and_their_rows_too(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"trained:0": FRAME, "mean difference:": V[:, None].contiguous()}, file)
    for text, expected in [("trained:0", FRAME), ("trained:0:2", FRAME[:, 2:]), ("mean difference:", V[:, None])]:
        path, tensor, rows = parse_spec(f"{file}#{text}")
        assert torch.equal(read_user_subspace(path, D, tensor, rows).basis, expected)
    assert "has no tensor trained; it has " in complaint(file, "trained", "1")
