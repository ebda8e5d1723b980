"""E8: random MLPs in the place of the real one."""

from collections.abc import Iterator

from subspace_illusion.report.plots.random_mlp import random_mlp_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import with_ends
from subspace_illusion.statistics import LEAST_DRAWS, Estimate
from subspace_illusion.subspace.keys import POOLED, TRAINED, SubspaceKey

HALF = 0.5
"""From this share of the real one's effect on, the MLP's place is said to do."""

_MEASURES = dict(
    effect="effect (LD lost)", share_of_real="over the real one's", share_of_residual="over the whole residual patch's"
)


def section(results: Results) -> Iterator[Section]:
    """One section an MLP that random ones stood in for."""
    for name in results.ran("random_mlp"):
        rows = results.table(f"random_mlp/{name}.csv", text=("draw",))
        (pooled,) = rows[rows["draw"] == POOLED].to_dict("records")
        share = Estimate.of(pooled, "share_of_real")
        named = rows.assign(draw=rows["draw"].replace(POOLED, "mean of the draws"))
        yield Section(
            f"E8  Random MLPs in the place of {name}",
            "Does it take what this MLP has learnt, or only its place in the model?",
            _answer(share),
            "Weights and biases are drawn with the real ones' spread, the output has the real one's mean norm, and "
            "what the patch changes in the random MLP's output is added to the real one's. Intervals of single MLPs "
            f"are over groups; that of the mean is over MLPs too, if there are {LEAST_DRAWS}.",
            [
                Picture(
                    f"random_mlp__{name}",
                    "Effect of the subspace of each random MLP beside the real one's",
                    random_mlp_figure(rows, results.effects[SubspaceKey(TRAINED, component=name)], name),
                )
            ],
            [Grid.of(named, dict(draw="random MLP") | _MEASURES, _MEASURES)],
        )


def _answer(share: Estimate | None) -> str:
    """What random MLPs reach of the real one's effect."""
    if share is None:
        return "No effect can be told."
    if share.value > HALF:
        return f"Its place will do: on average random MLPs reach {with_ends(share)} of the real one's effect."
    return f"Random MLPs reach {with_ends(share)} of the real one's effect on average."
