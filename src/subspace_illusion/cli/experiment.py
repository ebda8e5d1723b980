"""What running a DVC experiment takes: the project, the model, DVC itself."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from subspace_illusion.errors import InputError
from subspace_illusion.pipeline.layout import RESULTS

CONF = Path("conf")
OPTIONAL = (
    *("localise", "find_readers", "trace_paths", "split_directions", "tell_names", "random_mlp", "neuron_sweep"),
    *("repair", "controls", "random_model", "facts", "text", "toy_example"),
)
"""The folders of results that an experiment leaves; where it is left out, DVC wants them to be there all the same."""


def is_project() -> bool:
    """Whether the command runs in the project's folder."""
    return Path("dvc.yaml").is_file() and CONF.is_dir()


def check_project() -> None:
    """Makes sure that the command runs in the project's folder, under git, as DVC's experiments need.

    Raises:
        InputError: If not.
        ModuleNotFoundError: If there is no DVC.
    """
    import dvc  # noqa: F401 (what runs it is a process of its own)

    if not is_project():
        raise InputError("this folder is not the project's: change to the clone with dvc.yaml and conf/ in it")
    if subprocess.run(["git", "rev-parse", "-q", "--verify", "HEAD"], capture_output=True, check=False).returncode:
        raise InputError("the project's folder is no git repository with a commit: dvc exp run needs one")


def model_overrides(model: str) -> list[str]:
    """The overrides that choose a model by its name in ``conf/model`` or by its folder.

    Raises:
        InputError: If it is neither.
    """
    known = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
    if model in known:
        return [f"model={model}"]
    folder = Path(model)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"--model {model}: neither a folder with a config.json nor one of {', '.join(known)} (conf/model); "
            "a model of the hub gets a file there, as conf/model/gpt2.yaml"
        )
    return ["model=folder", *_texts("names", model=folder.resolve().name), *_texts("model", path=folder.resolve())]


def _texts(section: str, **values: str | Path) -> list[str]:
    """Overrides that are text, whatever they look like."""
    return [f"{section}.{name}={json.dumps(str(value), ensure_ascii=False)}" for name, value in values.items()]


def run_experiment(name: str, overrides: Sequence[str]) -> None:
    """Runs parameters as a DVC experiment, in a folder of its own, so that what stands in this one stays.

    Args:
        name: The experiment's; one of that name that was run before makes room.
        overrides: Parameters as Hydra overrides.

    Raises:
        InputError: If a stage failed; it has said why.
    """
    for folder in OPTIONAL:
        (RESULTS / folder).mkdir(parents=True, exist_ok=True)
    # An experiment of this name that asked for something else would stand in the way.
    _dvc("exp", "remove", name, quiet=True)
    changed = [part for override in overrides for part in ("--set-param", override)]
    if _dvc("exp", "run", "--name", name, "--temp", *changed):
        raise InputError("dvc exp run ended with an error, which stands above")


def _dvc(*arguments: str, quiet: bool = False) -> int:
    """Runs DVC with this Python's programs first, whatever the shell's are, and gives its exit status."""
    env = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], check=False, env=env, capture_output=quiet
    ).returncode
