"""Plants a signal of one task in components, to known doses, and measures every direction that is found in them (E14).

Also looks at components of the model as they are. Part of stages/calibration, which make calibrate runs.
"""

import pandas as pd

from subspace_illusion.core.model import open_model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.natural import natural_case, sites_looked_at
from subspace_illusion.experiments.planted import (
    KINDS,
    Dose,
    Plan,
    both_splits,
    cost,
    plant,
    sites_read,
)
from subspace_illusion.files import CALIBRATION, MODEL, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, progress, run, say
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.tasks.make import make_task


def main(params: Params, task: str) -> None:
    asked = params.calibrate
    if task not in asked.tasks:
        raise InputError(f"calibrate.tasks has no {task} for this model: add it to conf/calibrate, or leave it out")
    model, planted = open_model(MODEL), asked.tasks[task]
    kinds = dict(zip(KINDS, (planted.mlps, planted.random_mlps, planted.attention), strict=True))
    blocks = sorted({block for of_kind in kinds.values() for block in of_kind})
    natural = [Site.parse(name) for name in planted.natural]
    cases = dict(train=asked.train_cases, test=asked.test_cases)
    prompts, pairs = make_task(task, planted.path, model.tokenizer, cases, params.prompts.test_share, asked.seed)
    say(f"recording {len(prompts)} prompts of {task}, up to a minute")
    sites = [*sites_looked_at(natural), *sites_read(model, blocks)]
    train, test = both_splits(model, prompts, pairs, sites, training_kinds(params.das.same_value))
    plan = Plan(
        [*map(Dose, asked.doses), *(Dose(1.0, null) for null in asked.null_parts)],
        planted.seeds,
        asked.arbitrary,
        asked.off_route,
        dict(steps=asked.steps, batch=asked.batch, lr=params.das.lr, loss=params.das.loss),
        params.evaluate.batch,
        params.evaluate.resamples,
        params.decompose.rank_tolerance,
        asked.seed,
    )
    carriers = [block for of_kind in kinds.values() for block in of_kind]
    time = duration(sum(cost(test, block, plan) for block in carriers), model.device)
    say(f"planting the signal of {task} in {len(carriers)} components, {time}")
    found = [
        plant(train, test, block, [kind for kind, of_kind in kinds.items() if block in of_kind], plan)
        for block in progress(blocks, "block")
    ]
    write_table(CALIBRATION / f"planted_{task}.csv", pd.concat(found).assign(task=task))
    seen = [natural_case(train, test, site, plan) for site in progress(natural, "natural component")]
    write_table(CALIBRATION / f"natural_{task}.csv", pd.concat(seen).assign(task=task))


if __name__ == "__main__":
    run(main, __doc__)
