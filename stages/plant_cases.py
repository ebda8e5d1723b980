"""Plants signals of one task in every place of one model's blocks, and measures what goes through the mediator (E14).

Part of stages/calibration, which make calibrate runs. The work is in units, a block each: with compute.scheduler they
go to the workers of a cluster.
"""

import pandas as pd

from subspace_illusion.core.device import pick_device
from subspace_illusion.core.matmul import resolved
from subspace_illusion.files import write_table
from subspace_illusion.pipeline.calibration import CalibrationParams, Cases, Planting
from subspace_illusion.pipeline.layout import CASES, MODELS
from subspace_illusion.pipeline.sections import Compute
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.planting.units import cases_of


def main(
    case: str,
    cases: Cases,
    planting: Planting,
    same_value: bool,
    test_share: float,
    rank_tolerance: float,
    smallest_effect: float,
    patch_batch: int,
    seed: int,
    compute: Compute,
) -> None:
    asked, folder, das = cases[case], MODELS / cases[case].model, planting.das.model_dump()
    counts = dict(train=planting.train_cases, test=planting.test_cases)
    pairs = dict(model=str(folder), task=asked.task, path=str(asked.path), cases=counts, test_share=test_share)
    pairs |= dict(seed=seed, same_value=same_value)
    plan = dict(
        places=asked.places,
        doses=planting.doses,
        mixtures=planting.mixtures,
        das=das | dict(matmul_dtype=resolved(das["matmul_dtype"], pick_device())),
        batch=patch_batch,
        tolerance=rank_tolerance,
        smallest_effect=smallest_effect,
        seed=seed,
    )
    inputs = [folder, asked.path]
    units = [unit(cases_of, inputs, pairs=pairs, plan=plan, block=block) for block in asked.blocks]
    say(f"the signal of {asked.task} in {len(asked.places)} places of {len(units)} blocks of {asked.model}")
    found = pd.concat(run_units(units, compute, "block")).sort_values("block", kind="stable", ignore_index=True)
    write_table(CASES / f"{case}.csv", found.assign(model=asked.model, task=asked.task).round(6))


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams)
