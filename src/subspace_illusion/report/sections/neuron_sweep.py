"""E11: fewer neurons."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.plots.neuron_sweep import neuron_sweep_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section


def section(results: Results) -> Iterator[Section]:
    """One section a component whose neurons were left out."""
    for name in results.ran("neuron_sweep"):
        swept, fit = results.table(f"neuron_sweep/{name}.csv"), results.json(f"neuron_sweep/{name}.json")
        draws = swept["draw"].nunique()
        by_size = [
            dict(
                neurons=str(neurons),
                mean=float(of_size.mean()),
                each=", ".join(f"{share:.2f}" for share in of_size),
            )
            for neurons, of_size in swept.groupby("neurons")["share_of_residual"]
        ]
        yield Section(
            f"E11  Fewer neurons of {name}",
            "Does the effect need the component's many dimensions?",
            f"DAS restricted to random sets of neurons, {draws} of each size, nested within a draw; the effect as a "
            "share of the whole residual patch's. The post found a straight line; here the least-squares line through "
            f"the {fit['points']:.0f} single values has an R2 of {fit['r2']:.2f} and a slope of "
            f"{100 * fit['slope_per_neuron']:.4f} for a hundred neurons.",
            [
                Picture(
                    f"neuron_sweep__{name}",
                    "Effect of subspaces of some of the neurons against their number",
                    neuron_sweep_figure(swept, fit, name),
                )
            ],
            [Grid.of(pd.DataFrame(by_size), dict(neurons="neurons", mean="mean share", each="single draws"))],
        )
