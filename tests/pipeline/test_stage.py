"""What every stage does, whatever it computes."""

import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from subspace_illusion.errors import InputError
from subspace_illusion.pipeline.calibration import CalibrationParams, Cases, Planting
from subspace_illusion.pipeline.compose import compose, compose_calibration
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.sections import Das, Labels
from subspace_illusion.pipeline.stage import run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    parameters = compose("model=tiny", "size=quick")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters))
    (tmp_path / "results").mkdir()
    (tmp_path / "results/metrics.json").write_text('{"run": {"model": "another"}, "clean_ld": 5.0}')
    (tmp_path / "results/report.html").write_text("another model's report")
    return tmp_path


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [f"stages/{arguments[0]}.py", *arguments[1:]])


def nothing() -> None:
    """A stage that does nothing."""


def metrics(project) -> dict:
    return json.loads((project / "results/metrics.json").read_text())


def test_a_stage_that_ran_takes_back_what_summed_up_an_earlier_run(project, monkeypatch):
    called(monkeypatch, "localise")
    run(nothing, "about")
    assert metrics(project) == {"run": {"state": "out of date since localise ran: dvc repro brings the figures"}}
    assert not (project / "results/report.html").exists()
    assert list(json.loads((project / "results/timings.json").read_text())) == ["localise"]


@pytest.mark.parametrize("stage", ["judge", "report"])
def test_what_sums_up_takes_nothing_back(project, monkeypatch, stage):
    called(monkeypatch, stage)
    run(nothing, "about")
    assert metrics(project)["clean_ld"] == 5.0
    assert (project / "results/report.html").exists()


def test_a_stage_that_fails_loses_nothing_and_says_one_line(project, monkeypatch):
    def fails(das: Das) -> None:
        raise InputError("das.lr is too high: lower it")

    called(monkeypatch, "train_das")
    with pytest.raises(SystemExit) as ended:
        run(fails, "about")
    assert ended.value.code == "error: das.lr is too high: lower it"
    assert metrics(project)["clean_ld"] == 5.0


def test_a_stage_is_given_the_sections_that_its_arguments_name_and_the_rest_from_the_command_line(project, monkeypatch):
    got = []

    def main(component: str, names: Labels, das: Das, seed: int, v_mlp: str | None) -> None:
        got.append((component, names.model, das.steps, seed, v_mlp))

    called(monkeypatch, "train_das", "mlp1")
    run(main, "about")
    assert got == [("mlp1", "tiny", 60, 0, "mlp1")]
    assert list(json.loads((project / "results/timings.json").read_text())) == ["train_das@mlp1"]
    called(monkeypatch, "train_das", "mlp9")
    with pytest.raises(SystemExit, match="'mlp9' is no component; params.yaml names mlp1, resid1"):
        run(main, "about")
    called(monkeypatch, "train_das")
    with pytest.raises(SystemExit) as ended:
        run(main, "about")
    assert ended.value.code == 2  # argparse's: an argument is missing


def test_a_stage_may_ask_for_all_parameters(project, monkeypatch):
    got = []

    def main(params: Params) -> None:
        got.append(params.size)

    called(monkeypatch, "report")
    run(main, "about")
    assert got == ["quick"]


def test_a_stage_of_the_calibration_reads_the_file_beside_its_pipeline(project, monkeypatch):
    path = project / "stages/calibration/params.yaml"
    path.parent.mkdir(parents=True)
    monkeypatch.chdir(ROOT)
    parameters = compose_calibration("model=tiny", "size=quick")
    monkeypatch.chdir(project)
    path.write_text(yaml.safe_dump(parameters, sort_keys=False))
    got = []

    def main(case: str, cases: Cases, planting: Planting) -> None:
        got.append((cases[case].blocks, planting.das.steps))

    called(monkeypatch, "plant_cases", "tiny_agreement")
    run(main, "about", CalibrationParams)
    assert got == [([1], 20)]
    assert metrics(project)["clean_ld"] == 5.0  # what the run's summary says stays
    called(monkeypatch, "plant_cases", "facts")
    with pytest.raises(SystemExit, match="'facts' is no case; stages/calibration/params.yaml names tiny_ioi, "):
        run(main, "about", CalibrationParams)


def test_only_a_stage_that_fetches_is_online(project, monkeypatch):
    seen = []
    for fetches in (False, True):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        called(monkeypatch, "any")
        run(lambda: seen.append(os.environ.get("HF_HUB_OFFLINE")), "about", fetches=fetches)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert seen == ["1", None]
