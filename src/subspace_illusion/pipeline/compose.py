"""Composes params.yaml from conf/, as dvc exp run does.

Usage: python -m subspace_illusion.pipeline.compose [model=gpt2 ...]
"""

import sys
from pathlib import Path
from typing import Any

import yaml


def compose(*overrides: str) -> dict[str, Any]:
    """The parameters of ``conf/config.yaml`` with Hydra overrides."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    with initialize_config_dir(str(Path("conf").resolve()), version_base=None):
        composed: Any = OmegaConf.to_container(hydra_compose("config", list(overrides)), resolve=True)
    return composed


if __name__ == "__main__":
    Path("params.yaml").write_text(yaml.safe_dump(compose(*sys.argv[1:]), sort_keys=False), encoding="utf-8")
