"""Trains subspaces of random MLPs in the place of a real one, and patches them beside it (E8)."""

from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.random_mlp import check_is_mlp, random_mlp, train_random_mlps
from subspace_illusion.files import MODEL, OUTCOMES, RESULTS, read_table, write_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.subspace.das import training_kinds
from subspace_illusion.subspace.pairs import cached_pairs
from subspace_illusion.tasks.table import DIFFERENT


def main(params: Params, component: str) -> None:
    site, draws = params.components[component].at, params.random_mlp.draws
    check_is_mlp(component, site)
    model = open_model(MODEL)
    train = cached_pairs(model, "train", *training_kinds(params.das.same_value))
    test = cached_pairs(model, "test", DIFFERENT)
    flops = params.das.steps * model.flops(site.block, params.das.batch * draws, train.tokens, backward=True)
    time = duration(flops, model.device)
    say(f"training subspaces of {draws} random MLPs in the place of that of block {site.block}, {time}")
    stand = train_random_mlps(
        component,
        site,
        train,
        rank=params.components[component].rank,
        draws=draws,
        seed=params.random_mlp.seed,
        settings=params.das.settings,
        on_step=training_bar(params.das.steps),
    )
    measured = random_mlp(
        component,
        stand,
        test,
        read_table(OUTCOMES / f"{component}.parquet"),
        seed=params.random_mlp.seed,
        resamples=params.evaluate.resamples,
        batch=params.evaluate.batch,
        on_patch=ticker(draws * len(test), "pair").update,
    )
    write_table(RESULTS / "random_mlp" / f"{component}.csv", measured)


if __name__ == "__main__":
    run(main, __doc__)
