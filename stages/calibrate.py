"""Sets the score's thresholds on one half of the planted cases and measures them on the other (E14).

Part of stages/calibration, which make calibrate runs.
"""

import numpy as np
import pandas as pd

from subspace_illusion.files import read_table, write_json, write_table
from subspace_illusion.pipeline.calibration import CalibrationLabels, CalibrationParams, Tasks
from subspace_illusion.pipeline.layout import CALIBRATION, RESULTS
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.verdict.calibration import MOVES, by_effect, calibrate, curve, roc, sweep

CUTS = np.round(np.linspace(0, 1, 101), 2)
"""Where the sweep looks."""
SHARES = (0.0, 0.1, 0.2, MOVES, 0.5)
"""From which effect on directions might count."""


def main(names: CalibrationLabels, tasks: Tasks, smallest_effect: float, resamples: int, seed: int) -> None:
    told = " and ".join(tasks)
    say(f"calibrating the score on the planted cases of {told}, about 20 s")
    planted, natural = (
        pd.concat([read_table(CALIBRATION / f"{kind}_{task}.csv", text=("seed",)) for task in tasks])
        for kind in ("planted", "natural")
    )
    found = calibrate(planted, natural, smallest_effect, resamples, seed, names.model_dump() | dict(tasks=told))
    counted = found.cases[found.cases["counted"]]
    measuring = counted[~counted["setting"]]
    write_table(RESULTS / "calibration.csv", found.cases)
    write_table(CALIBRATION / "confusion.csv", found.confusions)
    write_table(CALIBRATION / "areas.csv", found.areas)
    write_table(CALIBRATION / "curve.csv", curve(counted))
    write_table(CALIBRATION / "roc.csv", roc(measuring))
    write_table(CALIBRATION / "sweep.csv", sweep(measuring, CUTS))
    half = found.cases[~found.cases["setting"]]
    write_table(CALIBRATION / "by_effect.csv", by_effect(half, found.thresholds, smallest_effect, SHARES))
    write_table(CALIBRATION / "natural.csv", found.natural)
    write_json(CALIBRATION / "calibration.json", found.as_json())
    say(found.confusions[found.confusions["measured_on"] == found.confusions["measured_on"][0]].to_string(index=False))


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams)
