import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from transformer_lens.tools.analysis.interchange import SubspaceInterchange, intervened_logits

from subspace_illusion.core.basis import patch_change, random_basis
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.formats import (
    ABOUT,
    FORMAT,
    read_subspace_file,
    to_pyvene,
    to_transformer_lens,
    write_subspace_file,
)
from subspace_illusion.subspace.user_subspaces import parse_spec, read_user_subspace

D = 12
FRAMES = {
    "trained:0": random_basis(D, 2, 0).contiguous(),
    "trained:1": random_basis(D, 2, 1).contiguous(),
    "mean difference:": random_basis(D, 1, 2),
}
SAID = dict.fromkeys(ABOUT, "é ü") | dict(hook="blocks.2.mlp.hook_post", seeds="0,1")


def activations(d: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    base, source = torch.randn(2, 5, d, generator=torch.Generator().manual_seed(seed))
    return base, source


def test_what_is_written_comes_back(tmp_path):
    path = tmp_path / "out" / "mlp.safetensors"
    write_subspace_file(path, FRAMES, SAID | {"note": "x"})
    bases, about = read_subspace_file(path)
    assert bases.keys() == FRAMES.keys()
    assert all(torch.equal(bases[label], FRAMES[label]) for label in FRAMES)
    assert about == SAID | {"note": "x", "format": FORMAT, "rank": "2"}
    assert [file.name for file in path.parent.iterdir()] == ["mlp.safetensors"]


def test_every_basis_of_a_file_is_a_subspace_of_ones_own(tmp_path):
    path = tmp_path / "mlp.safetensors"
    write_subspace_file(path, FRAMES, SAID)
    for label, basis in FRAMES.items():
        file, tensor, rows = parse_spec(f"{path}#{label}")
        own = read_user_subspace(file, D, tensor, rows)
        assert torch.equal(own.basis, basis)
        assert own.note == ""


def test_equal_bases_make_equal_files(tmp_path):
    write_subspace_file(tmp_path / "first", FRAMES, SAID)
    raw = (tmp_path / "first").read_bytes()
    for _ in range(5):
        write_subspace_file(tmp_path / "again", dict(reversed(FRAMES.items())), dict(reversed(SAID.items())))
        assert (tmp_path / "again").read_bytes() == raw
    size = int.from_bytes(raw[:8], "little")
    assert size % 8 == 0
    assert list(json.loads(raw[8 : 8 + size])["__metadata__"]) == sorted((*ABOUT, "format", "rank"))


@pytest.mark.parametrize(
    ("bases", "about", "words"),
    [
        ({}, SAID, "needs one basis at least"),
        (FRAMES, {"model": "m", "task": "ioi"}, "needs model_sha256, hook, position, seeds said"),
        (FRAMES, SAID | {"seeds": 3}, "needs seeds said of its subspaces, as text"),
        ({"a": 2 * FRAMES["trained:0"]}, SAID, "#a has columns that are not orthonormal (off by 3)"),
        ({"a": FRAMES["trained:0"] * torch.nan}, SAID, "#a has columns that are not orthonormal (off by nan)"),
        ({"a": FRAMES["trained:0"].double()}, SAID, "#a is float64 [12, 2]; a basis is float32 [d, k]"),
        ({"a": FRAMES["trained:0"][:, 0]}, SAID, "#a is float32 [12]; a basis"),
        ({"a": FRAMES["trained:0"].T}, SAID, "#a is float32 [2, 12]; a basis"),
        (FRAMES | {"b": random_basis(7, 1, 0)}, SAID, "has bases of 7 and 12 dimensions; write one file for each"),
    ],
)
def test_what_is_no_set_of_bases_is_neither_written_nor_read(tmp_path, bases, about, words):
    path = tmp_path / "mlp.safetensors"
    with pytest.raises(InputError) as error:
        write_subspace_file(path, bases, about)
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)
    assert not path.exists()
    if all(isinstance(value, str) for value in about.values()):
        metadata = about | {"format": FORMAT, "rank": "2"}
        save_file({label: basis.contiguous() for label, basis in bases.items()}, path, metadata)
        with pytest.raises(InputError) as again:
            read_subspace_file(path)
        assert str(again.value) == str(error.value)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "is of format None and not 'subspace-illusion/1'"),
        (SAID | {"format": "subspace-illusion/2", "rank": "2"}, "is of format 'subspace-illusion/2'"),
        (SAID | {"format": FORMAT, "rank": "3"}, "says rank '3', but its bases have 2"),
        (SAID | {"format": FORMAT}, "says rank None"),
    ],
)
def test_other_layouts_are_told(tmp_path, metadata, words):
    save_file(FRAMES, tmp_path / "w.safetensors", metadata)
    with pytest.raises(InputError) as error:
        read_subspace_file(tmp_path / "w.safetensors")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "broken.safetensors").write_bytes(b"hello there")
    for name in ("broken.safetensors", "missing.safetensors"):
        with pytest.raises(InputError, match=f"{name} cannot be read as safetensors: "):
            read_subspace_file(tmp_path / name)


@pytest.mark.parametrize("convert", [to_transformer_lens, to_pyvene])
def test_only_bases_are_handed_on(convert):
    with pytest.raises(InputError, match="not orthonormal"):
        convert(2 * FRAMES["trained:0"])


shapes = st.integers(1, 16).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, d), st.integers(0, 10**6)))


@settings(max_examples=60)
@given(shapes)
def test_transformer_lens_patches_what_we_patch(shape):
    d, k, seed = shape
    basis = random_basis(d, k, seed)
    base, source = activations(d, seed)
    theirs = SubspaceInterchange(to_transformer_lens(basis))(base, source)
    torch.testing.assert_close(theirs, base + patch_change(base, source, basis))


def test_transformer_lens_runs_a_model_with_our_basis(llama):
    hook = "blocks.1.mlp.hook_out"
    tokens = torch.arange(24).view(4, 6)
    last = torch.full((4,), 5)
    seen = {}

    def end_logits(inputs):
        return llama.bridge(inputs)[:, -1]

    with torch.no_grad():
        base = llama.bridge.run_with_cache(tokens)[1][hook][:, -1]
        source = llama.bridge.run_with_cache(tokens.flip(0))[1][hook][:, -1]
        basis = random_basis(base.shape[1], 2, 3)

        def patch(act, hook):
            seen["base"] = act[:, -1].clone()
            act = act.clone()
            act[:, -1] += patch_change(base, source, basis)
            return act

        with llama.bridge.hooks(fwd_hooks=[(hook, patch)]):
            ours = end_logits(tokens)
        theirs = intervened_logits(
            llama.bridge,
            hook,
            SubspaceInterchange(to_transformer_lens(basis)),
            tokens,
            source,
            end_logits,
            positions=last,
        )
        torch.testing.assert_close(seen["base"], base)
        torch.testing.assert_close(theirs, ours)
        assert (ours - end_logits(tokens)).abs().max() > 1e-3


@settings(max_examples=40)
@given(shapes)
def test_pyvenes_state_is_read_back(tmp_path_factory, shape):
    d, k, seed = shape
    basis = random_basis(d, k, seed)
    file = tmp_path_factory.mktemp("pyvene") / "intkey.bin"
    torch.save(to_pyvene(basis), file)
    own = read_user_subspace(file, d, rows=f"0:{k}")
    torch.testing.assert_close(own.basis, basis)


@pytest.mark.parametrize("k", [1, 3, D])
def test_pyvene_patches_what_we_patch(k):
    pyvene = pytest.importorskip("pyvene")
    basis = random_basis(D, k, 5)
    intervention = pyvene.LowRankRotatedSpaceIntervention(embed_dim=D, low_rank_dimension=k)
    intervention.load_state_dict(to_pyvene(basis))
    base, source = activations(D, 6)
    with torch.no_grad():
        torch.testing.assert_close(intervention.rotate_layer.weight, basis)
        torch.testing.assert_close(intervention(base, source), base + patch_change(base, source, basis))


def test_pyvenes_trained_rotation_is_read(tmp_path):
    pyvene = pytest.importorskip("pyvene")
    base, source = activations(D, 7)
    intervention = pyvene.LowRankRotatedSpaceIntervention(embed_dim=D, low_rank_dimension=2)
    optimiser = torch.optim.Adam(intervention.parameters(), lr=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        intervention(base, source).square().sum().backward()
        optimiser.step()
    torch.save(intervention.state_dict(), tmp_path / "intkey.bin")
    basis = read_user_subspace(tmp_path / "intkey.bin", D).basis
    with torch.no_grad():
        torch.testing.assert_close(intervention(base, source), base + patch_change(base, source, basis))
