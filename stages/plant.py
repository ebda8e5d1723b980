"""Plants a signal of one task in components, to known doses, and measures every direction that is found in them (E14).

Also looks at components of the model as they are. Part of stages/calibration, which make calibrate runs. The work is in
units, a block or a natural component each: with compute.scheduler they go to the workers of a cluster.
"""

import pandas as pd

from subspace_illusion.core.device import pick_device
from subspace_illusion.core.matmul import resolved
from subspace_illusion.files import write_table
from subspace_illusion.pipeline.calibration import CalibrationParams, PlantedDas, PlantedPrompts, Signals, Tasks
from subspace_illusion.pipeline.layout import CALIBRATION, MODEL
from subspace_illusion.pipeline.sections import Compute
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.planting.cases import CARRIER_KINDS
from subspace_illusion.planting.units import look_at, plant_block


def main(
    task: str,
    tasks: Tasks,
    prompts: PlantedPrompts,
    signals: Signals,
    das: PlantedDas,
    rank_tolerance: float,
    resamples: int,
    patch_batch: int,
    seed: int,
    compute: Compute,
) -> None:
    planted = tasks[task]
    kinds = dict(zip(CARRIER_KINDS, (planted.mlps, planted.random_mlps, planted.attention), strict=True))
    blocks = sorted({block for listed in kinds.values() for block in listed})
    pairs = dict(model=str(MODEL), task=task, path=str(planted.path), seed=seed, **prompts.model_dump())
    plan = dict(
        doses=[*((dose, 0.0) for dose in signals.doses), *((1.0, null) for null in signals.null_parts)],
        seeds=planted.seeds,
        arbitrary=signals.arbitrary,
        off_route=signals.off_route,
        # Here and not by each worker, so that the results are the same whoever works.
        settings=das.model_dump() | dict(matmul_dtype=resolved(das.matmul_dtype, pick_device())),
        batch=patch_batch,
        resamples=resamples,
        tolerance=rank_tolerance,
        seed=seed,
    )
    inputs, hints = [MODEL, planted.path], dict(recorded=dict(blocks=blocks, natural=planted.natural))
    carriers = {block: [kind for kind, listed in kinds.items() if block in listed] for block in blocks}
    units = [
        *(unit(plant_block, inputs, hints, pairs=pairs, plan=plan, block=at, kinds=carriers[at]) for at in blocks),
        *(unit(look_at, inputs, hints, pairs=pairs, plan=plan, hook=hook) for hook in planted.natural),
    ]
    natural = len(planted.natural)
    say(f"the signal of {task} in {len(blocks)} blocks, and {natural} natural components: a minute or two each")
    tables = run_units(units, compute, "unit")
    for kind, found in dict(planted=tables[: len(blocks)], natural=tables[len(blocks) :]).items():
        write_table(CALIBRATION / f"{kind}_{task}.csv", pd.concat(found).assign(task=task))


if __name__ == "__main__":
    run(main, __doc__, CalibrationParams)
