"""Follows the effect of one component's trained subspace to the answer, and asks what else it holds (E3).

The subspace is that of the first seed.
"""

import torch

from subspace_illusion.core.heads import score_gradient
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.names import probe_table
from subspace_illusion.experiments.paths import MOVERS, Paths, group_table, groups_of, head_table, patch_paths
from subspace_illusion.experiments.splits import DAS, GRADIENT, MEAN, SEEN, WHOLE, split_by_queries
from subspace_illusion.files import (
    DECOMPOSITIONS,
    MODEL,
    PROMPTS,
    RESULTS,
    read_subspaces,
    read_table,
    whole_folder,
    write_table,
)
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import summarise, table
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, TRAINED
from subspace_illusion.tasks.ioi import name_positions
from subspace_illusion.tasks.table import OPPOSITE


def main(params, component: str) -> None:
    model = open_model(MODEL)
    site, chosen = params.components[component].at, params.validation
    pairs = Pairs(model, "test", OPPOSITE, most=chosen.pairs)
    frames = read_subspaces(DECOMPOSITIONS / component / "subspaces.safetensors")
    frame = frames[TRAINED, str(params.das.seeds[0])]
    roles = read_table(RESULTS / "name_movers.csv", text=("head",)).set_index("head")["role"].to_dict()
    settings = dict(resamples=params.evaluate.resamples, seed=chosen.seed)
    groups = groups_of(roles, model, site.start)
    movers = groups[MOVERS]
    heads = (model.n_blocks - site.start) * model.n_heads
    flops = sum(model.flops(b, len(pairs) * model.n_heads) for b in range(site.start, model.n_blocks))
    say(
        f"following the patch at {site.name} through {heads} heads, {len(pairs)} pairs, {duration(flops, model.device)}"
    )

    bar = ticker(len(pairs), "pair")
    parts, change = [], pairs.along(site, frame)
    for rows in torch.arange(len(pairs)).split(chosen.batch):
        tails = (pairs.cached.tail(site.start, model.n_blocks, p[rows.numpy()]) for p in (pairs.bases, pairs.sources))
        parts.append(patch_paths(model, site, change(rows), *tails, pairs.io[rows], pairs.s[rows], groups))
        bar.update(len(rows))
    paths = Paths.joined(parts)

    prompts = read_table(PROMPTS).set_index("prompt", drop=False)
    test = prompts[prompts["split"] == "test"]
    x = pairs.cached.at(site, test["prompt"].tolist())
    settings_of_probe = dict(folds=chosen.folds, permutations=chosen.permutations, seed=chosen.seed)

    with whole_folder(RESULTS / "validation" / component) as folder:
        write_table(folder / "heads.csv", head_table(paths, roles, pairs.ld_clean, **settings))
        write_table(folder / "paths.csv", group_table(paths, groups, pairs.ld_clean, **settings))
        write_table(folder / "probe.csv", probe_table(x, frame, test, **settings_of_probe))
        if site.in_residual and movers:
            train = Pairs(model, "train", OPPOSITE, most=chosen.pairs)
            positions = name_positions(prompts.loc[train.bases])
            gradient = score_gradient(model, site, train.tail(site)(torch.arange(len(train))), movers, *positions)
            ways = {DAS: frame, GRADIENT: gradient, MEAN: frames[MEAN_DIFFERENCE, ""]}
            parts = split_by_queries(model, ways, movers, params.decompose.rank_tolerance)
            changes = {key: pairs.along(site, part.frame) for key, part in parts.items()}
            bar = ticker(len(changes) * len(pairs), "pair")
            outcomes = pairs.patch(site, changes, params.evaluate.batch, bar.update)
            rows = []
            for (way, part), found in parts.items():
                about = dict(subspace=way, part=part, norm=found.norm, chance_norm=found.chance_norm, pairs=len(pairs))
                under = dict(row_share=outcomes[way, SEEN].ld) if (way, SEEN) in outcomes and part == WHOLE else {}
                rows.append(about | summarise(outcomes[way, part], pairs.ld_clean, under=under, **settings))
            write_table(folder / "splits.csv", table(rows))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "das", "decompose", "evaluate", "validation"), per_component=True)
