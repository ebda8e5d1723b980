"""Composes params.yaml from conf/, as dvc exp run does, and stages/calibration/params.yaml.

Usage: python -m subspace_illusion.pipeline.compose [model=gpt2 ...]

With calibrate=mine alone, which names a file of conf/calibrate, it is the second that is composed.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from subspace_illusion.pipeline.layout import CALIBRATION_PARAMS, PARAMS


def compose(*overrides: str) -> dict[str, Any]:
    """The parameters of the pipeline, ``conf/config.yaml`` with Hydra overrides."""
    return _composed("config", overrides)


def compose_calibration(*overrides: str) -> dict[str, Any]:
    """Those of its calibration, ``conf/calibration.yaml``, which takes from the pipeline's what both have."""
    calibration: dict[str, Any] = _composed("calibration", overrides)["calibration"]
    models: dict[str, Any] = {}
    for named in calibration["models"]:
        models |= named if isinstance(named, dict) else {named: _model(named)}
    return calibration | dict(models=models)


def _model(name: str) -> Any:
    """Where a model of conf/model is from."""
    return yaml.safe_load(Path(f"conf/model/{name}.yaml").read_text(encoding="utf-8"))["model"]


def _composed(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        composed: Any = OmegaConf.to_container(hydra_compose(name, list(overrides)), resolve=True)
    return composed


def composed(*overrides: str) -> dict[Path, dict[str, Any]]:
    """The parameters that overrides ask for, by the file that they belong in."""
    of_both = [each for each in overrides if not each.startswith("calibrate=")]
    of_pipeline = {PARAMS: compose(*of_both)} if of_both or not overrides else {}
    return of_pipeline | {CALIBRATION_PARAMS: compose_calibration(*overrides)}


if __name__ == "__main__":
    for path, parameters in composed(*sys.argv[1:]).items():
        text = yaml.safe_dump(parameters, sort_keys=False, default_flow_style=None, width=120)
        path.write_text(text, encoding="utf-8")
