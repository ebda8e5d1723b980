"""E3, E4, E6: what patching each subspace does."""

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from subspace_illusion.measures.effects import BY_TEMPLATE
from subspace_illusion.report.plots.evaluate import evaluate_figure, is_drawn, templates_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import in_order, shown, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import (
    BOTH,
    LENT_HALF,
    NULL,
    OWN,
    OWN_HALF,
    POOLED,
    ROW,
    TRAINED,
    WHOLE,
    SubspaceKey,
    with_keys,
)

_MEASURES = dict(
    effect="effect (LD lost)",
    flip_rate="flip rate (LD < 0)",
    interchange_accuracy="interchange accuracy (argmax = foil)",
    share_of_residual="over the whole residual stream's effect",
    share_of_subspace="over that of the subspace it is a part of",
)


def section(results: Results) -> Iterator[Section]:
    """Every component along every subspace, over all held-out pairs and sentence by sentence."""
    effects = with_keys(results.table("effects.csv", text=("seed",)))
    roles = list(dict.fromkeys(results.roles.values()))
    keys = in_order(effects["subspace"])
    own = [key for key in keys if key.is_user]
    grids = [_patches(effects, [name], keys) for name in roles]
    if others := [name for name in results.components if name not in roles]:
        trained = SubspaceKey(TRAINED)
        few = (WHOLE, trained, *(trained.of_part(part) for part in (OWN, LENT_HALF, OWN_HALF, ROW)), *own)
        grids.append(_patches(effects, others, [key for key in keys if key in few]))
    pooled = effects[effects["seed"] == POOLED]
    counts = pooled.iloc[0]
    yield Section(
        "E3, E4, E6  What patching each subspace does",
        "Does a subspace do what its whole component does, and which part of it does that?",
        _answer(pooled, results),
        f"{counts['pairs']} held-out pairs of {counts['groups']} groups. Intervals are over groups, with these "
        "sentences and these training seeds; every seed's own effect stands beside. The patch along a subspace is "
        "taken apart too: what the differences along the null part write through the row part (lent), and what those "
        "along the row part write (inside the row space). The two add up to the patch; their effects need not, since "
        "what follows is not linear. The own difference is that of the component between the values, moved alone as "
        "far as the patch moves it and no further than it really moves; verdicts rest on it. Mean ablation puts the "
        "mean in the place of what is held along the subspace, and steering adds the mean change between the values. "
        f"{' '.join(_sentences_of(pooled, results))}".rstrip(),
        [
            *_illusion_picture(effects, results),
            Picture(
                "evaluate",
                "Effect of patching every subspace of every component",
                evaluate_figure(
                    effects,
                    results.components,
                    [key for key in keys if is_drawn(key) and (key.is_entire or not key.is_user)],
                ),
            ),
            *_own_picture(effects, results, own),
        ],
        grids,
    )
    yield from _by_sentence(results, roles)


def _illusion_picture(effects: pd.DataFrame, results: Results) -> Iterator[Picture]:
    """v_mlp, its parts and its whole component, where it has parts."""
    trained = SubspaceKey(TRAINED)
    keys = [WHOLE, trained, trained.of_part(ROW), trained.of_part(NULL)]
    there = set(effects.loc[effects["component"] == results.v_mlp, "subspace"])
    if results.v_mlp is not None and {*keys} <= there:
        yield Picture(
            "illusion",
            f"Effect of patching {results.v_mlp}, the direction that DAS finds in it, and that direction's parts",
            evaluate_figure(effects, [results.v_mlp], keys),
        )


def _own_picture(effects: pd.DataFrame, results: Results, own: Sequence[SubspaceKey]) -> Iterator[Picture]:
    """The user's own subspaces with their parts, where some have parts."""
    with_parts = [key.component for key in results.own_subspaces if key.at("").of_part(ROW) in own]
    if names := list(dict.fromkeys(with_parts)):
        there = set(effects.loc[effects["component"].isin(names), "subspace"])
        yield Picture(
            "evaluate_own",
            "Effect of patching the user's own subspaces and their parts",
            evaluate_figure(effects, names, [key for key in own if key in there and is_drawn(key)]),
        )


def _by_sentence(results: Results, roles: Sequence[str]) -> Iterator[Section]:
    """The effects in every held-out sentence, where there are several."""
    templates = with_keys(results.table("templates.csv"))
    if templates["template"].nunique() < 2:
        return
    names = [name for name in roles if name in set(templates["component"])]
    ranges = "; ".join(_range(templates, name) for name in names)
    yield Section(
        "E3, E4  Sentence by sentence",
        "Is it the same in every held-out sentence?",
        f"The trained subspace's effect runs {ranges}.",
        "The effects of the seeds pooled, and intervals over the groups of one sentence.",
        [
            Picture(
                "evaluate_templates",
                "Effect of patching in every held-out sentence",
                templates_figure(templates, names),
            )
        ],
        [_sentences(templates, names)],
    )


def _patches(effects: pd.DataFrame, components: Sequence[str], keys: Sequence[SubspaceKey]) -> Grid:
    """What patching some subspaces does: the seeds pooled, and the single seeds' effects."""
    rows = []
    for name in components:
        for key in keys:
            of_key = effects[(effects["component"] == name) & (effects["subspace"] == key)]
            if of_key.empty:
                continue
            single = of_key.loc[of_key["seed"] != POOLED, "effect"]
            row = of_key[of_key["seed"] == POOLED].to_dict("records")[0]
            effect, *more = (_measure(row, measure) for measure in _MEASURES)
            rows.append([name, shown(key), effect, ", ".join(with_ends(Estimate(x)) for x in single), *more])
    effect, *more = _MEASURES.values()
    return Grid(["component", "subspace", effect, "of the single seeds", *more], rows)


def _measure(row: dict, measure: str) -> str:
    """A measure with its interval; nothing where the row has none."""
    return with_ends(Estimate.of(row, measure))


def _answer(pooled: pd.DataFrame, results: Results) -> str:
    """What v_mlp (v_true where there is none) does beside its whole component."""
    name = results.v_true if results.v_mlp is None else results.v_mlp
    here = pooled[pooled["component"] == name].to_dict("records")
    return next(_of_subspace({row["subspace"].at(name): row for row in here}, SubspaceKey(TRAINED, component=name)))


def _sentences_of(pooled: pd.DataFrame, results: Results) -> Iterator[str]:
    """What the table says of v_mlp (of v_true where there is none) and of the user's own subspaces."""
    name = results.v_true if results.v_mlp is None else results.v_mlp
    for key in (SubspaceKey(TRAINED, component=name), *results.own_subspaces):
        here = pooled[pooled["component"] == key.component].to_dict("records")
        yield from _of_subspace({row["subspace"].at(key.component): row for row in here}, key)


def _of_subspace(pooled: Mapping[SubspaceKey, dict], key: SubspaceKey) -> Iterator[str]:
    """What the table says of one subspace and its parts, from the rows of its component."""
    effects = _figures(pooled, "effect")
    called, whole = "the trained subspace" if key.is_trained else shown(key), effects[WHOLE.at(key.component)]
    yield f"At {key.component} {called} takes {effects[key]} off the logit difference, the whole component {whole}."
    words = {
        key.of_part(LENT_HALF): "what the null part lends",
        key.of_part(OWN_HALF): "what happens inside the row space",
        key.of_part(ROW): f"the row part, normalised, in {called}'s place",
    }
    shares = _figures(pooled, "share_of_subspace")
    said = [f"{words[part]} {shares[part]}" for part in words if part in shares]
    if said:
        yield f"Patched alone, and over {called}'s effect: {'; '.join(said)}."
    both, row = key.of_part(BOTH), key.of_part(ROW)
    if both in effects and row in effects and key.is_trained:
        yield (
            f"Patched side by side, as the span of both, the parts have an effect of {effects[both]}, the row part "
            f"alone {effects[row]}: the same by algebra, since the readout is linear and maps the null part to zero, "
            "which is also why the null part alone has none. Both check the code, and are no evidence."
        )


def _figures(pooled: Mapping[SubspaceKey, dict], measure: str) -> dict[SubspaceKey, str]:
    """A measure with its interval by subspace, where there is one."""
    found = {key: Estimate.of(row, measure) for key, row in pooled.items()}
    return {key: with_ends(figure) for key, figure in found.items() if figure is not None}


def _range(templates: pd.DataFrame, name: str) -> str:
    """Between which effects the sentences lie, behind "runs"."""
    rows = templates[(templates["component"] == name) & (templates["subspace"] == SubspaceKey(TRAINED))]
    least, most = (with_ends(Estimate(effect)) for effect in (rows["effect"].min(), rows["effect"].max()))
    return f"from {least} to {most} at {name}"


def _sentences(templates: pd.DataFrame, components: Sequence[str]) -> Grid:
    """The effect of each subspace in every sentence."""
    keys = [key for key in BY_TEMPLATE if key in set(templates["subspace"])]
    measures = ("flip_rate", "interchange_accuracy")
    rows = []
    for name in components:
        here = templates[templates["component"] == name]
        for _, of_template in here.groupby("template"):
            by_key = {row["subspace"]: row for row in of_template.to_dict("records")}
            trained = by_key[SubspaceKey(TRAINED)]
            effects = [_measure(by_key.get(key, {}), "effect") for key in keys]
            about = [f"{trained['template']}: {trained['sentence']}", str(trained["pairs"])]
            rows.append(
                [name, *about, _measure(trained, "ld_clean"), *effects, *(_measure(trained, m) for m in measures)]
            )
    header = ["component", "sentence, with the words of its first pair", "pairs", "LD clean"]
    header += [f"effect, {shown(key)}" for key in keys] + [f"{_MEASURES[m]}, {TRAINED}" for m in measures]
    return Grid(header, rows)
