"""Patches every component along every subspace on held-out pairs (E3, E4, E6) and tabulates the effects."""

import torch

from common.activations import Activations
from common.files import (
    ACTIVATIONS,
    DECOMPOSITIONS,
    MODEL,
    PAIRS,
    RESULTS,
    column,
    read_table,
    read_tensors,
    write_table,
)
from common.stage import duration, run, say, ticker
from subspace_illusion.decomposition import MEAN_DIFFERENCE, RANDOM, ROW, TRAINED, WHOLE
from subspace_illusion.evaluation import patch_outcome
from subspace_illusion.measures import Outcome, summarise, table
from subspace_illusion.models import open_model
from subspace_illusion.prompts import OPPOSITE, chosen
from subspace_illusion.sites import Site, residual_after
from subspace_illusion.subspaces import random_frame

POOLED = "pooled"


def main(params) -> None:
    model = open_model(MODEL)
    cached = Activations(ACTIVATIONS)
    pairs = chosen(read_table(PAIRS), "test", OPPOSITE)
    bases, sources = pairs["base"].to_numpy(), pairs["source"].to_numpy()
    io, s = column(pairs, "io_id"), column(pairs, "s_id")
    ld_clean = cached.index["ld"].loc[bases].to_numpy(dtype=float)

    def patch(site: Site, frame: torch.Tensor | None) -> Outcome:
        def tail(rows: torch.Tensor):
            return cached.tail(site.start, model.n_blocks, bases[rows.numpy()])

        base, source = cached.at(site, bases), cached.at(site, sources)
        return patch_outcome(model, site, base, source, frame, tail, io, s, params.evaluate.batch)

    subspaces = {name: read_tensors(DECOMPOSITIONS / name / "subspaces.safetensors") for name in params.components}
    flops = sum(
        model.flops(component.at.start, len(pairs) * (len(subspaces[name]) + 2))
        for name, component in params.components.items()
    )
    patches = sum(len(by_way) + 2 for by_way in subspaces.values())
    say(f"patching {patches} subspaces on {len(pairs)} held-out pairs, {duration(flops, model.device)}")
    bar = ticker(patches, "subspace")
    residual: dict[int, Outcome] = {}
    rows = []
    for name, component in params.components.items():
        site = component.at
        if site.block not in residual:
            residual[site.block] = patch(residual_after(site.block), None)
        ways: dict[str, dict[str, torch.Tensor | None]] = {}
        for key, frame in subspaces[name].items():
            way, seed = key.split(":")
            ways.setdefault(way, {})[seed] = frame
        width = subspaces[name][f"{MEAN_DIFFERENCE}:"].shape[0]
        ways[RANDOM] = {"": random_frame(width, component.rank, params.evaluate.seed, "random", name)}
        ways[WHOLE] = {"": None}
        outcomes: dict[str, dict[str, Outcome]] = {}
        for way, by_seed in ways.items():
            outcomes[way] = {}
            for seed, frame in by_seed.items():
                outcomes[way][seed] = patch(site, frame)
                bar.update()
            outcomes[way][POOLED] = Outcome.pooled(list(outcomes[way].values()))
        for way, by_seed in ways.items():
            frame = next(iter(by_seed.values()))
            rank = width if frame is None else frame.shape[1]
            about = dict(component=name, site=site.name, subspace=way, rank=rank, pairs=len(pairs))
            for seed in [*(seed for seed in by_seed if seed), POOLED]:
                measured = summarise(
                    outcomes[way][seed],
                    ld_clean,
                    residual[site.block].ld[0],
                    outcomes[ROW][seed] if way == TRAINED and ROW in outcomes else None,
                    resamples=params.evaluate.resamples,
                    seed=params.evaluate.seed,
                )
                rows.append(about | dict(seed=seed) | measured)
    write_table(RESULTS / "effects.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "evaluate"))
