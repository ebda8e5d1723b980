"""The finding on the real default model, by the real pipeline at size=quick: its direction, not its digits."""

import json
import os

import pandas as pd
import pytest

from subspace_illusion.pipeline.compose import compose
from test_pipeline import ROOT, Project


@pytest.fixture(scope="module")
def metrics(tmp_path_factory) -> dict:
    os.chdir(ROOT)
    project = Project(tmp_path_factory.mktemp("smollm2"))
    parameters = compose("size=quick")
    kept = set(parameters["roles"].values())
    parameters["components"] = {name: at for name, at in parameters["components"].items() if name in kept}
    project.write_params(parameters)
    project.repro()
    window = json.loads((project.top / "results/window.json").read_text())
    verdicts = pd.read_csv(project.top / "results/verdicts.csv")
    metrics = json.loads((project.top / "results/metrics.json").read_text())
    return metrics | {"window": window, "verdicts": verdicts}


def test_the_model_solves_the_task(metrics):
    assert metrics["clean"]["accuracy"] > 0.95


def test_the_window_is_where_the_design_says(metrics):
    assert (metrics["window"]["writes"], metrics["window"]["reads"], metrics["window"]["mlps"]) == (
        20,
        23,
        [20, 21, 22],
    )


def test_v_true_flips_most_predictions_and_beats_the_mean_difference_that_it_resembles(metrics):
    assert metrics["v_true"]["flip_rate"] > 0.5
    assert metrics["v_true"]["flip_rate"] > metrics["mean_difference"]["flip_rate"]
    assert metrics["v_true"]["cos_mean_difference"] > 0.7


def test_the_mlps_direction_damages_where_the_whole_mlp_does_not(metrics):
    v_mlp = metrics["v_mlp"]
    assert v_mlp["full_patch"]["effect_ci"][1] < 0 < v_mlp["effect_ci"][0]
    assert abs(v_mlp["null_only"]["effect"]) < 1e-3
    assert v_mlp["row_only"]["effect"] < v_mlp["effect"] / 2
    assert v_mlp["span"]["effect"] < v_mlp["effect"] / 2
    assert v_mlp["effect_over_row_only_ci"][0] > 2
    assert v_mlp["cos_v_true"] > 5 * v_mlp["cos_random"]


def test_the_effect_travels_through_the_name_movers(metrics):
    assert metrics["v_true"]["paths"]["name_movers"] > 0.5
    table1 = metrics["table1"]["das"]
    assert table1["name_movers"] < 0 < table1["nullspace"]
    assert metrics["v_true"]["probe"]["IO"] < 0.1


def test_a_dormant_pathway_wakes(metrics):
    assert metrics["dormant"]["outside_ci"][0] > 0.5
    assert metrics["dormant"]["clean_gap"] * metrics["dormant"]["patched_gap"] < 0


def test_a_random_mlp_will_do(metrics):
    assert metrics["random_mlp"]["share_of_real"] > 0.5


def test_controls_find_nothing(metrics):
    for name in ("v_true", "v_mlp"):
        effect, controls = metrics["clean"]["logit_diff"] - metrics[name]["logit_diff"], metrics["controls"][name]
        assert abs(controls["self"]) < 1e-3
        assert max(abs(controls[control]) for control in ("random", "placebo", "same_position")) < effect / 3


def test_the_verdicts(metrics):
    verdicts = metrics["verdicts"].drop_duplicates(["component", "subspace"]).set_index(["component", "subspace"])
    assert verdicts.loc[("resid20", "trained"), "verdict"] == "faithful"
    assert verdicts.loc[("mlp20", "trained"), "verdict"] == "illusory"
