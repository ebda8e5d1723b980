"""Bad input to the stages of the real pipeline: one clear line each, and nothing is lost."""

import pytest

import tiny
from project import Project


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    project = Project.on_tiny(tmp_path_factory.mktemp("a project"))
    project.repro("train_das@mlp1")
    return project


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        (["train_das.py", "mlp1"], {"components.mlp1.rank": 65}, "rank is 65, but blocks.1.mlp.hook_post has 64"),
        (["train_das.py", "mlp9"], {}, "'mlp9' is no component; params.yaml names resid1, mlp1"),
        (["cache_activations.py"], {"components.mlp1.hook": "blocks.9.mlp.hook_post"}, "the model has blocks 0 to 3"),
        (["cache_activations.py"], {"components.other": {"hook": "blocks.1.hook_x"}}, "no hook 'blocks.1.hook_x'"),
        (["fetch_model.py"], {"model.path": "data/nowhere"}, "there is no folder data/nowhere"),
        (["fetch_model.py"], {"model.path": "data/prompts"}, "there is no folder data/prompts"),
        (["fetch_model.py"], {"model.path": "conf"}, "conf is no model folder"),
        (["generate_prompts.py"], {"das.lr": -1}, "das.lr: Input should be greater than 0"),
    ],
)
def test_bad_input_is_one_clear_line_and_loses_nothing(project, stage, change, message):
    parameters = project.params()
    for place, value in change.items():
        *levels, last = place.split(".")
        section = parameters
        for level in levels:
            section = section[level]
        section[last] = value
    project.write_params(parameters)
    before = {path: path.stat().st_mtime_ns for path in (project.top / "data").rglob("*") if path.is_file()}
    output = project.run("python", f"stages/{stage[0]}", *stage[1:], fails=True)
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert message in error
    assert "Traceback" not in output
    assert before == {path: path.stat().st_mtime_ns for path in (project.top / "data").rglob("*") if path.is_file()}
    project.params()


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data/ioi/names.txt", "Anna\nPaul\n", "too few names"),
        ("data/ioi/names.txt", None, "data/ioi/names.txt cannot be read"),
        ("data/ioi/templates.yaml", "train: ['At {place}']\ntest: [b]\n", "template 'At {place}'"),
        ("data/ioi/templates.yaml", "train: [", "data/ioi/templates.yaml cannot be read"),
        ("data/ioi/templates.yaml", "[1]", "two lists of sentences"),
        (
            "data/tiny/model.safetensors",
            "short",
            "data/tiny has changed since it was fetched (model.safetensors): run dvc",
        ),
        ("data/model/source.json", "{", "data/model/source.json cannot be read"),
        ("data/activations/tail.2/0000.safetensors", "short", "tail.2/0000.safetensors cannot be read"),
    ],
)
def test_bad_files_are_named(project, file, content, message):
    path = project.top / file
    kept = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_text(content)
    stage = {"tiny": ["localise.py"], "model": ["localise.py"], "activations": ["train_das.py", "mlp1"]}.get(
        file.split("/")[1], ["generate_prompts.py"]
    )
    output = project.run("python", f"stages/{stage[0]}", *stage[1:], fails=True)
    path.unlink(missing_ok=True)
    path.write_bytes(kept)
    assert "Traceback" not in output
    assert message in output


@pytest.mark.parametrize("script", ["fetch_model", "train_das", "plant_cases"])
def test_help_says_what_a_stage_does(project, script):
    assert "usage:" in project.run("python", f"stages/{script}.py", "--help")


def test_a_model_that_was_changed_where_it_lies_is_computed_with_anew_once_it_is_fetched(project):
    tiny.write_folder(project.top / "data/tiny", seed=1)
    assert project.repro("--force", "fetch_model") == ["fetch_model"]
    assert project.repro("generate_prompts") == ["generate_prompts"]
