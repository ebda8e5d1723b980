"""Plants a signal of one task in components, to known doses, and measures every direction that is found in them (E14).

Also looks at components of the model as they are. Part of stages/calibration, which make calibrate runs. The work is in
units, a block or a natural component each: with compute.scheduler they go to the workers of a cluster.
"""

import pandas as pd

from subspace_illusion.core.matmul import resolved
from subspace_illusion.core.model import pick_device
from subspace_illusion.errors import InputError
from subspace_illusion.files import CALIBRATION, MODEL, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.pipeline.units import run_units, unit
from subspace_illusion.planting.cases import CARRIER_KINDS
from subspace_illusion.planting.units import look_at, plant_block


def main(params: Params, task: str) -> None:
    asked = params.calibrate
    if task not in asked.tasks:
        raise InputError(f"calibrate.tasks has no {task} for this model: add it to conf/calibrate, or leave it out")
    planted = asked.tasks[task]
    kinds = dict(zip(CARRIER_KINDS, (planted.mlps, planted.random_mlps, planted.attention), strict=True))
    blocks = sorted({block for of_kind in kinds.values() for block in of_kind})
    pairs = dict(
        model=str(MODEL),
        task=task,
        path=str(planted.path),
        train_cases=asked.train_cases,
        test_cases=asked.test_cases,
        test_share=params.prompts.test_share,
        same_value=params.das.same_value,
        seed=asked.seed,
    )
    plan = dict(
        doses=[*((dose, 0.0) for dose in asked.doses), *((1.0, null) for null in asked.null_parts)],
        seeds=planted.seeds,
        arbitrary=asked.arbitrary,
        off_route=asked.off_route,
        # Here and not by each worker, so that the results are the same whoever works.
        settings=params.das.learning
        | dict(steps=asked.steps, batch=asked.batch, matmul_dtype=resolved(params.das.matmul_dtype, pick_device())),
        batch=params.evaluate.batch,
        resamples=params.evaluate.resamples,
        tolerance=params.decompose.rank_tolerance,
        seed=asked.seed,
    )
    inputs, hints = [MODEL, planted.path], dict(recorded=dict(blocks=blocks, natural=planted.natural))
    of_blocks = [
        unit(plant_block, inputs, hints, pairs=pairs, plan=plan, block=block, kinds=carriers)
        for block in blocks
        for carriers in [[kind for kind, of_kind in kinds.items() if block in of_kind]]
    ]
    of_hooks = [unit(look_at, inputs, hints, pairs=pairs, plan=plan, hook=hook) for hook in planted.natural]
    say(f"the signal of {task} in {len(blocks)} blocks, and {len(of_hooks)} natural components: a minute or two each")
    tables = run_units([*of_blocks, *of_hooks], params.compute, "unit")
    of_planted, of_natural = tables[: len(blocks)], tables[len(blocks) :]
    write_table(CALIBRATION / f"planted_{task}.csv", pd.concat(of_planted).assign(task=task))
    write_table(CALIBRATION / f"natural_{task}.csv", pd.concat(of_natural).assign(task=task))


if __name__ == "__main__":
    run(main, __doc__)
