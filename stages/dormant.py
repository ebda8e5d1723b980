"""What each component writes along v_true, clean and with a subspace of it patched (E7)."""

import pandas as pd

from subspace_illusion.core.activations import Activations
from subspace_illusion.experiments.dormant import applies, axes, nothing_measured, nothing_written, summary, written
from subspace_illusion.files import column, write_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, DORMANT, RESULTS
from subspace_illusion.pipeline.sections import Components, Dormant
from subspace_illusion.pipeline.stage import run, say
from subspace_illusion.statistics import table
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import SAME, chosen, goes_one_way, unrelated


def main(components: Components, v_true: str, dormant: Dormant, resamples: int, seed: int) -> None:
    cached, kept = Activations(ACTIVATIONS), kept_pairs(ACTIVATIONS)
    pairs = chosen(kept, "test", unrelated(kept), SAME)
    ends = [column(pairs, end).tolist() for end in ("base", "source")]
    sites = {name: component.at for name, component in components.items() if applies(component.at, pairs)}
    if goes_one_way(pairs):
        say("every pair goes one way, and this needs both: it is left out")
    say(f"what {len(sites)} components write along v_true in {len(pairs)} pairs, a few seconds")
    bases = {name: read_subspaces(DECOMPOSITIONS / name) for name in {*sites, v_true}}
    along = axes(bases[v_true])
    parts, rows = [nothing_written()], []
    for name, site in sites.items():
        base, source = (cached.at(site, prompts) for prompts in ends)
        part = written(pairs, base, source, bases[name], cached.readout(name), along)
        measured = summary(part, dormant.clean_range, resamples=resamples, seed=seed)
        rows += [dict(component=name, site=site.name) | row for row in measured]
        parts.append(part.assign(component=name))
    write_table(RESULTS / "dormant.csv", table(rows) if rows else nothing_measured())
    write_table(DORMANT, pd.concat(parts))


if __name__ == "__main__":
    run(main, __doc__)
