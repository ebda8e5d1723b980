"""Composes params.yaml from conf/, as dvc exp run does, and stages/calibration/params.yaml.

Usage: python -m subspace_illusion.pipeline.compose [model=gpt2 ...]
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
    files = {name: Path(f"conf/model/{name}.yaml").read_text(encoding="utf-8") for name in calibration["models"]}
    models = {name: yaml.safe_load(text)["model"] for name, text in files.items()}
    return calibration | dict(models=models)


def _composed(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        composed: Any = OmegaConf.to_container(hydra_compose(name, list(overrides)), resolve=True)
    return composed


if __name__ == "__main__":
    asked = sys.argv[1:]
    for path, parameters in {PARAMS: compose(*asked), CALIBRATION_PARAMS: compose_calibration(*asked)}.items():
        path.write_text(
            yaml.safe_dump(parameters, sort_keys=False, default_flow_style=None, width=120), encoding="utf-8"
        )
