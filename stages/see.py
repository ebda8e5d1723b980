"""What is seen of every subspace: the estimate of its mediated share (E13), and how far its patch leaves the natural
distribution (E15)."""

from typing import Any

from subspace_illusion.core.activations import Activations
from subspace_illusion.core.sites import residual_after
from subspace_illusion.files import column, read_table, write_table
from subspace_illusion.measures.off_distribution import distances_of_component
from subspace_illusion.pipeline.layout import ACTIVATIONS, DECOMPOSITIONS, OUTCOMES, RESULTS, SEEN
from subspace_illusion.pipeline.sections import Components, See
from subspace_illusion.pipeline.stage import progress, run, say
from subspace_illusion.statistics import Bootstrap, table
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.subspace.pairs import kept_pairs
from subspace_illusion.subspace.stored import read_subspaces
from subspace_illusion.tasks.table import DIFFERENT, chosen
from subspace_illusion.verdict.seen import Seen, draws_table, see_component, seen_table


def main(components: Components, see: See, rank_tolerance: float, resamples: int, seed: int) -> None:
    cached = Activations(ACTIVATIONS)
    pairs = chosen(kept_pairs(ACTIVATIONS), "test", DIFFERENT).reset_index(drop=True)
    base, source = (column(pairs, end).tolist() for end in ("base", "source"))
    bootstrap = Bootstrap.of(pairs["group"].to_numpy(), resamples, seed)
    say(f"looking at the subspaces of {len(components)} components, a few seconds each")
    seen: dict[SubspaceKey, Seen] = {}
    left: list[dict[str, object]] = []
    for name, component in progress(list(components.items()), "component"):
        site, bases = component.at, read_subspaces(DECOMPOSITIONS / name)
        ranks = {key: basis.shape[1] for key, basis in bases.items()}
        found = see_component(read_table(OUTCOMES / f"{name}.parquet"), site, ranks, resamples=resamples, seed=seed)
        seen |= {key.at(name): one for key, one in found.items()}
        ends, next_input = ((cached.at(at, base), cached.at(at, source)) for at in (site, residual_after(site.block)))
        after = next_input if cached.hands_on_alone(name) else None
        looks: Any = dict(tolerance=rank_tolerance, halvings=see.halvings, seed=seed)
        left += distances_of_component(name, ends, after, bases, found, cached.readout(name), bootstrap, **looks)
    write_table(RESULTS / "seen.csv", seen_table(seen))
    write_table(SEEN, draws_table(seen))
    write_table(RESULTS / "off_distribution.csv", table(left))


if __name__ == "__main__":
    run(main, __doc__)
