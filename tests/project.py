"""A copy of the project in which tests run its real pipeline by real commands."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import yaml

import tiny
from subspace_illusion.cli.experiment import OPTIONAL
from subspace_illusion.pipeline.compose import compose, compose_calibration
from warm import warm_programs

ROOT = Path(__file__).parents[1]
SMALL = [
    "model=tiny", "size=quick", "prompts.train_cases=8", "prompts.test_cases=8", "das.steps=3", "train_batch=8",
    "localise.pairs=4", "localise.batch=2", "resamples=100", "decompose.random_directions=20",
    "cache_text.sequences=6", "cache_text.length=48", "cache_text.positions=200", "cache_text.train=160",
    "texts.speeches.source=model", "~texts.speeches.requirement", "~texts.speeches.wheel_sha256",  # no network
    "compute.threads=1",  # of two, beside another file of tests, each waits for the other
]  # fmt: skip


@cache
def warm() -> Path:
    """The folder of the programs that all projects of this process share."""
    return warm_programs(Path(tempfile.mkdtemp()), dict(os.environ))


class Project:
    """A copy of the working tree with a repository and a DVC cache of its own."""

    def __init__(self, top: Path) -> None:
        self.top = top
        files = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in files.stdout.splitlines():
            if (ROOT / name).is_file() and not name.startswith(("results/", "tests/", "dvc.lock")):
                (top / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, top / name)
        self.env = os.environ | {
            "PATH": f"{warm()}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GIT_AUTHOR_NAME": "test", "GIT_AUTHOR_EMAIL": "test@example.org",
            "GIT_COMMITTER_NAME": "test", "GIT_COMMITTER_EMAIL": "test@example.org",
        }  # fmt: skip
        self.run("git", "init", "-q")
        # What the repository has from the committed results, and an experiment that is left out does not make.
        for folder in OPTIONAL:
            (top / "results" / folder).mkdir(parents=True)

    @classmethod
    def on_tiny(cls, top: Path) -> "Project":
        """A project whose parameters are small and whose model is the tiny one.

        Args:
            top: An empty folder; with a space in its name that is tried too.
        """
        os.chdir(ROOT)
        project = cls(top)
        tiny.write_folder(top / "data/tiny")
        project.params()
        return project

    def run(self, *command: str, fails: bool = False) -> str:
        done = subprocess.run(command, cwd=self.top, env=self.env, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert (done.returncode != 0) == fails, output[-3000:]
        return output

    def repro(self, *targets: str) -> list[str]:
        """Runs the pipeline, or what some stages need, and gives the names of the stages that ran."""
        return re.findall(r"Running stage '(.+?)'", self.run("dvc", "repro", *targets))

    def go_back(self) -> None:
        """Puts back what was committed, parameters and results."""
        self.run("git", "checkout", "-q", "--", ".")
        self.run("dvc", "checkout", "-q")

    def params(self, *overrides: str) -> dict:
        parameters = compose(*SMALL, *overrides)
        self.write_params(parameters)
        return parameters

    def calibration_params(self, **changed: dict) -> None:
        """Writes the parameters of stages/calibration, some keys of some sections changed."""
        parameters = compose_calibration(*SMALL)
        for section, values in changed.items():
            parameters[section] |= values
        (self.top / "stages/calibration/params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))

    def write_params(self, parameters: dict) -> None:
        (self.top / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))

    def outputs(self) -> dict[str, str]:
        """Hash of every output by path, from dvc.lock."""
        lock = yaml.safe_load((self.top / "dvc.lock").read_text())
        return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}
