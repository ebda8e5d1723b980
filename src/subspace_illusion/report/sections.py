"""The report's contents: one section an experiment, every number taken from the result tables."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from subspace_illusion.report.findings import Finding, Tables
from subspace_illusion.report.verdict import CRITERIA, FAITHFUL, ILLUSORY, INCONCLUSIVE, Verdict
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.ways import MEAN_ROW, TRAINED, WAYS


@dataclass(frozen=True)
class Grid:
    """A table of text."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, table: pd.DataFrame, columns: Mapping[str, str], measures: Collection[str] = ()) -> "Grid":
        """Columns of a data frame, by their name in the frame, under headings in words; measures with intervals."""

        def cell(row: Mapping[str, Any], name: str) -> str:
            if name not in measures:
                return _cell(row[name])
            estimate = Estimate.of(row, name)
            return "" if estimate is None else with_ends(estimate)

        rows = [[cell(row, name) for name in columns] for row in table.to_dict("records")]
        return cls(list(columns.values()), rows)


@dataclass(frozen=True)
class Section:
    """One experiment.

    Attributes:
        title: Its name.
        asks: One sentence on what it tests.
        reading: How to read it.
        pictures: File names and what each shows.
        grids: Tables.
    """

    title: str
    asks: str
    reading: str
    pictures: Mapping[str, str] = field(default_factory=dict)
    grids: Sequence[Grid] = ()


def with_ends(estimate: Estimate) -> str:
    """A figure and its interval."""
    value, low, high = (round(end, 2) + 0.0 for end in (estimate.value, estimate.low, estimate.high))  # no minus zero
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{round(value, 3) + 0.0:.3f}"
    if isinstance(value, list):
        return "(" + ", ".join(f"{x:g}" for x in value) + ")"
    return str(value)


def answer(
    found: Sequence[Finding], verdicts: Mapping[tuple[str, str], Verdict], model: str, v_true: str, v_mlp: str
) -> str:
    """The answer in one paragraph, written from the figures.

    Args:
        found: The findings.
        verdicts: By component and subspace.
        model: Name of the model.
        v_true: The component of v_true.
        v_mlp: The component of v_mlp.
    """
    by_key = {finding.key: finding.estimate for finding in found}

    def of(key: str) -> str:
        return f"{by_key[key].value:.2f}"

    whole = by_key["v_mlp.full_patch.effect"]
    if whole.high <= 0:
        does = "does no damage"
    else:
        does = "does damage too" if whole.low > 0 else "does nothing that can be told from zero"
    sentences = [
        f"On {model}, patching one direction of the residual stream ({v_true}, v_true) flips "
        f"{of('v_true.flip_rate')} of the held-out predictions, and patching one direction of the hidden activations "
        f"of an MLP ({v_mlp}, v_mlp) takes {of('v_mlp.effect')} off a logit difference of {of('clean.logit_diff')}.",
        f"Patching that whole MLP {does} (effect {of('v_mlp.full_patch.effect')}), and without the part of v_mlp that "
        f"its output matrix maps to zero the effect is {of('v_mlp.row_only.effect')}; that part alone has an effect of "
        f"{by_key['v_mlp.null_only.effect'].value + 0.0:.2f}.",
    ]
    if "dormant.outside" in by_key:
        sentences.append(
            f"Patched from the opposite position, {of('dormant.outside')} of the MLP's outputs along v_true lie "
            "outside the range that they have without a patch."
        )
    if "random_mlp.share_of_real" in by_key:
        sentences.append(
            f"MLPs with random weights in its place reach {of('random_mlp.share_of_real')} of v_mlp's effect."
        )
    sentences.append(
        f"By the thresholds in the parameters, v_true is {verdicts[v_true, TRAINED].verdict} and v_mlp is "
        f"{verdicts[v_mlp, TRAINED].verdict}."
    )
    return " ".join(sentences)


def verdict_grid(verdicts: Mapping[tuple[str, str], Verdict]) -> Grid:
    """One row a component and subspace: the verdict, and why."""
    rows = [[*which, verdict.verdict, verdict.reason] for which, verdict in verdicts.items()]
    return Grid(["component", "subspace", "verdict", "why"], rows)


def evidence_grid(verdicts: Mapping[tuple[str, str], Verdict]) -> Grid:
    """The evidence, one line a criterion that applies."""
    rows = [
        [*which, found.criterion.words, with_ends(found.figure), found.says]
        for which, verdict in verdicts.items()
        for found in verdict.evidence
        if found.figure is not None
    ]
    return Grid(["component", "subspace", "criterion", "figure", "it says"], rows)


def rules(verdicts: Mapping[tuple[str, str], Verdict], smallest_effect: float) -> str:
    """The rule of the verdict with its thresholds, in words."""
    evidence = next(iter(verdicts.values())).evidence
    lines = []
    for found in evidence:
        large = found.criterion.large_is_faithful
        sides = []
        if found.thresholds.faithful is not None:
            sides.append(f"{FAITHFUL} {'from' if large else 'up to'} {found.thresholds.faithful:g}")
        if found.thresholds.illusory is not None:
            sides.append(f"{ILLUSORY} {'up to' if large else 'from'} {found.thresholds.illusory:g}")
        lines.append(f"{found.criterion.words} ({', '.join(sides)})")
    return (
        f"{len(CRITERIA)} criteria, each decided only where its whole interval lies beyond a threshold: "
        + "; ".join(lines)
        + f". Two must agree and none may object; else, or where the effect is below {smallest_effect:g} of the clean "
        f"logit difference, the verdict is {INCONCLUSIVE}. A random MLP that reaches the effect speaks for an "
        "illusion; one that does not says nothing. For a direction of the residual stream, the part that nothing "
        "downstream reads is what the name movers' queries do not see."
    )


def experiments(
    tables: Tables,
    toy: Mapping[str, Any],
    prompts: pd.DataFrame,
    window: Mapping[str, Any],
    name_movers: Mapping[str, Any],
    v_true: str,
    v_mlp: str,
    pictures: Sequence[str],
) -> list[Section]:
    """The sections E0 to E12.

    Args:
        tables: The result tables.
        toy: Tables of the abstract example.
        prompts: The prompts.
        window: The blocks that write and read.
        name_movers: The name movers found, by what rule, and those published.
        v_true: The component of v_true.
        v_mlp: The component of v_mlp.
        pictures: Names of the pictures that there are; a section shows those of its own.
    """

    def shown(*names: str) -> dict[str, str]:
        """Pictures by file, with what they show."""
        return {f"{name}.png": _ALT[name.partition("__")[0]] for name in names if name in pictures}

    pooled = tables.pooled.reset_index().sort_values("subspace", key=lambda ways: ways.map(_PLACE), kind="stable")

    def ways_of(component: str) -> Grid:
        """What patching each subspace of a component does."""
        measures = dict(
            effect="effect (LD lost)", flip_rate="flip rate", share_of_residual="share of the residual patch"
        )
        columns = dict(subspace=f"subspace of {component}") | measures
        return Grid.of(pooled[pooled["component"] == component], columns, measures)

    first = prompts[prompts["split"] == "test"].drop_duplicates("pattern")
    sections = [
        Section(
            "E0  The abstract example",
            "Can a direction pass for the right one in a model where everything is known? W_in = (1, 1, 0), "
            "W_out = (1, 0, 2), x in {-1, 1}.",
            "e1 is the unit that the model uses. Patching e2 + e3 gives the same outputs, but moves the activation to "
            "where no input puts it: e2, which nothing reads, lends its variation to e3, which never varies. In the "
            "rotated basis the roles look the other way round; which units are meaningful is not in the algebra. The "
            "same holds in more dimensions, and two heads that cancel are the example in another basis.",
            shown("toy"),
            [
                Grid.of(
                    pd.DataFrame(toy["patches"]),
                    dict(
                        direction="direction",
                        patch="patch",
                        hidden_before="activation before",
                        hidden_after="after",
                        output_before="output before",
                        output_after="after",
                    ),
                ),
                Grid.of(
                    pd.DataFrame(toy["bases"]),
                    {"basis": "basis", "direction": "direction", "class": "class", "post_says": "the post says"},
                ),
                Grid.of(
                    pd.DataFrame(toy["generalisation"]),
                    dict(
                        k="dimensions",
                        irrelevant_per_dormant="irrelevant a dormant one",
                        patched="patched",
                        correct_units_moved="correct units moved by",
                        from_source="output off the source's by",
                        from_base="off the base's by",
                    ),
                ),
                Grid.of(
                    pd.DataFrame(toy["cancelling_heads"]["patches"]),
                    dict(
                        direction="two heads that cancel",
                        patch="patch",
                        output_before="output before",
                        output_after="after",
                    ),
                ),
                Grid.of(
                    pd.DataFrame(toy["cancelling_heads"]["change_of_basis"]),
                    {"direction": "the same in another basis", "class": "class", "w_in": "W_in", "w_out": "W_out"},
                ),
            ],
        ),
        Section(
            "E1  Prompts",
            "Pairs of prompts that differ only in which name is repeated; train and test share no template, no word.",
            f"{(prompts['split'] == 'train').sum()} training and {(prompts['split'] == 'test').sum()} held-out "
            "prompts. One held-out prompt of each pattern; the answer is IO.",
            grids=[Grid.of(first, dict(pattern="pattern", text="prompt", io="IO", s="S"))],
        ),
        Section(
            "E2  Where the position signal is",
            "Which block writes the position to END, and which reads it? Every component patched whole.",
            f"{window['rule']} Here block {window['writes']} writes and block {window['reads']} reads.",
            shown("localisation"),
        ),
        Section(
            "E3  v_true and how its effect travels",
            "Is the direction found in the residual stream the position as the model uses it?",
            "The name movers are found on clean training prompts; they and their backups should carry the effect, with "
            "attributions of the size that they have without a patch. The names should not be readable off the "
            "projection. Of the direction, what the name movers' queries see should do the work.",
            shown("headline", f"heads__{v_true}", "paths", f"splits__{v_true}", f"probe__{v_true}", "training"),
            [
                ways_of(v_true),
                _heads_found(name_movers),
            ],
        ),
        Section(
            "E4-E6  v_mlp, its two parts, and why both are needed",
            "Can a direction of an MLP do what the whole MLP does not?",
            "An illusion shows as a direction that damages where the whole component does not, that is part invisible "
            "to the output matrix, and that loses most of its effect without that part. The span of both parts does "
            "what the row part does: patched side by side, the null part cannot lend its variation.",
            shown("effects", f"projections__{v_mlp}"),
            [
                ways_of(v_mlp),
                Grid.of(
                    pd.concat(
                        [t.assign(component=name) for name, t in tables.decompositions.items() if "row_norm" in t]
                    ),
                    dict(
                        component="component",
                        seed="seed",
                        row_norm="norm of row part",
                        null_norm="of null part",
                        cos_v_true="cos with v_true",
                        cos_random="random",
                        gap_row="gap of row part",
                        gap_null="of null part",
                    ),
                ),
            ],
        ),
        Section(
            "E7  A dormant pathway wakes",
            "Does the patch make a component write along v_true what it never writes by itself?",
            "Patched from the same position (CDD to ABB, DCD to BAB), the output should stay where the clean runs put "
            "it. Patched from the opposite position, a variable that the component carries takes the place of the "
            "other clean distribution; an illusion leaves both.",
            shown("dormant"),
            [
                Grid.of(tables.dormant, dict(component="component", subspace="subspace") | _WAKING, _WAKING),
            ],
        ),
    ]
    for name, table in tables.random_mlps.items():
        measures = dict(
            effect="effect (LD lost)", share_of_real="over the real one's", share_of_residual="of the residual patch"
        )
        sections.append(
            Section(
                f"E8  Random MLPs in the place of {name}",
                "Does it take what this MLP has learnt, or only its place in the model?",
                "Weights and biases are drawn with the real ones' spread, the output has the real one's mean norm, and "
                "what the patch changes in the random MLP's output is added to the real one's.",
                shown(f"random_mlp__{name}"),
                [Grid.of(table, dict(draw="draw") | measures, measures)],
            )
        )
    by_z = tables.signs.groupby("z")["accuracy"].agg(["mean", "std", "min", "max"]).reset_index()
    by_z["z"] = by_z["z"].map("{:g}".format)
    r2, mse = (tables.recovery[name].agg(["mean", "std"]) for name in ("r2", "mse"))
    sections.append(
        Section(
            "E9, E10  What MLPs keep of the residual stream",
            "Is there always a direction in an MLP's activations that knows what the residual stream knows?",
            f"Ridge regression of random directions from the hidden activations: held-out R2 {r2['mean']:.2f} "
            f"(sd {r2['std']:.2f}), MSE {mse['mean']:.2f} (sd {mse['std']:.2f}) over layers and directions; "
            f"largest permutation p {tables.recovery['p'].max():.4f}. The table has the accuracy of reading a "
            "sign of size z; chance is 0.5.",
            shown("recovery", "signs", "ranks"),
            [
                Grid.of(by_z, dict(z="z", mean="mean accuracy", std="sd", min="least", max="most")),
            ],
        )
    )
    for name, fit in tables.sweeps.items():
        sections.append(
            Section(
                f"E11  Fewer neurons of {name}",
                "Does the illusion need the MLP's many dimensions?",
                f"The post found a straight line; here its R2 is {fit['r2']:.2f}, with a slope of "
                f"{100 * fit['slope_per_neuron']:.4f} of the residual patch's effect for a hundred neurons.",
                shown(f"neurons__{name}"),
            )
        )
    for name in tables.controls:
        table = tables.every_control(name)
        measures = dict(effect="effect (LD lost)", share_of_trained="over the trained one's")
        measures = {key: words for key, words in measures.items() if key in table}
        sections.append(
            Section(
                f"E12  Controls at {name}",
                "What do patching and training do where there is nothing to find?",
                "Random directions, the placebo, the patch from itself and the same position should have an effect "
                "near zero, the opposite position with unrelated names that of the trained subspace. Arbitrary labels "
                "ask half of the pairs for either name: nothing but learning by heart could give each its label, and "
                "the training accuracy says how far that went. What is left for such a run is to bring the two names "
                "closer together, for which it can use the same pathways: so its effect need not be zero.",
                shown(f"controls__{name}"),
                [
                    Grid.of(
                        table,
                        dict(
                            control="control",
                            draws="draws",
                            pairs="pairs",
                            **measures,
                            train_accuracy="training accuracy",
                        ),
                        measures,
                    )
                ],
            )
        )
    return sections


_PLACE = {way: place for place, way in enumerate((*WAYS, MEAN_ROW))}

_WAKING = dict(
    clean_gap="clean gap", patched_gap="patched gap", gap_ratio="patched / clean", outside="outside the clean range",
    outside_same="outside, same position",
)  # fmt: skip

_ALT = dict(
    toy="The plane of e2 and e3 with the direction, the data and the patched points",
    localisation="Effect of patching every component whole, by block",
    headline="Effect of patching each subspace of the residual stream and of the MLP",
    heads="Direct attribution of the heads downstream and the effect of each alone",
    paths="Share of the effect that groups of heads carry",
    splits="Directions patched whole and by what the name movers' queries see",
    probe="Accuracy of reading the names off the projection",
    training="Loss of every training run",
    effects="Effect of patching every subspace of every component",
    projections="Held-out prompts projected on the direction and its parts",
    dormant="Outputs along v_true, clean and patched",
    random_mlp="Effect of subspaces of random MLPs beside the real one's",
    recovery="R2 and MSE of recovering random directions, by layer",
    signs="Accuracy of reading a sign, by layer and size",
    ranks="Effective ranks of the MLPs' weights, by layer",
    neurons="Effect against the number of neurons",
    controls="Effect of every control",
    verdict="The evidence for each verdict",
)


def _heads_found(name_movers: Mapping[str, Any]) -> Grid:
    """The heads by role, beside those that were published for the model, if any were."""
    rows = []
    for role, listed in name_movers["found"].items():
        published = name_movers["published"].get(role)
        missed = sorted(set(published or []) - set(listed))
        note = "none for this model" if published is None else ", ".join(published)
        rows.append([role, ", ".join(listed) or "none", note, ", ".join(missed) if published else ""])
    return Grid(["role", "found here", "published", "published and not found"], rows)
