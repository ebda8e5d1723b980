"""What planted cases say, as DVC's metrics."""

from subspace_illusion.verdict.calibration import Calibration

REACHED = (
    "cases",
    "median_error",
    "told",
    "coverage_90",
    "below_02_called_faithful",
    "above_08_called_illusory",
    "inconclusive",
)
"""What is reached on the cases of models that were left out, of ``Calibration.pooled``."""


def metrics_of(calibration: Calibration) -> dict[str, float]:
    """How many models there are, and what is reached on each when it is left out; without what there is no figure
    of."""
    reached = {name: calibration.pooled[name] for name in REACHED}
    known = {name: value for name, value in reached.items() if value is not None and value == value}
    return dict(models=len(calibration.models)) | known
