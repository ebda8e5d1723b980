"""Trains subspaces of random MLPs in the place of a real one, and patches them beside it (E8)."""

import torch

from subspace_illusion.core.frames import patch_change
from subspace_illusion.core.model import open_model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import mlp_input, mlp_output
from subspace_illusion.experiments.random_mlp import draw_random_mlp
from subspace_illusion.files import MODEL, OUTCOMES, RESULTS, read_table, write_table
from subspace_illusion.pipeline.stage import duration, run, say, ticker, training_bar
from subspace_illusion.statistics import POOLED, summarise, table
from subspace_illusion.subspace.das import Examples, train_das
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import OPPOSITE, SAME_UNRELATED


def main(params, component: str) -> None:
    chosen, das = params.random_mlp, params.das
    site, rank = params.components[component].at, params.components[component].rank
    reads, writes = mlp_input(site.block), mlp_output(site.block)
    model = open_model(MODEL)
    train, test = Pairs(model, "train", OPPOSITE, SAME_UNRELATED), Pairs(model, "test", OPPOSITE)
    flops = das.steps * model.flops(site.block, das.batch * chosen.draws, backward=True)
    time = duration(flops, model.device)
    say(f"training subspaces of {chosen.draws} random MLPs in the place of that of block {site.block}, {time}")

    mlp = model.bridge.blocks[site.block].mlp
    draws = list(range(chosen.draws))
    mlps = [draw_random_mlp(mlp, train.base(reads), chosen.seed, component, draw) for draw in draws]
    readouts = torch.stack([of_draw.readout for of_draw in mlps])
    ends = train.examples(reads)
    base, source = (torch.stack([of_draw.hidden(x) for of_draw in mlps]) for x in (ends.base, ends.source))
    trained = train_das(
        model,
        writes,
        Examples(base, source, ends.target_id, ends.other_id, ends.tail),
        rank=rank,
        **das.model_dump() | dict(seeds=[chosen.seed + draw for draw in draws]),
        readout=readouts,
        on_step=training_bar(das.steps),
    )

    def beside(draw: int):
        """What patching the random MLP changes in its output, to be added to the real one's."""
        hidden = [mlps[draw].hidden(x) for x in (test.base(reads), test.source(reads))]
        return lambda rows: patch_change(*(x[rows] for x in hidden), trained.frames[draw]) @ readouts[draw]

    bar = ticker(len(draws) * len(test), "pair")
    outcomes = test.patch(writes, {draw: beside(draw) for draw in draws}, params.evaluate.batch, bar.update)
    known = read_table(OUTCOMES / f"{component}.parquet")
    over = dict(share_of_real=known["trained"].to_numpy(), share_of_residual=known["residual"].to_numpy())
    rows = []
    for draw, outcome in {**outcomes, POOLED: Outcome.pooled([outcomes[draw] for draw in draws])}.items():
        settings = dict(resamples=params.evaluate.resamples, seed=chosen.seed)
        measured = summarise(outcome, test.ld_clean, over=over, **settings)
        rows.append(dict(component=component, draw=draw, pairs=len(test)) | measured)
    write_table(RESULTS / "random_mlp" / f"{component}.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das", "evaluate", "random_mlp"), per_component=True)
