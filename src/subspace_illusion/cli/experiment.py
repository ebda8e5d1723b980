"""What the commands that run an experiment share: the project, the model, the user's files, DVC."""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from subspace_illusion.core.pointer import model_folder
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_write, hash_of, read_yaml
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.pipeline.layout import MODEL, OWN, RESULTS

CONF = Path("conf")
OPTIONAL = (
    *("localise", "find_readers", "trace_paths", "split_directions", "tell_names", "random_mlp", "neuron_sweep"),
    *("controls", "random_model", "facts", "text", "toy_example"),
)
"""The folders of results that an experiment leaves; where it is left out, DVC wants them to be there all the same."""
BLOCKS = ("num_hidden_layers", "n_layer", "num_layers")
"""What configurations call the number of blocks."""


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of every command that runs an experiment."""
    parser.add_argument("--model", default="smollm2", help="a name in conf/model, or a folder with a model")
    parser.add_argument("--pairs", required=True, type=Path, help="your pairs: parquet, csv or jsonl")
    parser.add_argument(
        "--position", default="last", help="where the table does not say it: last, a token's index, or a span's text"
    )
    parser.add_argument("--source-position", help="the same in the sources (default: as --position)")
    parser.add_argument("--name", help="of the experiment, for dvc exp show (default: made of what is asked)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any other parameter")


def check_project() -> None:
    """Makes sure that the command runs in the project's folder, under git, as DVC's experiments need.

    Raises:
        InputError: If not.
        ModuleNotFoundError: If there is no DVC.
    """
    import dvc  # noqa: F401 (what runs it is a process of its own)

    if not (Path("dvc.yaml").is_file() and CONF.is_dir()):
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


def task_overrides(options: argparse.Namespace) -> list[str]:
    """The overrides that choose the user's pairs; a table outside the project is copied into it.

    Raises:
        InputError: If there is no such table.
    """
    if not options.pairs.is_file():
        raise InputError(f"--pairs {options.pairs}: there is no such file")
    inside = options.pairs.resolve().is_relative_to(Path.cwd())
    path = options.pairs.resolve().relative_to(Path.cwd()) if inside else keep(options.pairs)
    source = options.position if options.source_position is None else options.source_position
    return ["task=pairs", *_texts("task", path=path, position=options.position, source_position=source)]


def _texts(section: str, **values: str | Path) -> list[str]:
    """Overrides that are text, whatever they look like."""
    return [f"{section}.{name}={json.dumps(str(value), ensure_ascii=False)}" for name, value in values.items()]


def keep(path: Path) -> Path:
    """Copies a user's file or folder to where DVC notices a change, under a name that tells its content.

    Returns:
        Where it is now.
    """
    digest = hash_of(path)[:8]
    kept = OWN / f"{path.stem}-{digest}{path.suffix}"
    if not kept.exists():
        with atomic_write(kept) as partial:
            if path.is_dir():
                shutil.copytree(path, partial)
            else:
                shutil.copyfile(path, partial)
    return kept


def n_blocks(overrides: Sequence[str]) -> int:
    """How many blocks the chosen model has, by its configuration; the model is fetched if that is not known yet.

    Raises:
        InputError: If the configuration does not say it.
    """
    # Which components are named does not matter yet, but a model of the user's has none of its own.
    overrides = [*overrides, "components=smollm2_pairs", "experiments=none"]
    model = compose(*overrides)["model"]
    if model["source"] != "path":
        run_dvc("exp", "run", *_set(overrides), "fetch_model")
    folder = model_folder(Path(model["path"]) if model["source"] == "path" else MODEL)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    found = [config[name] for name in BLOCKS if name in config]
    if not found:
        raise InputError(f"{folder}/config.json does not say how many blocks the model has: name a hook without *")
    return int(found[0])


def write_components(
    name: str, components: Mapping[str, Mapping[str, Any]], roles: Mapping[str, str | None], command: Sequence[str]
) -> Path:
    """Writes the components of an experiment as a file of ``conf/components``.

    Args:
        name: The experiment's.
        components: By name, as in the parameters.
        roles: Which of them are ``v_true`` and ``v_mlp``.
        command: What the user asked, for the file's first line.
    """
    path = CONF / "components" / f"{name}.yaml"
    text = yaml.safe_dump(dict(components=dict(components), **roles), sort_keys=False)
    if not (path.exists() and read_yaml(path) == yaml.safe_load(text)):
        with atomic_write(path) as partial:
            partial.write_text(f"# @package _global_\n# {shlex.join(command)}\n{text}", encoding="utf-8")
    return path


def run_experiment(name: str, overrides: Sequence[str], *targets: str, temporary: bool = False) -> None:
    """Runs parameters as a DVC experiment, or a part of the pipeline of it.

    Args:
        name: The experiment's; one of that name that was run before makes room.
        overrides: Parameters as Hydra overrides.
        targets: The stages to run; all if there are none.
        temporary: Whether to run in a folder of its own, so that what stands in this one stays.

    Raises:
        InputError: If a stage failed; it has said why.
    """
    for folder in OPTIONAL:
        (RESULTS / folder).mkdir(parents=True, exist_ok=True)
    # An experiment of this name that asked for something else would stand in the way.
    _dvc("exp", "remove", name, quiet=True)
    run_dvc("exp", "run", "--name", name, *(["--temp"] if temporary else []), *_set(overrides), *targets)


def run_dvc(*arguments: str) -> None:
    """Runs a DVC command, its output on the screen.

    Raises:
        InputError: If it fails.
    """
    if _dvc(*arguments):
        raise InputError(f"dvc {arguments[0]} {arguments[1]} ended with an error, which stands above")


def _dvc(*arguments: str, quiet: bool = False) -> int:
    """Runs DVC with this Python's programs first, whatever the shell's are, and gives its exit status."""
    env = os.environ | {"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])}
    return subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], check=False, env=env, capture_output=quiet
    ).returncode


def _set(overrides: Sequence[str]) -> list[str]:
    return [part for override in overrides for part in ("--set-param", override)]
