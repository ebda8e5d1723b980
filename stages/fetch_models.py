"""Fetches one of the models that the estimate is calibrated on, hashes checked.

Part of stages/calibration, which make calibrate runs. Sources are those of stage fetch_model.
"""

from subspace_illusion.pipeline.calibration import CalibrationParams, Models
from subspace_illusion.pipeline.fetching import fetch
from subspace_illusion.pipeline.layout import MODELS
from subspace_illusion.pipeline.stage import run


def main(model: str, models: Models) -> None:
    fetch(models[model], MODELS / model)


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams, fetches=True)
