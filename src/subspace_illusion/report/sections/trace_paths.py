"""E3 b: through which heads the effect of a patch reaches the answer."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.trace_paths import READERS
from subspace_illusion.measures.find_readers import OTHER
from subspace_illusion.report.findings.readers import kept_attributions
from subspace_illusion.report.plots.trace_paths import trace_paths_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import POOLED
from subspace_illusion.tasks.table import IOI

LARGE = 0.05
"""From this share of the patch's effect on, a head's effect alone is listed whatever the head is."""
_SHARE = "share_of_patch"
_COLUMNS = dict(
    head="head", reader="class", role="role", attribution_clean="attribution, clean",
    attribution_patched="attribution, patched", distance_left="distance left", moved="way gone",
    effect="effect of the head alone", share_of_patch="share of the patch's effect",
)  # fmt: skip
_MEASURED = ("attribution_clean", "attribution_patched", "distance_left", "moved", "effect", _SHARE)


def section(results: Results) -> Iterator[Section]:
    """Every component: what groups of heads carry of the patch, and single heads."""
    for name in results.ran("trace_paths"):
        groups = results.table(f"trace_paths/{name}/groups.csv", text=("seed",))
        heads = results.table(f"trace_paths/{name}/heads.csv", text=("head", "seed"))
        yield Section(
            f"E3  Through which heads the patch at {name} travels",
            "How much of the effect reaches the answer through the heads that read the variable?",
            _carried(groups),
            "Path patching: the component is patched along its trained subspace, and only some heads' outputs at END "
            "are put into a run without that patch. What comes after them is free to react. Groups of heads: all "
            f"training seeds pooled. Single heads: seed {heads['seed'].iloc[0]}, the first. A head's attribution is "
            "what it adds directly to LD. Distance left compares it with what the source's value calls for. "
            "That is the head's attribution in the source's own run, with the sign turned where the source has the "
            "base's answer, as in IOI. It is the mean distance of the patched attribution from that, over the mean "
            "distance of the clean one: 0 where the head writes just that, 1 where it has not moved or gone as far "
            "beyond. Way gone is "
            "the mean change over the mean change to there, with its sign. "
            f"The groups overlap, and so do their shares. {_kept(heads, results.task)}",
            [
                Picture(
                    f"trace_paths__{name}",
                    f"{name} patched: direct attribution of heads to the logit difference without and with the patch, "
                    "the effect of each head alone, and the share of the patch's effect that groups of heads carry",
                    trace_paths_figure(groups, heads, name),
                )
            ],
            [_groups(groups), Grid.of(_matter(heads), _COLUMNS, _MEASURED)],
        )


def _carried(groups: pd.DataFrame) -> str:
    """What share of the patch the readers carry, and the other groups."""
    pooled = groups[groups["seed"] == POOLED].set_index("group")
    if not pooled.loc[READERS, "heads"]:
        return "There are no readers here."
    shares = {str(group): Estimate.of(row, _SHARE) for group, row in pooled.to_dict("index").items()}
    said = [
        f"the {pooled.loc[group, 'heads']} {group} carry" if group == READERS else f"{group}"
        for group, share in shares.items()
        if share is not None and pooled.loc[group, "heads"]
    ]
    figures = [with_ends(share) for group, share in shares.items() if share is not None and pooled.loc[group, "heads"]]
    if not said:
        return "The patch has no effect to be shared out."
    sentence = "; ".join(f"{who} {figure}" for who, figure in zip(said, figures, strict=True))
    return f"Of the patch's effect {sentence}."


def _kept(heads: pd.DataFrame, task: str) -> str:
    """How many of the readers' attributions stay close to the clean ones, which the post says of IOI."""
    kept = kept_attributions(heads)
    if kept.empty:
        return ""
    readers, same, turned = len(kept), kept.sum(), kept_attributions(heads, -1).sum()
    verb = "bears" if same == readers else "in part bears" if same else "does not bear"
    posts = (
        "The post says that the effect arises through the name movers with attribution scores close to those observed "
        f"without the intervention. For the readers this table {verb} that out, taken as it stands: under"
    )
    return (
        f"{posts if task == IOI else 'Under'} the patch {same} of {readers} readers keep their mean attribution "
        "within a quarter of its clean size. With the sign turned, which is where a head that follows the source's "
        f"value would go, {turned} of {readers} lie that close to it."
    )


def _groups(groups: pd.DataFrame) -> Grid:
    """The share of the patch that every group carries, and the effect; single seeds beside."""
    rows = []
    for row in groups[groups["seed"] == POOLED].to_dict("records"):
        single = groups.loc[(groups["seed"] != POOLED) & (groups["group"] == row["group"]), _SHARE].dropna()
        measures = (Estimate.of(row, measure) for measure in ("effect", _SHARE))
        figures = [with_ends(estimate) for estimate in measures]
        each = ", ".join(with_ends(Estimate(x)) for x in single)
        rows.append([row["group"], str(row["heads"] or ""), *figures, each])
    header = ["taken from the patched run", "heads", "effect (LD lost)", "share of the patch's effect"]
    return Grid([*header, "of the single seeds"], rows)


def _matter(heads: pd.DataFrame) -> pd.DataFrame:
    """The heads that have a class or a role, and those whose effect alone is large."""
    named = (heads["reader"] != OTHER) | (heads["role"] != OTHER)
    chosen = heads[named | (heads[_SHARE].abs() >= LARGE)]
    return chosen.sort_values("effect", key=abs, ascending=False)
