"""Fetches one of the models that the estimate is calibrated on, hashes checked, as stage fetch_model does.

Part of stages/calibration, which make calibrate runs.
"""

from subspace_illusion.core.fetch import fetch
from subspace_illusion.pipeline.calibration import CalibrationParams, Models
from subspace_illusion.pipeline.layout import MODELS
from subspace_illusion.pipeline.stage import run, say


def main(model: str, models: Models) -> None:
    one = models[model]
    fetch(one.source, one.model_dump(exclude={"source"}), MODELS / model, say)


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams, fetches=True)
