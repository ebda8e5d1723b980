"""The calibration that verdicts rest on, as it is read, and as DVC's metrics."""

from pathlib import Path

import pandas as pd

from subspace_illusion.files import read_json
from subspace_illusion.verdict.calibration import FAITHFUL, ILLUSORY, SCORE, Calibration

SHIPPED = Path(__file__).with_name("calibration.json")
"""The outcome of make calibrate that the library comes with."""


def read_calibration(path: Path = SHIPPED) -> Calibration:
    """The calibration in a file.

    Raises:
        InputError: If it cannot be read, or is none.
    """
    return Calibration.from_json(read_json(path))


def metrics_of(calibration: Calibration) -> dict[str, object]:
    """The calibration as DVC's metrics."""
    areas = calibration.areas.set_index("evidence")
    score, measured = areas.loc[SCORE], calibration.measured
    return dict(
        cases=len(calibration.cases),
        counted=int(calibration.cases["counted"].sum()),
        auc=float(score["auc"]),
        auc_ci=[float(score["auc_lo"]), float(score["auc_hi"])],
        faithful_called_illusory=float(measured.loc[FAITHFUL, ILLUSORY]),
        illusory_called_faithful=float(measured.loc[ILLUSORY, FAITHFUL]),
        other={name: float(row["auc"]) for name, row in areas.iterrows() if name != SCORE and pd.notna(row["auc"])},
    )
