"""E3, E4, E6: what patching each subspace does."""

from collections.abc import Iterator, Sequence

import pandas as pd

from subspace_illusion.measures.effects import BY_TEMPLATE
from subspace_illusion.report.plots.evaluate import evaluate_figure, templates_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import in_order, with_ends
from subspace_illusion.statistics import POOLED, Estimate
from subspace_illusion.subspace.methods import BOTH, LENT, METHODS, OWN, ROW, TRAINED, WHOLE, part_of, user_labels

_MEASURES = dict(
    effect="effect (LD lost)",
    flip_rate="flip rate (LD < 0)",
    interchange_accuracy="interchange accuracy (argmax = foil)",
    share_of_residual="over the whole residual stream's effect",
    share_of_subspace="over that of the subspace it is a part of",
)


def section(results: Results) -> Iterator[Section]:
    """Every component along every subspace, over all held-out pairs and sentence by sentence."""
    effects = results.table("effects.csv", text=("seed",))
    roles = list(dict.fromkeys(results.roles.values()))
    methods = in_order(effects["subspace"])
    own = [method for method in methods if method not in METHODS]
    grids = [_methods(effects, [name], methods) for name in roles]
    if others := [name for name in results.components if name not in roles]:
        grids.append(
            _methods(
                effects, others, [method for method in methods if method in (WHOLE, TRAINED, LENT, OWN, ROW, *own)]
            )
        )
    pooled = effects[effects["seed"] == POOLED]
    counts = pooled.iloc[0]
    yield Section(
        "E3, E4, E6  What patching each subspace does",
        "Does a subspace do what its whole component does, and which part of it does that?",
        f"{counts['pairs']} held-out pairs of {counts['groups']} groups. Intervals are over groups, with these "
        "sentences and these training seeds; every seed's own effect stands beside. The patch along a subspace is "
        "taken apart too: what the differences along the null part write through the row part (lent), and what those "
        "along the row part write (own). The two add up to the patch; their effects need not, since what follows is "
        f"not linear. {' '.join(_sentences_of(pooled, results))}".rstrip(),
        [
            Picture(
                "evaluate",
                "Effect of patching every subspace of every component",
                evaluate_figure(
                    effects,
                    results.components,
                    [method for method in methods if method in (*METHODS, *user_labels(methods))],
                ),
            ),
            *_own_picture(effects, results, own),
        ],
        grids,
    )
    yield from _by_sentence(results, roles)


def _own_picture(effects: pd.DataFrame, results: Results, own: Sequence[str]) -> Iterator[Picture]:
    """The user's own subspaces with their parts, where some have parts."""
    with_parts = [name for name, label in results.own_subspaces if part_of(label, ROW) in own]
    if names := list(dict.fromkeys(with_parts)):
        shown = [method for method in own if method in set(effects.loc[effects["component"].isin(names), "subspace"])]
        yield Picture(
            "evaluate_own",
            "Effect of patching the user's own subspaces and their parts",
            evaluate_figure(effects, names, shown),
        )


def _by_sentence(results: Results, roles: Sequence[str]) -> Iterator[Section]:
    """The effects in every held-out sentence, where there are several."""
    templates = results.table("templates.csv")
    if templates["template"].nunique() < 2:
        return
    shown = [name for name in roles if name in set(templates["component"])]
    yield Section(
        "E3, E4  Sentence by sentence",
        "Is it the same in every held-out sentence?",
        "The effects of the seeds pooled, and intervals over the groups of one sentence. "
        + " ".join(_range(templates, name) for name in shown),
        [
            Picture(
                "evaluate_templates",
                "Effect of patching in every held-out sentence",
                templates_figure(templates, shown),
            )
        ],
        [_sentences(templates, shown)],
    )


def _methods(effects: pd.DataFrame, components: Sequence[str], methods: Sequence[str]) -> Grid:
    """What patching some subspaces does: the seeds pooled, and the single seeds' effects."""
    rows = []
    for name in components:
        for method in methods:
            of_method = effects[(effects["component"] == name) & (effects["subspace"] == method)]
            if of_method.empty:
                continue
            single = of_method.loc[of_method["seed"] != POOLED, "effect"]
            row = of_method[of_method["seed"] == POOLED].to_dict("records")[0]
            effect, *more = (_measure(row, measure) for measure in _MEASURES)
            rows.append([name, method, effect, ", ".join(with_ends(Estimate(x)) for x in single), *more])
    effect, *more = _MEASURES.values()
    return Grid(["component", "subspace", effect, "of the single seeds", *more], rows)


def _measure(row: dict, measure: str) -> str:
    """A measure with its interval; nothing where the row has none."""
    estimate = Estimate.of(row, measure)
    return "" if estimate is None else with_ends(estimate)


def _sentences_of(pooled: pd.DataFrame, results: Results) -> Iterator[str]:
    """What the table says of v_mlp (of v_true where there is none) and of the user's own subspaces."""
    name = results.v_true if results.v_mlp is None else results.v_mlp
    for component, method in ((name, TRAINED), *results.own_subspaces):
        yield from _of_subspace(pooled[pooled["component"] == component].set_index("subspace"), component, method)


def _of_subspace(pooled: pd.DataFrame, name: str, method: str) -> Iterator[str]:
    """What the table says of one subspace and its parts, from the rows of its component."""
    effects = {str(of): with_ends(Estimate(*row)) for of, row in _ends(pooled, "effect").items()}
    called = "the trained subspace" if method == TRAINED else method
    yield (
        f"At {name} {called} takes {effects[method]} off the logit difference, the whole component {effects[WHOLE]}."
    )
    words = {
        part_of(method, LENT): "what the null part lends",
        part_of(method, OWN): "what happens inside the row space",
        part_of(method, ROW): f"the row part, normalised, in {called}'s place",
    }
    shares = _ends(pooled, "share_of_subspace") if "share_of_subspace" in pooled else {}
    said = [f"{words[part]} {with_ends(Estimate(*shares[part]))}" for part in words if part in shares]
    if said:
        yield f"Patched alone, and over {called}'s effect: {'; '.join(said)}."
    both, row = part_of(method, BOTH), part_of(method, ROW)
    if both in effects and row in effects and method == TRAINED:
        yield (
            f"Patched side by side, as the span of both, the parts have an effect of {effects[both]}, the row part "
            f"alone {effects[row]}: the same by algebra, since the readout is linear and maps the null part to zero, "
            "which is also why the null part alone has none. Both check the code, and are no evidence."
        )


def _ends(pooled: pd.DataFrame, measure: str) -> dict[str, tuple[float, float | None, float | None]]:
    """A measure and its ends by subspace, where there is one."""
    found = {method: Estimate.of(row, measure) for method, row in pooled.to_dict("index").items()}
    return {str(method): (x.value, x.low, x.high) for method, x in found.items() if x is not None}


def _range(templates: pd.DataFrame, name: str) -> str:
    """Between which effects the sentences lie."""
    rows = templates[(templates["component"] == name) & (templates["subspace"] == TRAINED)]
    least, most = (with_ends(Estimate(effect)) for effect in (rows["effect"].min(), rows["effect"].max()))
    return f"At {name} the trained subspace's effect runs from {least} to {most} over {len(rows)} sentences."


def _sentences(templates: pd.DataFrame, components: Sequence[str]) -> Grid:
    """The effect of each way in every sentence."""
    methods = [method for method in BY_TEMPLATE if method in set(templates["subspace"])]
    measures = ("flip_rate", "interchange_accuracy")
    rows = []
    for name in components:
        here = templates[templates["component"] == name]
        for _, of_template in here.groupby("template"):
            by_method = of_template.set_index("subspace").to_dict("index")
            trained = by_method[TRAINED]
            effects = [_measure(by_method.get(method, {}), "effect") for method in methods]
            about = [f"{trained['template']}: {trained['sentence']}", str(trained["pairs"])]
            rows.append(
                [name, *about, _measure(trained, "ld_clean"), *effects, *(_measure(trained, m) for m in measures)]
            )
    header = ["component", "sentence, with the words of its first pair", "pairs", "LD clean"]
    header += [f"effect, {method}" for method in methods] + [f"{_MEASURES[m]}, {TRAINED}" for m in measures]
    return Grid(header, rows)
