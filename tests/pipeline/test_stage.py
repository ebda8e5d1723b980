"""What every stage does, whatever it computes."""

import json
import os
import sys

import pytest
import yaml

from subspace_illusion.errors import InputError
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run


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


def metrics(project) -> dict:
    return json.loads((project / "results/metrics.json").read_text())


def test_a_stage_that_ran_takes_back_what_summed_up_an_earlier_run(project, monkeypatch):
    called(monkeypatch, "localise")
    run(lambda params: None, "about")
    assert metrics(project) == {"run": {"state": "out of date since localise ran: dvc repro brings the figures"}}
    assert not (project / "results/report.html").exists()
    assert list(json.loads((project / "results/timings.json").read_text())) == ["localise"]


@pytest.mark.parametrize("stage", ["judge", "report"])
def test_what_sums_up_takes_nothing_back(project, monkeypatch, stage):
    called(monkeypatch, stage)
    run(lambda params: None, "about")
    assert metrics(project)["clean_ld"] == 5.0
    assert (project / "results/report.html").exists()


def test_a_stage_that_fails_loses_nothing_and_says_one_line(project, monkeypatch):
    def fails(params: Params) -> None:
        raise InputError("das.lr is too high: lower it")

    called(monkeypatch, "train_das")
    with pytest.raises(SystemExit) as ended:
        run(fails, "about")
    assert ended.value.code == "error: das.lr is too high: lower it"
    assert metrics(project)["clean_ld"] == 5.0


def test_a_stage_of_one_component_gets_its_name(project, monkeypatch):
    got = []

    def main(params: Params, component: str) -> None:
        got.append((params.model.name, component))

    called(monkeypatch, "train_das", "mlp1")
    run(main, "about")
    assert got == [("tiny", "mlp1")]
    called(monkeypatch, "train_das", "mlp9")
    with pytest.raises(SystemExit, match="'mlp9' is no component; params.yaml names mlp1, resid1"):
        run(main, "about")


def test_only_a_stage_that_fetches_is_online(project, monkeypatch):
    seen = []
    for fetches in (False, True):
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        called(monkeypatch, "any")
        run(lambda params: seen.append(os.environ.get("HF_HUB_OFFLINE")), "about", fetches=fetches)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert seen == ["1", None]
