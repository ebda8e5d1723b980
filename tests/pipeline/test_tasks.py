"""The real pipeline on other tasks, other models and a direction of one's own."""

import json

import pandas as pd
import pytest

import tiny
from planted_made import cases as made_cases
from project import SMALL, Project
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.verdict.shipped import read_calibration

OF_ANY_MODEL = (
    "cache_text", "recover_directions", "read_signs", "compare_mlps", "toy_example", "neuron_sweep", "random_model",
)  # fmt: skip
"""Experiments in which nothing hangs on where a component is, or on what GPT-2 has that others do not."""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.on_tiny(tmp_path_factory.mktemp("a project"))
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "first")
    return project


def test_another_task_at_a_token_of_its_own(project):
    """The subject's number, patched at the subject: no stage of IOI's runs, and every pair is told of."""
    costly = [f"experiments.{name}=[]" for name in ("trace_paths", "random_mlp", "controls")]
    project.params("task=agreement", "cache.filter_incorrect=false", *costly)
    ran = project.repro()
    assert not {stage.partition("@")[0] for stage in ran} & {"tell_names", "neuron_sweep", "toy_example", "cache_text"}
    metrics = json.loads((project.top / "results/metrics.json").read_text())
    assert metrics["run"]["task"] == "agreement"
    assert metrics["run"]["position"] != "END"
    assert metrics["pairs"]["left_out"] == 0
    tokens = set(pd.read_csv(project.top / "results/localise/map.csv")["tokens"])
    assert {"position", "next token", "END"} <= tokens
    assert "E1 " in (project.top / "results/report.md").read_text()
    project.params()


def test_gpt2_runs_from_a_local_folder(tmp_path):
    project = Project(tmp_path)
    tiny.write_folder(tmp_path / "data/tiny", "gpt2")
    project.params(
        "+components.mid1.hook=blocks.1.hook_resid_mid",
        "+components.head1.hook=blocks.1.attn.hook_z.2",
        "experiments.trace_paths=[mid1,head1]",
        "experiments.split_directions=[mid1]",
        "experiments.tell_names=[mid1]",
        "experiments.controls=[head1]",
        *(f"experiments.{name}=[]" for name in OF_ANY_MODEL),
    )
    assert "report" in project.repro()
    effects = pd.read_csv(tmp_path / "results/effects.csv")
    assert set(effects["component"]) == {"resid1", "mlp1", "mid1", "head1"}
    assert (pd.read_csv(tmp_path / "results/comparison.csv")["gpt2 here"] == "not run").all()


def test_the_preset_of_the_papers_facts_on_a_model_as_deep_as_its_own(tmp_path):
    """Block for block as for GPT-2 XL, whose weights only the hub has."""
    project = Project(tmp_path)
    tiny.write_folder(tmp_path / "data/tiny", tiny.GPT2_XL)
    here = ["model.source=path", "+model.path=data/tiny", "~model.repository", "~model.revision"]
    short = ["facts.pairs=2", "facts.steps=2", "facts.shared_steps=2", "facts.edit_steps=2"]
    wanted = ["model=gpt2_xl", "task=facts", "size=quick", "cache.filter_incorrect=false"]
    project.write_params(compose(*wanted, *here, *short, *SMALL[2:]))
    assert "facts@mlp15" in project.repro("facts@mlp15")
    patched = pd.read_csv(tmp_path / "results/facts/mlp15/by_block.csv")
    assert sorted(set(patched["block"])) == [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]


def test_signals_are_planted_and_models_are_left_out_apart_from_the_rest(project):
    """A model with random weights carries no signal: in every place three directions are tried and none is trained, and
    no model can be left out."""
    few = dict(doses=[0.0, 1.0], mixtures=2)
    few["das"] = dict(steps=3, batch=4, lr=0.02, loss="cross_entropy", min_gain=0.0, matmul_dtype="float32")
    project.calibration_params(planting=few)
    calibration = "stages/calibration/dvc.yaml"
    project.run("dvc", "repro", f"{calibration}:plant_cases@tiny_ioi")
    folder = project.top / "results/calibration"
    cases = pd.read_csv(folder / "cases/tiny_ioi.csv")
    assert set(cases.groupby(["place", "dose"]).size()) == {3}
    assert len(cases) == 2 * 2 * 3
    output = project.run("dvc", "repro", f"{calibration}:held_out", fails=True)
    assert "all of one model" in output
    assert "Traceback" not in output
    assert not (folder / "calibration.json").exists()
    for model, cases in made_cases().groupby("model"):
        cases.to_csv(folder / f"cases/{model}_ioi.csv", index=False)
    project.run("python", "stages/held_out.py")
    found = read_calibration(folder / "calibration.json")
    assert set(found.models) >= {"one", "other"}
    assert set(found.digests) == {"tiny"}
    reached = pd.read_csv(folder / "held_out.csv")
    assert {"model", "place", "cases", "median_error", "coverage_90", "below_02_called_faithful",
            "above_08_called_illusory", "inconclusive"} <= set(reached)  # fmt: skip
    project.run("git", "checkout", "-q", "--", ".")
    project.params()
