"""Patches every component along every subspace on held-out pairs: effects (E3, E4, E6) and the dormant pathway (E7)."""

from itertools import groupby

import pandas as pd

from subspace_illusion.core.frames import main_axis, random_frame
from subspace_illusion.core.model import open_model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import residual_after
from subspace_illusion.experiments.dormant import waking, written_along
from subspace_illusion.files import (
    DECOMPOSITIONS,
    MODEL,
    OUTCOMES,
    RESULTS,
    WRITTEN,
    read_subspaces,
    whole_folder,
    write_table,
)
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import POOLED, summarise, table
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.subspace.ways import MEAN_DIFFERENCE, MEAN_ROW, RANDOM, ROW, TRAINED, WHOLE
from subspace_illusion.tasks.table import OPPOSITE, OPPOSITE_UNRELATED, SAME_UNRELATED

ROW_PARTS = {TRAINED: ROW, MEAN_DIFFERENCE: MEAN_ROW}


def main(params) -> None:
    model = open_model(MODEL)
    pairs = Pairs(model, "test", OPPOSITE)
    sites = {name: component.at for name, component in params.components.items()}
    frames = {name: dict(read_subspaces(DECOMPOSITIONS / name / "subspaces.safetensors")) for name in sites}
    settings = dict(resamples=params.evaluate.resamples, seed=params.evaluate.seed)

    residuals = sorted({residual_after(site.block) for site in sites.values()})
    patches = len(residuals) + sum(len(of_component) + 2 for of_component in frames.values())
    flops = sum(model.flops(site.start, len(pairs) * (3 + len(frames[name]))) for name, site in sites.items())
    say(f"patching {patches} subspaces on {len(pairs)} held-out pairs, {duration(flops, model.device)}")
    bar = ticker(patches * len(pairs), "pair")

    ld_residual = {}
    for site in residuals:
        outcome = pairs.patch(site, {WHOLE: pairs.along(site, None)}, params.evaluate.batch, bar.update)[WHOLE]
        ld_residual[site.block] = outcome.ld
    rows, ld_by_pair = [], {}
    for name, site in sites.items():
        width = frames[name][MEAN_DIFFERENCE, ""].shape[0]
        random = random_frame(width, params.components[name].rank, params.evaluate.seed, "random", name)
        tried = {**frames[name], (RANDOM, ""): random, (WHOLE, ""): None}
        changes = {key: pairs.along(site, frame) for key, frame in tried.items()}
        outcomes = pairs.patch(site, changes, params.evaluate.batch, bar.update)
        for way, keys in groupby(sorted(outcomes), key=lambda key: key[0]):
            outcomes[way, POOLED] = Outcome.pooled([outcomes[key] for key in keys])
        for (way, seed), outcome in sorted(outcomes.items()):
            if not seed:  # the pooled row says the same of what no seed trained
                continue
            row_part = outcomes.get((ROW_PARTS.get(way, ""), seed))
            over, under = dict(share_of_residual=ld_residual[site.block]), dict(whole_share=outcomes[WHOLE, POOLED].ld)
            if row_part is not None:
                over, under = over | dict(effect_over_row_part=row_part.ld), under | dict(row_share=row_part.ld)
            about = dict(component=name, site=site.name, subspace=way, seed=seed, pairs=len(pairs))
            rows.append(about | summarise(outcome, pairs.ld_clean, over=over, under=under, **settings))
        # What other experiments measure themselves against, pair for pair.
        ld_by_pair[name] = dict(trained=outcomes[TRAINED, POOLED].ld.mean(0), residual=ld_residual[site.block][0])
    write_table(RESULTS / "effects.csv", table(rows))
    with whole_folder(OUTCOMES) as folder:
        for name, by_pair in ld_by_pair.items():
            write_table(folder / f"{name}.parquet", pd.DataFrame(by_pair))

    unrelated = Pairs(model, "test", OPPOSITE_UNRELATED, SAME_UNRELATED)
    v_true = frames[params.roles.v_true]
    axes = {seed: main_axis(v, v_true[MEAN_DIFFERENCE, ""]) for (way, seed), v in v_true.items() if way == TRAINED}
    parts, rows = [], []
    for name, site in sites.items():
        if not site.writes_residual:
            continue
        base, source, readout = unrelated.base(site), unrelated.source(site), pairs.cached.readout(name)
        for way in ROW_PARTS:
            of_way = []
            for seed, axis in axes.items():
                frame = frames[name][way, seed if way == TRAINED else ""]
                clean, patched = written_along(base, source, frame, readout, axis)
                about = unrelated.table[["pair", "base_pattern", "source_pattern"]]
                of_way.append(about.assign(seed=seed, clean=clean, patched=patched))
            written = pd.concat(of_way)
            figures = waking(written, params.evaluate.clean_range, **settings)
            rows.append(dict(component=name, site=site.name, subspace=way, pairs=len(unrelated)) | figures)
            parts.append(written.assign(component=name, subspace=way))
    write_table(RESULTS / "dormant.csv", table(rows))
    write_table(WRITTEN, pd.concat(parts))


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "roles", "evaluate"))
