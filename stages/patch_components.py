"""Patches every component of every block, whole, on held-out pairs, and finds what writes and what reads (E2)."""

from collections import defaultdict

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.model import open_model
from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.experiments.localise import RULE, block_sites, find_window, patch_components
from subspace_illusion.files import (
    ACTIVATIONS,
    MODEL,
    PAIRS,
    PROMPTS,
    RESULTS,
    column,
    read_table,
    write_json,
    write_table,
)
from subspace_illusion.pipeline.stage import duration, run, say, ticker
from subspace_illusion.statistics import summarise, table
from subspace_illusion.tasks.table import OPPOSITE, chosen


def main(params) -> None:
    model = open_model(MODEL)
    prompts = read_table(PROMPTS).set_index("prompt")
    pairs = chosen(read_table(PAIRS), "test", OPPOSITE)[: params.localise.pairs]
    pairs = pairs.assign(template=prompts["template"].loc[pairs["base"]].to_numpy()).sort_values("template")
    sites = {site: kind for block in range(model.n_blocks) for site, kind in block_sites(block, model.n_heads).items()}
    flops = sum(model.flops(site.start, len(pairs)) for site in sites)
    say(f"patching {len(sites)} components whole on {len(pairs)} held-out pairs, {duration(flops, model.device)}")
    bar = ticker(len(pairs), "pair")
    parts: dict[Site, list[Outcome]] = defaultdict(list)
    for _, group in pairs.groupby("template"):  # one template, one length
        for start in range(0, len(group), params.localise.batch):
            batch = group.iloc[start : start + params.localise.batch]
            tokens = [column(prompts.loc[batch[side]], "tokens") for side in ("base", "source")]
            outcomes = patch_components(model, *tokens, column(batch, "io_id"), column(batch, "s_id"))
            for site, outcome in outcomes.items():
                parts[site].append(outcome)
            bar.update(len(batch))
    outcomes = {site: Outcome.joined(listed) for site, listed in parts.items()}
    ld_clean = Activations(ACTIVATIONS).index["ld"].loc[pairs["base"]].to_numpy(dtype=float)
    rows = []
    for site, kind in sites.items():
        over = dict(share_of_residual=outcomes[residual_after(site.block)].ld)
        about = dict(site=site.name, kind=kind, block=site.block, head=site.head, pairs=len(pairs))
        measured = summarise(
            outcomes[site], ld_clean, over=over, resamples=params.localise.resamples, seed=params.localise.seed
        )
        rows.append(about | measured)
    summary = table(rows).astype({"head": "Int64"})
    window = find_window(summary.loc[summary["kind"] == "residual stream", "effect"].tolist(), model.parallel_blocks)
    write_table(RESULTS / "localisation.csv", summary)
    # For dvc plots: one line a kind of component.
    layers = summary[summary["kind"] != "head"].pivot(index="block", columns="kind", values="effect")
    write_table(RESULTS / "layers.csv", layers.reset_index())
    write_json(RESULTS / "window.json", dict(rule=RULE, **vars(window)))
    say(f"block {window.writes} writes, block {window.reads} reads, between them the MLPs of blocks {window.mlps}")


if __name__ == "__main__":
    run(main, __doc__, reads=("localise",))
