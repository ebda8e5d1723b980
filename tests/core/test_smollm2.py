"""The finding on the real default model, by the real pipeline on few pairs: its direction, not its digits."""

import os

import pandas as pd
import pytest

from project import ROOT, Project
from subspace_illusion.files import read_json
from subspace_illusion.pipeline.compose import compose

FEW = (
    "size=quick", "prompts.train_cases=20", "prompts.test_cases=20", "train_batch=20", "localise.pairs=8",
    "localise.map_pairs=1", "trace_paths.pairs=20", "split_directions.pairs=20", "decompose.random_directions=50",
    "resamples=200", "compute.threads=1",
)  # fmt: skip
"""What is enough to see which way the finding goes."""


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    os.chdir(ROOT)
    project = Project(tmp_path_factory.mktemp("smollm2"))
    parameters = compose(*FEW)
    kept = {parameters["v_true"], parameters["v_mlp"]}
    parameters["components"] = {name: at for name, at in parameters["components"].items() if name in kept}
    # Of which nothing is asked here: the tiny models run them.
    unasked = ("repair", "random_model", "compare_mlps", "cache_text", "recover_directions", "read_signs",
               "neuron_sweep", "tell_names", "toy_example")  # fmt: skip
    parameters["experiments"] |= {name: [] for name in unasked}
    parameters["experiments"] |= dict(controls=[parameters["v_mlp"]], trace_paths=[parameters["v_true"]])
    project.write_params(parameters)
    project.repro("judge")  # the tiny models' runs draw the report
    return project


@pytest.fixture(scope="module")
def found(project) -> pd.DataFrame:
    """The findings by key."""
    return pd.read_csv(project.top / "results/findings.csv").set_index("key")


@pytest.fixture(scope="module")
def value(found) -> pd.Series:
    return found["value"]


def test_the_model_solves_the_task(value):
    assert value["clean.accuracy"] > 0.95


def test_block_20_writes_and_block_23_reads(project):
    window = read_json(project.top / "results/localise/window.json")
    assert (window["writes"], window["reads"], window["mlps"]) == (20, 23, [20, 21, 22])


def test_v_true_flips_most_predictions_and_beats_the_mean_difference_that_it_resembles(value):
    assert value["v_true.flip_rate"] > 0.5
    assert value["v_true.flip_rate"] > value["mean_difference.flip_rate"]
    assert value["v_true.interchange_accuracy"] < value["v_true.flip_rate"]
    assert value["v_true.cos_mean_difference"] > 0.7


def test_the_mlps_direction_damages_where_the_whole_mlp_does_not(found, value):
    assert found.loc["v_mlp.full_patch.effect", "high"] < 0 < found.loc["v_mlp.effect", "low"]
    assert abs(value["v_mlp.null_only.effect"]) < 1e-3
    assert value["v_mlp.row_only.effect"] < value["v_mlp.effect"] / 2
    assert value["v_mlp.span.effect"] < value["v_mlp.effect"] / 2
    assert found.loc["v_mlp.effect_over_row_part", "low"] > 2
    assert value["v_mlp.cos_v_true"] > 5 * value["v_mlp.cos_random"]
    assert value["v_mlp.lent_share"] > 0.5


def test_the_effect_travels_through_the_readers(project, value):
    assert value["v_true.paths.readers"] > 0.5
    readers = read_json(project.top / "results/find_readers/readers.json")
    assert "23.3" in readers["roles"]["mover"]  # the largest attribution, which hardly answers to the patch
    assert "23.3" not in readers["found"]["reader"]
    assert "24.4" in readers["found"]["reader"]  # it turns
    assert value["table1.das.readers.logit_diff"] < 0 < value["table1.das.nullspace.logit_diff"]


def test_a_dormant_pathway_wakes(value):
    assert value["dormant.outside"] > 0.5
    assert value["dormant.clean_gap"] * value["dormant.patched_gap"] < 0


def test_a_random_mlp_will_do(value):
    assert value["random_mlp.share_of_real"] > 0.5


def test_controls_find_nothing(value):
    effect = value["clean.logit_diff"] - value["v_mlp.logit_diff"]
    assert abs(value["controls.v_mlp.self"]) < 1e-3
    controls = ("random", "placebo", "same_value")
    assert max(abs(value[f"controls.v_mlp.{control}"]) for control in controls) < effect / 3


def test_the_verdicts(project):
    verdicts = pd.read_csv(project.top / "results/verdicts.csv").drop_duplicates(["component", "subspace"])
    verdicts = verdicts.set_index(["component", "subspace"])
    v_true = verdicts.loc[("resid20", "trained")]
    assert v_true["share"] > 0.7  # its interval is from too few blocks to call it
    assert v_true["verdict"] != "illusory"
    assert verdicts.loc[("mlp20", "trained"), "verdict"] == "illusory"
