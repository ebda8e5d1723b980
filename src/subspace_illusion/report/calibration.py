"""The calibration that verdicts rest on, as DVC's metrics."""

import pandas as pd

from subspace_illusion.verdict.calibration import SCORE, Calibration
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY


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
