"""The real pipeline, by real dvc commands, on a tiny model in a copy of the project."""

import io
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from project import SMALL, Project

FINDINGS = [
    "clean.logit_diff", "clean.accuracy", "residual.full_patch.logit_diff", "residual.full_patch.flip_rate",
    "residual.full_patch.interchange_accuracy", "v_true.flip_rate", "v_true.interchange_accuracy", "v_true.logit_diff",
    "v_true.cos_mean_difference", "mean_difference.flip_rate", "v_mlp.full_patch.effect", "v_mlp.effect",
    "v_mlp.share_of_residual", "v_mlp.cos_v_true", "v_mlp.cos_random", "v_mlp.row_norm", "v_mlp.null_norm",
    "v_mlp.row_only.effect", "v_mlp.null_only.effect", "v_mlp.span.effect", "v_mlp.effect_over_row_part",
    "v_mlp.lent_share", "v_mlp.lent_effect", "dormant.clean_gap", "dormant.patched_gap", "dormant.gap_ratio",
    "dormant.outside", "v_true.paths.all_heads_downstream", "random_mlp.effect", "random_mlp.share_of_real",
    *(f"controls.{name}.{control}" for name in ("v_true", "v_mlp") for control in ("random", "placebo", "self")),
    "neurons.r2", "recovery.r2", "recovery.mse", "signs.z0_0001", "signs.z0_001", "signs.z0_01", "signs.z0_1",
]  # fmt: skip
STAGES = [
    "fetch_model", "generate_prompts", "cache_activations", "localise@once", "train_das@resid1", "train_das@mlp1",
    "decompose@resid1", "decompose@mlp1", "evaluate", "dormant", "find_readers@resid1", "trace_paths@resid1",
    "trace_paths@mlp1", "split_directions@resid1", "tell_names@resid1", "tell_names@mlp1", "random_mlp@mlp1",
    "neuron_sweep@mlp1", "repair@mlp1", "controls@resid1", "controls@mlp1", "random_model@resid1", "random_model@mlp1",
    "toy_example@once", "cache_text@sampled", "cache_text@speeches", "recover_directions@speeches",
    "recover_directions@sampled", "read_signs@speeches", "read_signs@sampled", "compare_mlps@sampled",
    "see", "judge", "report",
]  # fmt: skip
PICTURES = [
    "toy_example", "localise", "localise_map", "train_das", "illusion", "evaluate", "evaluate_templates",
    "decompose__mlp1", "dormant", "split_directions__resid1", "random_mlp__mlp1", "neuron_sweep__mlp1",
    "recover_directions", "compare_mlps_ranks", "read_signs", "verdict", "planted", "off_distribution__resid1",
    "off_distribution__mlp1",
    *(f"{kind}__{name}" for kind in ("trace_paths", "tell_names", "controls") for name in ("resid1", "mlp1")),
]  # fmt: skip


def flat(metrics: dict, above: str = "") -> list[str]:
    """The dotted keys of nested metrics."""
    keys = []
    for key, value in metrics.items():
        keys += flat(value, f"{above}{key}.") if isinstance(value, dict) else [f"{above}{key}"]
    return keys


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.on_tiny(tmp_path_factory.mktemp("a project"))
    project.ran_first = project.repro()
    project.run("git", "add", "-A")
    project.run("git", "commit", "-qm", "first")
    return project


def test_every_stage_runs_and_the_results_are_whole(project):
    assert sorted(project.ran_first) == sorted(STAGES)
    metrics = json.loads((project.top / "results/metrics.json").read_text())
    assert metrics["run"] == {"model": "tiny", "task": "ioi", "size": "quick", "position": "END"}
    assert metrics["pairs"] == {"kept": 96, "left_out": 0}
    assert len([key for key in flat(metrics) if not key.startswith("calibration.")]) <= 17
    findings = pd.read_csv(project.top / "results/findings.csv").set_index("key")
    assert set(FINDINGS) <= set(findings.index)
    assert 0 <= findings.loc["clean.accuracy", "value"] <= 1
    assert abs(findings.loc["v_mlp.null_only.effect", "value"]) < 1e-3
    row, null = findings.loc["v_mlp.row_norm", "value"], findings.loc["v_mlp.null_norm", "value"]
    assert row**2 + null**2 == pytest.approx(1, abs=1e-4)
    effect = findings.loc["v_mlp.effect"]
    assert effect["low"] <= effect["value"] <= effect["high"]
    assert not (findings["low"] == findings["high"]).any()
    effects = pd.read_csv(project.top / "results/effects.csv")
    assert set(effects["component"]) == {"resid1", "mlp1"}
    assert (effects["groups"] * 2 == effects["pairs"]).all()
    assert len(pd.read_csv(project.top / "results/localise/components.csv")) == 1 + 4 * (4 + 4)
    assert set(effects["subspace"]) >= {"trained", "row part", "null part", "mean difference", "whole component"}
    pictures = {path.stem for path in (project.top / "results/figures").glob("*.png")}
    assert pictures == set(PICTURES)
    timings = json.loads((project.top / "results/timings.json").read_text())
    assert set(timings) == {stage.removesuffix("@once") for stage in STAGES}
    assert all(cost["seconds"] > 0 and cost["peak_megabytes"] > 0 for cost in timings.values())


def test_the_report_is_one_file_that_holds_everything(project):
    page = (project.top / "results/report.html").read_text()
    assert page.count("<img") == page.count('src="data:image/png;base64,') == len(PICTURES)
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    plain = (project.top / "results/report.md").read_text()
    for name in re.findall(r"\]\(figures/(.+?)\)", plain):
        assert (project.top / "results/figures" / name).is_file()
    assert page.count("<img") == plain.count("](figures/")
    for number in range(16):
        assert re.search(rf"\bE{number}\b|E4-E6", plain), number
    comparison = pd.read_csv(project.top / "results/comparison.csv")
    published = [pd.read_csv(project.top / f"data/{name}.csv") for name in ("published", "published_facts")]
    assert len(comparison) == sum(len(figures) for figures in published)
    assert (comparison["gpt2 here"] == "not run").all()
    verdicts = pd.read_csv(project.top / "results/verdicts.csv")
    assert set(verdicts["verdict"]) <= {"faithful", "illusory", "inconclusive"}
    assert len(verdicts) == 2 * 2
    assert verdicts["share"].between(0, 1).all()
    assert (verdicts["share_lo"] <= verdicts["share"]).all()
    assert (verdicts["share"] <= verdicts["share_hi"]).all()
    findings = pd.read_csv(project.top / "results/findings.csv").set_index("key")["value"]
    assert f"{findings['v_mlp.effect']:.2f} off a logit difference of {findings['clean.logit_diff']:.2f}" in page


def test_the_report_is_the_same_bytes_however_long_the_stages_took(project):
    pages = [project.top / "results" / name for name in ("report.html", "report.md")]
    before = [page.read_bytes() for page in pages]
    timings = project.top / "results/timings.json"
    timings.write_text(timings.read_text().replace("1", "2"))
    project.run("python", "stages/report.py")
    assert [page.read_bytes() for page in pages] == before


def test_a_second_run_does_nothing(project):
    assert project.repro() == []


def test_the_look_of_the_pictures_reruns_the_report_alone(project):
    project.params("plots.dpi=60")
    assert project.repro() == ["report"]
    project.go_back()


def test_das_reruns_training_and_what_follows(project):
    project.params("das.lr=0.1")
    ran = project.repro("evaluate")
    assert set(ran) == {f"{stage}@{name}" for stage in ("train_das", "decompose") for name in ("resid1", "mlp1")} | {
        "evaluate"
    }
    project.params()
    # DVC's run cache still has the training and the decompositions.
    assert project.repro("evaluate") == ["evaluate"]


def test_a_new_component_is_trained_alone(project):
    parameters = project.params()
    # Earlier than any other, so that the cache of keys and values grows too.
    parameters["components"]["z0"] = {"hook": "blocks.0.attn.hook_z.1", "rank": 2}
    project.write_params(parameters)
    assert set(project.repro("evaluate")) == {"cache_activations", "train_das@z0", "decompose@z0", "evaluate"}
    effects = pd.read_csv(project.top / "results/effects.csv")
    assert set(effects[effects["component"] == "z0"]["subspace"]) >= {"trained", "row part"}
    project.go_back()


def test_workers_patch_components_to_the_same_bytes(project):
    outputs = [project.top / "results/effects.csv", *sorted((project.top / "data/outcomes").iterdir())]
    before = [file.read_bytes() for file in outputs]
    project.params("compute.scheduler=local", "compute.store=data/elsewhere")
    said = project.run("dvc", "repro", "-f", "-s", "evaluate")
    assert "2 units on 2 workers" in said
    assert [file.read_bytes() for file in outputs] == before
    shutil.rmtree(project.top / "data/elsewhere")
    project.params()


def test_a_killed_stage_leaves_nothing_and_the_next_run_gives_the_same_bytes(project):
    before = project.outputs()
    activations = project.top / "data/activations"
    shutil.rmtree(activations)
    running = subprocess.Popen([sys.executable, "stages/cache_activations.py"], cwd=project.top, env=project.env)
    partial = project.top / "data/.activations.partial"
    deadline = time.monotonic() + 60
    while not (partial / "blocks.1.mlp.hook_post").exists():
        assert time.monotonic() < deadline
        assert running.poll() is None
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert partial.exists()
    assert not activations.exists()
    stages = ("cache_activations", "train_das@mlp1", "decompose@mlp1", "evaluate")
    assert tuple(project.repro("--force", "--single-item", *stages)) == stages
    assert not partial.exists()
    assert project.outputs() == before


def test_experiments_run_and_compare(project):
    apart = ("trace_paths", "split_directions", "tell_names", "random_mlp", "neuron_sweep", "repair", "controls",
             "random_model", "cache_text", "recover_directions", "read_signs", "compare_mlps",
             "toy_example")  # fmt: skip
    overrides = [*SMALL, "das.lr=0.3", *(f"experiments.{name}=[]" for name in apart)]
    project.run("dvc", "exp", "run", "-n", "other", *(f"-S{override}" for override in overrides), "judge")
    shown = project.run("dvc", "exp", "show", "--csv", "--only-changed")
    assert "das.lr" in shown
    assert "v_mlp.fldd" in shown
    assert "das.lr" in project.run("dvc", "params", "diff", "HEAD")
    assert "v_mlp.fldd" in project.run("dvc", "metrics", "diff", "HEAD")
    project.run("dvc", "plots", "diff", "HEAD", "other")
    assert "train_das" in (project.top / "dvc_plots/index.html").read_text()
    project.go_back()


def test_an_experiment_that_ran_a_part_shows_no_figures_of_an_earlier_run(project):
    overrides = [*SMALL, "localise.pairs=6"]
    project.run("dvc", "exp", "run", "-n", "part", *(f"-S{override}" for override in overrides), "localise")
    metrics = json.loads((project.top / "results/metrics.json").read_text())
    assert metrics == {"run": {"state": "out of date since localise ran: dvc repro brings the figures"}}
    command = ["dvc", "exp", "show", "--csv"]  # its standard output alone: what else it says is no table
    done = subprocess.run(command, cwd=project.top, env=project.env, capture_output=True, text=True, check=True)
    shown = pd.read_csv(io.StringIO(done.stdout))
    of_part = shown[shown["Experiment"] == "part"].iloc[0]
    assert pd.isna(of_part["v_mlp.fldd"])
    assert "out of date" in of_part["run.state"]
    assert not (project.top / "results/report.html").exists()
