"""Patches every component along every subspace on held-out pairs (E3, E4, E6) and tabulates the effects."""

from itertools import groupby

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
from subspace_illusion.evaluation import patch_outcomes
from subspace_illusion.measures import POOLED, Outcome, summarise, table
from subspace_illusion.models import open_model
from subspace_illusion.prompts import OPPOSITE, chosen
from subspace_illusion.sites import Site, residual_after
from subspace_illusion.subspaces import random_frame


def main(params) -> None:
    model = open_model(MODEL)
    cached = Activations(ACTIVATIONS)
    pairs = chosen(read_table(PAIRS), "test", OPPOSITE)
    bases, sources = pairs["base"].to_numpy(), pairs["source"].to_numpy()
    ld_clean = cached.index["ld"].loc[bases].to_numpy(dtype=float)

    frames: dict[str, dict[tuple[str, str], torch.Tensor | None]] = {}
    for name, component in params.components.items():
        stored = read_tensors(DECOMPOSITIONS / name / "subspaces.safetensors")
        frames[name] = {tuple(key.split(":")): frame for key, frame in stored.items()}
        width = frames[name][MEAN_DIFFERENCE, ""].shape[0]
        frames[name][RANDOM, ""] = random_frame(width, component.rank, params.evaluate.seed, "random", name)
        frames[name][WHOLE, ""] = None

    sites = {name: component.at for name, component in params.components.items()}
    residuals = {residual_after(site.block) for site in sites.values()}
    patches = len(residuals) + sum(len(of_component) for of_component in frames.values())
    flops = sum(model.flops(site.start, len(pairs) * (1 + len(frames[name]))) for name, site in sites.items())
    say(f"patching {patches} subspaces on {len(pairs)} held-out pairs, {duration(flops, model.device)}")
    bar = ticker(patches * len(pairs), "pair")

    def patch(site: Site, of_site: dict) -> dict:
        return patch_outcomes(
            model,
            site,
            cached.at(site, bases),
            cached.at(site, sources),
            of_site,
            lambda rows: cached.tail(site.start, model.n_blocks, bases[rows.numpy()]),
            column(pairs, "io_id"),
            column(pairs, "s_id"),
            batch=params.evaluate.batch,
            on_patch=bar.update,
        )

    ld_residual = {site.block: patch(site, {"": None})[""].ld[0] for site in sorted(residuals)}
    rows = []
    for name, site in sites.items():
        outcomes = patch(site, frames[name])
        for way, keys in groupby(sorted(outcomes), key=lambda key: key[0]):
            outcomes[way, POOLED] = Outcome.pooled([outcomes[key] for key in keys])
        for (way, seed), outcome in sorted(outcomes.items()):
            if not seed:  # the pooled row says the same of what no seed trained
                continue
            measured = summarise(
                outcome,
                ld_clean,
                ld_residual[site.block],
                outcomes.get((ROW, seed)) if way == TRAINED else None,
                resamples=params.evaluate.resamples,
                seed=params.evaluate.seed,
            )
            about = dict(component=name, site=site.name, subspace=way, seed=seed, pairs=len(pairs))
            rows.append(about | measured)
    write_table(RESULTS / "effects.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "evaluate"))
