"""Finds the heads that read the position signal, by their direct attribution on clean training prompts (E3)."""

import torch

from subspace_illusion.core.attribution import answer_directions, attribute_heads
from subspace_illusion.core.model import open_model
from subspace_illusion.experiments.paths import clean_run, heads_from, name_of
from subspace_illusion.experiments.readers import BACKUP, NAME_MOVER, OTHER, ROLES, Rule
from subspace_illusion.files import MODEL, RESULTS, write_json, write_table
from subspace_illusion.pipeline.stage import duration, run, say
from subspace_illusion.statistics import table
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import OPPOSITE


def main(params) -> None:
    model = open_model(MODEL)
    pairs = Pairs(model, "train", OPPOSITE)
    start = min(component.at.start for component in params.components.values())
    heads = heads_from(model, start)
    time = duration(model.flops(start, len(pairs)), model.device)
    say(f"attributing LD to {len(heads)} heads on {len(pairs)} clean training prompts, {time}")
    clean = clean_run(model, pairs.cached.tail(start, model.n_blocks, pairs.bases), start)
    u = answer_directions(model, clean, pairs.io, pairs.s)
    shares = attribute_heads(model, clean, start, u).flatten(1).mean(0)
    ld_clean = float(torch.as_tensor(pairs.ld_clean).mean())
    rule = Rule(params.name_movers.share, params.name_movers.backup_share)
    rows = []
    for head, share in zip(heads, shares.tolist(), strict=True):
        rows.append(dict(head=name_of(head), attribution=share, role=rule.role(share, ld_clean)))
    found = table(rows).sort_values("attribution", ascending=False)
    write_table(RESULTS / "name_movers.csv", found)
    lists = {role: found.loc[found["role"] == role, "head"].tolist() for role in ROLES if role != OTHER}
    published = {role: params.name_movers.published.get(role) for role in (NAME_MOVER, BACKUP)}
    summary = dict(rule=str(rule), ld_clean=round(ld_clean, 6), found=lists, published=published)
    write_json(RESULTS / "name_movers.json", summary)
    for role, listed in lists.items():
        say(f"{role}s: {', '.join(listed) or 'none'}")


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "name_movers"))
