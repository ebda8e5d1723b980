"""Models whose weights are in 16 bits: what is rounded, what is not, and what an audit says of it."""

from typing import get_args

import pandas as pd
import pytest
import torch

import tiny
from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion import Audit, audit
from subspace_illusion.auditing.localising import localise_variable
from subspace_illusion.auditing.proof import prove
from subspace_illusion.auditing.settings import TOLERANCE, Das
from subspace_illusion.core import linear
from subspace_illusion.core.attribution import bends_logits
from subspace_illusion.core.checkpoints import DTYPES, load_model, saved_dtype
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import bridge_model, open_model
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail
from subspace_illusion.core.tokenizer import Dtype, Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.tasks.table import DIFFERENT

HOOK = "blocks.1.mlp.hook_post"
FAST = dict(filter_incorrect=False, resamples=200, calibrate=False, controls=False)
BF16, FP16 = torch.bfloat16, torch.float16


def rounded(architecture: str, dtype: torch.dtype, runs_in: torch.dtype | None = None) -> Model:
    """A tiny model with its weights rounded to a dtype, run in it or in another."""
    words = tiny.tokenizer()
    weights = tiny.hf_model(architecture, len(words)).to(dtype).to(runs_in or dtype)
    return bridge_model(weights, Tokenizer(words), tiny.CPU)


@pytest.fixture(scope="module", params=tiny.ARCHITECTURES)
def both(request) -> tuple[Model, Model]:
    """A model in bfloat16, and the same numbers in float32."""
    return rounded(request.param, BF16), rounded(request.param, BF16, torch.float32)


@pytest.fixture(scope="module")
def llama16() -> Model:
    return rounded("llama", BF16)


@pytest.fixture(scope="module")
def folder16(tmp_path_factory):
    path = tmp_path_factory.mktemp("bfloat16")
    words = tiny.tokenizer()
    tiny.hf_model("llama", len(words)).to(BF16).save_pretrained(path)
    words.save_pretrained(path)
    return path


def tokens(n: int = 3) -> torch.Tensor:
    return torch.randint(1, 500, (n, 7), generator=torch.Generator().manual_seed(0))


def test_what_is_measured_is_float32_and_what_is_replayed_the_models_own(both):
    model, exact = both
    sites = [Site.parse(f"blocks.2.{point}") for point in ("hook_resid_post", "mlp.hook_post", "attn.hook_z.1")]
    run = record(model, tokens(), sites, tail_from=1)
    assert {x.dtype for x in (*run.activations.values(), run.logits)} == {torch.float32}
    assert {x.dtype for part in (run.tail.residual, run.tail.keys, run.tail.values) for x in part.values()} == {BF16}
    assert {parameter.dtype for parameter in model.bridge.parameters()} == {BF16}
    for site in sites[1:]:
        torch.testing.assert_close(model.readout(site), exact.readout(site), atol=0, rtol=0)
    assert (model.centres, model.parallel_blocks) == (exact.centres, exact.parallel_blocks)
    assert [model.hands_on_alone(site) for site in sites] == [exact.hands_on_alone(site) for site in sites]
    assert model.factor_behind(1, "attn") == exact.factor_behind(1, "attn")
    assert bends_logits(model) == bends_logits(exact)


def test_logits_are_not_rounded(both):
    """A logit in bfloat16 has 8 binary digits."""
    logits = record(both[0], tokens()).logits
    assert not torch.equal(logits, logits.bfloat16().float())
    far = (logits - record(both[1], tokens()).logits).abs().max()
    assert far < 0.05 * logits.abs().max()


@pytest.mark.parametrize("point", ["hook_resid_pre", "mlp.hook_post", "attn.hook_z.2"])
def test_a_patch_of_the_whole_leaves_what_the_source_holds(both, point):
    model, site = both[0], Site.parse(f"blocks.1.{point}")
    base, source = (record(model, tokens(6)[half], [site], tail_from=1) for half in (slice(3), slice(3, 6)))
    change = source.activations[site] - base.activations[site]
    patched = replay(model, base.tail, {site: change}, [site]).activations[site]
    centred = site.is_residual_vector and model.centres  # what is read lacks its mean, which rounding sees
    torch.testing.assert_close(patched, source.activations[site], rtol=0.01 if centred else 0, atol=0.01 * centred)


def test_a_gradient_through_it_is_float32(llama16):
    site = Site.parse(HOOK)
    base = record(llama16, tokens(), [site], tail_from=1)
    change = torch.zeros(3, 64, requires_grad=True)
    replay(llama16, base.tail, {site: change}).logits.max().backward()
    assert change.grad.dtype == torch.float32
    assert change.grad.abs().max() > 0


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 0.0), (FP16, 0.01), (BF16, 0.08)])
def test_the_noise_of_a_dtype_is_measured(dtype, most):
    model, site = rounded("llama", dtype), Site.parse(HOOK)
    pairs = some_pairs(model, [site], site.start, kinds=[DIFFERENT])
    run = prompts_and_pairs()[0]["tokens"][pairs.base_prompts].tolist()
    found = prove(pairs, site, run, 8, TOLERANCE, Bootstrap.of(pairs.groups, 100, 0))
    found.check("here")
    assert found.noise <= most
    assert (found.noise > 0) == (dtype != torch.float32)


def test_an_audit_in_bfloat16_says_so_and_is_read_again(folder16, tmp_path, capsys):
    found = audit(
        folder16, tiny.EXAMPLE, HOOK, {"mine": torch.ones(64)}, das=Das(steps=2, batch=8), progress=True, **FAST
    )
    assert "run in bfloat16: " in capsys.readouterr().out
    assert found.document.model["dtype"] == "bfloat16"
    assert found.document.proof.noise == found.proof.noise > 0
    said = str(found)
    assert "runs in bfloat16, whose rounding alone moves an effect by" in said
    assert {basis.dtype for basis in found.bases.values()} == {torch.float32}
    found.save(tmp_path / "out")
    assert str(Audit.load(tmp_path / "out")) == said
    assert "runs in bfloat16" in (tmp_path / "out/report.html").read_text()


def test_a_bridge_is_taken_in_its_own_dtype_and_a_folder_in_the_one_that_is_asked_for(llama16, folder16):
    asked = dict(pairs=tiny.EXAMPLE, hook="blocks.2.hook_resid_post", subspaces={"mine": torch.ones(32)}, train=False)
    of_bridge = audit(llama16.bridge, **asked, **FAST)
    assert of_bridge.about["model"]["dtype"] == "bfloat16"
    assert {parameter.dtype for parameter in llama16.bridge.parameters()} == {BF16}
    in_float32 = audit(folder16, **asked, **FAST, dtype="float32")
    assert in_float32.about["model"]["dtype"] == "float32"
    assert in_float32.proof.noise == 0
    assert "rounding alone" not in str(in_float32)
    effect = [found.effects.set_index("subspace")["fldd"]["user: mine"] for found in (of_bridge, in_float32)]
    assert effect[0] == pytest.approx(effect[1], abs=6 * of_bridge.proof.noise + 0.01)


def test_localise_takes_a_dtype_too(folder16):
    pairs = pd.read_csv(tiny.EXAMPLE).head(12)
    found = localise_variable(folder16, pairs, filter_incorrect=False, most=2, resamples=100)
    assert found.dtype == "bfloat16"


def test_weights_are_kept_as_they_are_saved_whatever_the_configuration_says(folder16, tmp_path):
    assert saved_dtype(folder16) == BF16
    assert open_model(folder16, dtype="auto").dtype == BF16
    assert load_model(folder16, "float16").dtype == FP16
    assert open_model(folder16).dtype == torch.float32
    config = folder16 / "config.json"
    before = config.read_text()
    config.write_text(before.replace('"bfloat16"', '"float32"'))
    assert load_model(folder16, "auto").dtype == BF16
    config.write_text(before)


def test_what_cannot_be_is_one_clear_line(llama16, folder16, monkeypatch):
    asked = dict(pairs=tiny.EXAMPLE, hook=HOOK, subspaces={"mine": torch.ones(64)}, **FAST)
    with pytest.raises(InputError, match="dtype is float32, but the model that is given is open in bfloat16 already"):
        audit(llama16, **asked, dtype="float32")
    with pytest.raises(InputError, match="dtype is 'float8'"):
        audit(llama16, **asked, dtype="float8")
    monkeypatch.setattr("subspace_illusion.core.checkpoints._SAVED_AS", {"F32": torch.float32})
    with pytest.raises(InputError, match="its weights in BF16, in which no model runs here: name another with dtype"):
        saved_dtype(folder16)


def test_the_command_offers_every_dtype():
    assert get_args(Dtype) == ("auto", *DTYPES)


def test_tails_of_a_dtype_are_joined_in_it(llama16):
    joined = Tail.cat([record(llama16, tokens()[:, :n], tail_from=2).tail for n in (4, 7)])
    assert joined.residual[2].dtype == joined.keys[2].dtype == BF16


def test_an_unembedding_in_slices_is_one_in_float32(monkeypatch):
    monkeypatch.setattr(linear, "SLICE", 3 * 4)
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(10, 4, generator=draw).to(BF16), torch.randn(10, generator=draw).to(BF16)
    x = torch.randn(2, 3, 4, generator=draw).requires_grad_()
    exact = torch.nn.functional.linear(x, weight.float(), bias.float())
    logits = linear.logits_in_float32(x, weight, bias)
    torch.testing.assert_close(logits, exact)
    towards = torch.randn(2, 3, 10, generator=draw)
    gradients = [torch.autograd.grad((y * towards).sum(), x)[0] for y in (logits, exact)]
    torch.testing.assert_close(*gradients)


def test_a_matrix_is_the_same_in_slices(llama16: Model, monkeypatch):
    site = Site.parse("blocks.2.mlp.hook_post")
    whole = llama16._readout(site)
    monkeypatch.setattr(linear, "UNITS", 7)
    assert torch.equal(llama16._readout(site), whole)
