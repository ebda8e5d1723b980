"""Measures the estimate of the mediated share on models, and on blocks, that were left out of its intervals (E13).

Part of stages/calibration, which make calibrate runs.
"""

import pandas as pd

from subspace_illusion.core.checkpoints import weights_sha256
from subspace_illusion.files import read_table, write_json, write_table
from subspace_illusion.pipeline.calibration import CalibrationParams, Models
from subspace_illusion.pipeline.layout import CALIBRATION, CASES, MODELS
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.evidence import compared
from subspace_illusion.verdict.held_out import counted, goals, hard, judged, left_out, told_apart, ways


def main(models: Models, smallest_effect: float) -> None:
    files = sorted(CASES.glob("*.csv"))
    say(f"the estimate on the cases of {len(files)} models and tasks, each left out in turn, some seconds")
    everything = told_apart(pd.concat([read_table(file) for file in files]), smallest_effect)
    cases = judged(everything)
    by_model, by_task, by_block = (left_out(cases, over) for over in ("model", "task", "block"))
    write_table(CALIBRATION / "held_out_in_tasks.csv", goals(by_model, ["model", "task", "kind"]))
    write_table(CALIBRATION / "held_out_hard.csv", goals(hard(by_model), ["model", "kind"]))
    write_table(CALIBRATION / "held_out_found.csv", goals(by_model.assign(found=ways(by_model)), ["kind", "found"]))
    write_table(CALIBRATION / "held_out_tasks.csv", goals(by_task, ["model", "kind"]))
    write_table(CALIBRATION / "held_out_blocks.csv", goals(by_block, ["model", "kind"]))
    calibration = Calibration.measured(by_model, {model: weights_sha256(MODELS / model) for model in models})
    write_table(CALIBRATION / "held_out.csv", calibration.places)
    write_table(CALIBRATION / "held_out_kinds.csv", calibration.held_out)
    write_table(CALIBRATION / "held_out_evidence.csv", calibration.evidence)
    write_table(CALIBRATION / "held_out_evidence_hard.csv", compared(hard(by_model)))
    write_json(CALIBRATION / "calibration.json", calibration.to_json())
    write_table(CALIBRATION / "counted.csv", counted(everything))
    write_table(CALIBRATION / "cases.csv", by_model)
    say(calibration.places.to_string(index=False))


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams)
