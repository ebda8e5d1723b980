"""The audit from Python, and the example that shows it from start to end."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from subspace_illusion import audit
from subspace_illusion.errors import InputError
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.rule import SMALLEST_EFFECT
from subspace_illusion.verdict.shipped import SHIPPED

HOOK = "blocks.1.mlp.hook_post"
SETTINGS = dict(filter_incorrect=False, resamples=200)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tiny.write_folder(path)
    return path


def direction(seed: int = 0) -> torch.Tensor:
    return torch.randn(64, generator=torch.Generator().manual_seed(seed))


def test_the_ten_lines_of_the_readme(folder, tmp_path):
    found = audit(folder, tiny.EXAMPLE, HOOK, {"mine": direction()}, **SETTINGS)
    assert set(found.verdicts) == {SubspaceKey.user("mine", HOOK), SubspaceKey("mean difference", component=HOOK)}
    assert str(found).startswith(f"mine at {HOOK}: ")
    assert set(found.decomposition.summary["subspace"]) == {"user: mine"}
    effects = found.effects.set_index("subspace")
    assert abs(effects.loc["null part of user: mine", "effect"]) < 1e-4
    halves = effects.loc[["lent by the null part of user: mine", "inside the row space of user: mine"], "effect"].sum()
    assert halves == pytest.approx(
        effects.loc["user: mine", "effect"], abs=0.05 + 0.2 * abs(effects.loc["user: mine", "effect"])
    )
    found.report(tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "mine" in page
    assert page.count("<img") == 1
    found.report(tmp_path / "audit.md")
    assert (tmp_path / "audit_figures/verdict.png").is_file()
    with pytest.raises(InputError, match=r"ends in .html or .md"):
        found.report(tmp_path / "audit.pdf")


def test_what_is_given_may_be_a_file_or_in_memory_and_gives_the_same(folder, llama, tmp_path):
    np.save(tmp_path / "w.npy", direction().numpy()[None])
    pairs = pd.read_csv(tiny.EXAMPLE)
    by_file = audit(folder, tiny.EXAMPLE, HOOK, {"mine": tmp_path / "w.npy"}, **SETTINGS)
    in_memory = audit(llama, pairs.to_dict("records"), HOOK, {"mine": 3 * direction().numpy()}, **SETTINGS)
    of_bridge = audit(llama.bridge, pairs, HOOK, {"mine": direction()}, **SETTINGS)
    columns = ["subspace", "ld_clean", "ld_patched", "effect", "effect_lo", "effect_hi"]
    for other in (in_memory, of_bridge):
        pd.testing.assert_frame_equal(by_file.effects[columns], other.effects[columns], atol=1e-4, rtol=1e-4)


def test_in_the_residual_stream_what_the_readers_see_stands_for_the_row_part(llama):
    hook = "blocks.1.hook_resid_post"
    found = audit(llama, tiny.EXAMPLE, hook, {"mine": direction()[:32]}, **SETTINGS)
    assert set(found.verdicts[SubspaceKey.user("mine", hook)].score.sub_scores) <= {"lost", "apart"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(site="blocks.9.mlp.hook_post"), "the model has blocks 0 to 3"),
        (dict(subspaces={"mine": torch.zeros(64)}), "mine is zero"),
        (dict(subspaces={"mine": torch.ones(63)}), "mine"),
        (dict(subspaces={"row part": torch.ones(64)}), "'row part' is the name of another way"),
        (dict(pairs="nowhere.csv"), "nowhere.csv"),
        (dict(pairs=[dict(base="a", source="b")]), "base_answer"),
        (dict(model=3), "a int is no model to audit"),
    ],
)
def test_what_is_wrong_is_one_clear_line(llama, given, message):
    asked = dict(model=llama, pairs=tiny.EXAMPLE, site=HOOK, subspaces={"mine": direction()}) | given
    with pytest.raises(InputError, match=message) as error:
        audit(**asked, **SETTINGS)
    assert "\n" not in str(error.value)


def test_the_examples_probe_is_trained_and_saved(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tiny.EXAMPLE.parent))
    import train_probe

    out = tmp_path / "probe.npy"
    train_probe.main(str(folder), HOOK, str(out))
    assert "held-out prompts right" in capsys.readouterr().out
    found = audit(folder, tiny.EXAMPLE, HOOK, {"probe": out}, **SETTINGS)
    assert SubspaceKey.user("probe", HOOK) in found.verdicts
    sys.modules.pop("train_probe")


def test_the_thresholds_are_those_of_the_parameters(monkeypatch):
    monkeypatch.chdir(tiny.DATA.parent)
    rules = compose()["verdict"]
    assert rules["smallest_effect"] == SMALLEST_EFFECT
    assert Path(rules["calibration"]).resolve() == SHIPPED.resolve()
