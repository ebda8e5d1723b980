import re
import shutil
from pathlib import Path

import pytest
import yaml

from subspace_illusion.errors import InputError
from subspace_illusion.measures.find_readers import Rule
from subspace_illusion.measures.own_readers import RULE
from subspace_illusion.pipeline.calibration import CalibrationParams
from subspace_illusion.pipeline.compose import compose, compose_calibration, composed
from subspace_illusion.pipeline.layout import CALIBRATION_PARAMS, PARAMS
from subspace_illusion.pipeline.params import Params, read_params
from subspace_illusion.tasks.reading import PairsReading

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch):
    monkeypatch.chdir(ROOT)


def write(tmp_path: Path, parameters: dict) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(parameters))
    return path


def changed(parameters: dict, place: str, value: object) -> dict:
    """The parameters with another value at a dotted place."""
    *levels, last = place.split(".")
    section = parameters
    for level in levels:
        section = section[level]
    section[last] = value
    return parameters


def test_the_files_of_parameters_are_what_conf_composes():
    assert yaml.safe_load((ROOT / "params.yaml").read_text()) == compose()
    assert yaml.safe_load((ROOT / "stages/calibration/params.yaml").read_text()) == compose_calibration()


def test_a_table_of_pairs_is_read_as_an_audit_reads_it(tmp_path):
    """Every setting that an audit has for it is there to be set; a bare no, which YAML takes for false, is one too."""
    columns, said = "task.columns={base: clean, source: corrupted}", ["task.chat=true", "task.system=Be brief."]
    made = compose("task=pairs", columns, *said, "task.position=-2", "task.both_ways=true")
    assert set(made["task"]) == {"path", *PairsReading.model_fields}
    made["task"]["bos"] = False
    read = read_params(Params, write(tmp_path, made)).task
    wanted = dict(chat=True, system="Be brief.", position=-2, both_ways=True, bos="no")
    assert PairsReading(**read.model_dump(exclude={"path"})) == PairsReading(
        columns=dict(base="clean", source="corrupted"), **wanted
    )


def test_the_calibration_takes_from_the_pipeline_what_both_have():
    changed = compose_calibration("seed=7", "das.lr=0.3", "learning.loss=logit_difference", "model=gpt2", "size=quick")
    das = changed["planting"]["das"]
    assert (changed["seed"], das["lr"], das["loss"]) == (7, 0.3, "logit_difference")
    assert changed["cases"]["gpt2_ioi"]["blocks"] == [7, 8, 9]
    assert changed["planting"]["train_cases"] == 12


def test_readers_are_found_by_one_rule_in_the_pipeline_and_in_memory():
    params = read_params(Params)
    assert Rule(**params.readers.model_dump()) == RULE


@pytest.mark.parametrize("components", [path.stem for path in (ROOT / "conf/components").glob("*_*.yaml")])
@pytest.mark.parametrize("size", [path.stem for path in (ROOT / "conf/size").glob("*.yaml")])
def test_every_composition_is_valid(tmp_path, components, size):
    model, _, task = components.rpartition("_")
    params = read_params(Params, write(tmp_path, compose(f"model={model}", f"task={task}", f"size={size}")))
    assert (params.names.model, params.names.task, params.size) == (model, task, size)


@pytest.mark.parametrize("model", [path.stem for path in (ROOT / "conf/calibrate").glob("*.yaml")])
@pytest.mark.parametrize("size", [path.stem for path in (ROOT / "conf/size").glob("*.yaml")])
def test_every_composition_of_the_calibration_is_valid(tmp_path, model, size):
    path = write(tmp_path, compose_calibration(f"model={model}", f"size={size}"))
    assert read_params(CalibrationParams, path).planting.doses[0] == 0


def test_facts_ask_for_the_blocks_that_localise_names(tmp_path):
    path = write(tmp_path, changed(compose("task=facts"), "experiments.localise", []))
    with pytest.raises(InputError, match=r"experiments\.facts needs experiments\.localise, which is empty"):
        read_params(Params, path)


def test_one_file_plants_in_a_model_of_ones_own(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    page = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    (mine,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "conf/calibrate/mine.yaml").write_text(mine, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    ((path, made),) = composed("calibrate=mine").items()
    assert path == CALIBRATION_PARAMS
    params = read_params(CalibrationParams, write(tmp_path, made))
    assert set(params.models) == {"smollm2", "gemma3", "mine"}
    assert params.cases["mine_ioi"].model == "mine"
    assert "gemma3_ioi" in params.cases
    assert set(composed("model=gpt2")) == set(composed()) == {PARAMS, CALIBRATION_PARAMS}


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("das.learning_rate", 1, "das.learning_rate: Extra inputs are not permitted"),
        ("das.lr", -0.1, "das.lr: Input should be greater than 0 (it is -0.1)"),
        (
            "learning.loss",
            "hinge",
            "learning.loss: Input should be 'cross_entropy' or 'logit_difference'",
        ),
        ("das_seeds", [1, 1], "das_seeds: they must differ"),
        ("das_seeds", [], "das_seeds: List should have at least 1 item"),
        ("seed", [0, 1], "seed: Input should be a valid integer"),
        ("prompts.train_cases", 0, "prompts.train_cases: Input should be greater than 0 (it is 0)"),
        ("prompts.test_share", 1.5, "prompts.test_share: Input should be less than 1"),
        ("localise.pairs", 0, "localise.pairs: Input should be greater than 0"),
        ("components.mlp20.hook", "block 20", "components.mlp20.hook: 'block 20' names no site"),
        ("components.mlp20.rank", 0, "components.mlp20.rank: Input should be greater than 0"),
        ("components", {}, "components: Dictionary should have at least 1 item"),
        ("v_mlp", "mlp7", "v_mlp is 'mlp7', which is none of"),
        ("v_true", "mlp20", "v_true is 'mlp20', which is not in the residual stream"),
        ("v_mlp", "resid20", "v_mlp is 'resid20', which is not an MLP's hidden activations"),
        ("experiments.controls", ["mlp7"], "experiments.controls: 'mlp7' is none of"),
        ("experiments.localise", ["once", "once"], "experiments.localise: List should have at most 1 item"),
        ("experiments.toy_example", ["twice"], "experiments.toy_example.0: Input should be 'once' (it is 'twice')"),
        ("experiments.find_readers", ["mlp7"], "experiments.find_readers: 'mlp7' is none of"),
        ("experiments.facts", ["mlp20"], "experiments.facts is of the task facts alone"),
        ("experiments.find_readers", [], "experiments.trace_paths needs experiments.find_readers, which is empty"),
        (
            "components.mlp20",
            dict(hook="blocks.20.mlp.hook_post", train=False, subspaces={"mine": {"file": "data/own/w.npy"}}),
            "v_mlp is 'mlp20', whose train is false",
        ),
        ("components.mlp21.train", False, "train is false and there are no subspaces"),
        ("components.mlp20.hook", "blocks.20.mlp.hook_post@end", "components are read at the task's position"),
        ("components.mlp20.subspaces", {"mine": {"file": "w.npy"}}, "'w.npy' lies outside data/own"),
        ("components.mlp20.subspaces", {"row part": {"file": "data/own/w.npy"}}, "'row part' is no label"),
        (
            "experiments.split_directions",
            ["mlp20"],
            "experiments.split_directions: 'mlp20' is not in the residual stream",
        ),
        ("experiments.random_mlp", ["resid20"], "experiments.random_mlp: 'resid20' is not an MLP's hidden activations"),
        ("experiments.neuron_sweep", ["mlp20", "mlp20"], "experiments.neuron_sweep: they must differ"),
        ("dormant.clean_range", [99, 1], "dormant.clean_range: the lower percentile must come first"),
        ("neuron_sweep.shares", [0.5], "neuron_sweep.shares: List should have at least 2 items"),
        ("find_readers.published", {"mover": ["9.9"]}, "find_readers.published.mover"),
        ("readers.share", 1.5, "readers.share: Input should be less than 1"),
        ("model.file_sha256", "abc", "model.file_sha256: String should match pattern"),
        (
            "names.task",
            "ioj",
            "names.task: Input should be 'ioi', 'agreement', 'facts', 'pronoun' or 'pairs' (it is 'ioj')",
        ),
        ("cache.filter_incorrect", "drop", "cache.filter_incorrect: Input should be a valid boolean"),
        ("task.chat", True, "task.chat is of the task pairs alone: leave it out"),
        ("task.system", "Be brief.", "task: system is what the system says in a chat, and chat is off"),
        ("task.join", "glued", "task.join: Input should be 'auto', 'direct' or 'space' (it is 'glued')"),
        ("same_value", "no way", "same_value: Input should be a valid boolean"),
        ("cache_text.train", 1999, "cache_text: train is 1999 of 2000 positions"),
        ("cache_text.length", 0, "cache_text.length: Input should be greater than 0"),
        ("experiments.read_signs", ["novels"], "experiments.read_signs: 'novels' is none of sampled, speeches (texts)"),
        ("experiments.cache_text", ["sampled"], "'speeches' is not in experiments.cache_text"),
        ("texts.a b", dict(source="model"), "'a b' is no name for a file"),
        ("texts.speeches.wheel_sha256", "abc", "texts.speeches.wheel_sha256: String should match pattern"),
        ("model.source", "ftp", "model: Input tag 'ftp'"),
        ("verdict.illusory_up_to", 0.7, "illusory_up_to is 0.7 and faithful_from 0.5"),
        ("plots", None, "plots: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path, place, value, message):
    path = write(tmp_path, changed(compose(), place, value))
    with pytest.raises(InputError) as error:
        read_params(Params, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("planting.doses", [0.0, 2.0], "planting.doses.1: Input should be less than or equal to 1"),
        ("planting.doses", [0.5, 1.0], "the first must be 0"),
        ("planting.doses", [0.0, 1.0, 0.5], "every dose must be larger than the one before"),
        ("cases.smollm2_ioi.places", ["nowhere"], "'nowhere' is no place to plant in"),
        ("cases.smollm2_ioi.model", "another", "'another' is none of the models"),
        ("planting.das.min_gain", 1.0, "planting.das.min_gain: Input should be less than 1"),
    ],
)
def test_a_wrong_parameter_of_the_calibration_is_named(tmp_path, place, value, message):
    path = write(tmp_path, changed(compose_calibration(), place, value))
    with pytest.raises(InputError) as error:
        read_params(CalibrationParams, path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_section_a_broken_file_and_no_file(tmp_path):
    parameters = compose()
    del parameters["das"]
    with pytest.raises(InputError, match="das: Field required"):
        read_params(Params, write(tmp_path, parameters))
    (tmp_path / "params.yaml").write_text("das: [")
    with pytest.raises(InputError, match="is not YAML"):
        read_params(Params, tmp_path / "params.yaml")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_params(Params, tmp_path / "nothing.yaml")
