"""E12: controls."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from subspace_illusion.measures.controls import (
    DIFFERENT_ONLY,
    NEAR,
    OF_USER,
    ON_ARBITRARY,
    RANDOM_DIRECTION,
    RANDOM_MODEL,
    RANDOM_MODEL_WHOLE,
    SAME_VALUE,
    SELF,
    UNRELATED,
)
from subspace_illusion.report.plots.controls import controls_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.report.words import fixed, shown, with_ends
from subspace_illusion.statistics import LEAST_DRAWS, Estimate
from subspace_illusion.subspace.keys import TRAINED, USER_MARK, SubspaceKey

NOTHING = 0.1
"""A mean effect of less than this share of the spread of a random model's logit differences is nothing."""

SHORT = (TRAINED, RANDOM_DIRECTION, SAME_VALUE, ON_ARBITRARY, RANDOM_MODEL)
"""The controls that the answer names."""

_MEASURES = dict(effect="effect (LD lost)", share_of_trained="over the trained one's")
Row = Mapping[str, Any]


def section(results: Results) -> Iterator[Section]:
    """One section a component."""
    for name in results.components:
        every = results.controls(name)
        if every is None:
            continue
        by_control: dict[str, Row] = {row["control"]: row for row in every.to_dict("records")}
        yield Section(
            f"E12  Controls at {name}",
            "What do patching and training do where there is nothing to find?",
            _answer(by_control),
            " ".join(
                [
                    *expected(by_control),
                    f"Intervals are over groups and, where there are {LEAST_DRAWS} or more, over random directions and "
                    "tossed labels; of fewer there is only the range of the single draws. Training seeds are held "
                    "fixed.",
                    *alone(by_control),
                    *([of_labels(by_control)] if ON_ARBITRARY in by_control else []),
                    *([of_random_model(by_control)] if RANDOM_MODEL in by_control else []),
                ]
            ),
            [Picture(f"controls__{name}", "Effect of every control", controls_figure(every, name))],
            [
                effects(every, by_control),
                trained_on(every),
                *([distributions(by_control)] if ON_ARBITRARY in by_control else []),
            ],
        )


def _answer(by_control: Mapping[str, Row]) -> str:
    """What each control does beside the trained subspace."""
    told = {control: Estimate.of(by_control[control], "effect") for control in SHORT if control in by_control}
    said = [f"{control} {with_ends(effect)}" for control, effect in told.items() if effect is not None]
    return f"Effects: {', '.join(said)}." if said else "The table has the effect of every control."


def effects(every: pd.DataFrame, by_control: Mapping[str, Row]) -> Grid:
    """The effect of every control, and which of them could not come out otherwise."""
    low, high = (every.get(f"effect_{end}", pd.Series(float("nan"), every.index)) for end in ("min", "max"))
    several, ends = (every["draws"] > 1) & low.notna(), low.map(fixed) + " to " + high.map(fixed)
    notes = {SELF: "by algebra"} | ({RANDOM_MODEL: "can hardly fail"} if cannot_fail(by_control) else {})
    said = {control: f"{control} ({why})" for control, why in notes.items()}
    named = [said.get(control, control_shown(control)) for control in every["control"]]
    lines = every.assign(range=ends.where(several, ""), draws=every["draws"].astype(str), control=named)
    columns = dict(control="control", draws="draws") | _MEASURES
    columns |= dict(range="range over draws", cosine="|cos| with the trained one")
    return Grid.of(lines, {name: words for name, words in columns.items() if name in lines}, _MEASURES)


def control_shown(control: str) -> str:
    """What people read of a control, one of the user's own subspace with its label."""
    kind, _, subspace = control.partition(OF_USER)
    if subspace:
        return f"{kind}: {shown(SubspaceKey.read(subspace))}"
    return shown(SubspaceKey.read(kind)) if kind.startswith(USER_MARK) else kind


def trained_on(every: pd.DataFrame) -> Grid:
    """How well training went, where there was any."""
    columns = dict(
        control="DAS on",
        train_accuracy_change="training accuracy, pairs asked to change",
        train_accuracy_keep="asked to keep their answer",
    )
    return Grid.of(every[every["train_accuracy_change"].notna()], columns)


def expected(by_control: Mapping[str, Row]) -> Iterator[str]:
    """What the controls should do, of those that were tried."""
    if SELF not in by_control:
        return
    nothing = ["Random directions", "the norm-matched placebo"]
    nothing += ["sources of the same value"] if SAME_VALUE in by_control else []
    yield f"{', '.join(nothing[:-1])} and {nothing[-1]} should have an effect near zero."
    if UNRELATED in by_control:
        yield "Sources of another value in unrelated words should have that of the trained subspace."
    yield "That a patch from itself has none is true by algebra: it checks the code."


def alone(by_control: Mapping[str, Row]) -> Iterator[str]:
    """What training without pairs of one value changes, where that was tried."""
    if (row := by_control.get(DIFFERENT_ONLY)) is not None:
        share = Estimate.of(row, "share_of_trained")
        times = "" if share is None else f", {with_ends(share)} times the trained subspace's"
        yield (
            "The trained subspace saw pairs of the same value too. Trained on pairs of different values alone, the "
            f"effect is {fixed(row['effect'])}{times}, and the |cosine| with the trained one {row['cosine']:.2f}."
        )


def of_labels(by_control: Mapping[str, Row]) -> str:
    """What the runs on arbitrary labels did, and whether that is what labels by toss reward."""
    row, trained, random = (by_control[control] for control in (ON_ARBITRARY, TRAINED, RANDOM_DIRECTION))
    (learnt, held_out) = (Estimate.of(row, f"label_accuracy{end}") for end in ("_train", ""))
    assert learnt is not None
    assert held_out is not None
    by_heart = (
        "some labels were learnt by heart"
        if learnt.low is not None and learnt.low > 0.5
        else "that labels are learnt by heart cannot be told"
    )
    clean, found, known = row["train_ld_clean_abs"], row["train_ld_abs"], trained["train_ld_abs"]
    sizes = (
        f"Over the training pairs of different values the mean |LD| is {found:.2f}, {clean:.2f} without a patch and "
        f"{known:.2f} under the trained subspace, and {row['train_ld_near_zero']:.2f} of them have |LD| below {NEAR:g} "
        f"({row['train_ld_clean_near_zero']:.2f} and {trained['train_ld_near_zero']:.2f})"
    )
    if found >= clean:
        closer = f"That is not what happened. {sizes}."
    elif found < known and row["train_ld_near_zero"] > trained["train_ld_near_zero"]:
        closer = f"That is what the patch does. {sizes}."
    else:
        closer = (
            f"The patch does bring them closer, yet that alone does not account for the direction. {sizes}. By at "
            "least one of the two figures the trained subspace, which was trained for something else, brings them "
            "closer still."
        )
    same = (
        "so it is in part the same direction"
        if row["cosine"] > random["cosine_max"]
        else "so it is no nearer to it than a random direction may be"
    )
    return (
        "Arbitrary labels ask for answer or foil by toss. "
        f"The one of its label is the likelier of the two in {with_ends(learnt)} of the training pairs (by toss from "
        f"{row['label_accuracy_train_min']:.2f} to {row['label_accuracy_train_max']:.2f}) and in {with_ends(held_out)} "
        f"of held-out pairs (from {row['label_accuracy_min']:.2f} to {row['label_accuracy_max']:.2f}), whose labels "
        f"nothing could tell (chance 0.5): {by_heart}. "
        "Without learning by heart, a run can lower its loss by bringing answer and foil closer together. "
        f"{closer} Its |cosine| with the trained direction is {row['cosine']:.2f} (random directions: at most "
        f"{random['cosine_max']:.2f}), {same}, and its effect need not be zero."
    )


def cannot_fail(by_control: Mapping[str, Row]) -> bool:
    """Whether a random model's mean effect can hardly be other than zero: patching all of it already moves nothing."""
    whole = by_control.get(RANDOM_MODEL_WHOLE)
    return whole is not None and abs(whole["effect"]) < NOTHING * whole["ld_clean_sd"]


def of_random_model(by_control: Mapping[str, Row]) -> str:
    """What the random model's control can say."""
    whole, row = by_control[RANDOM_MODEL_WHOLE], by_control[RANDOM_MODEL]
    figures = (
        f"patching its whole residual stream has a mean effect of {fixed(whole['effect'])} (its LD has a standard "
        f"deviation of {fixed(whole['ld_clean_sd'])}; the patch moves it by {fixed(whole['moved'])} a pair, one way "
        "or the other; one such model, and so no interval)"
    )
    if cannot_fail(by_control):
        return (
            f"The random model's control can hardly fail: {figures}. Where both swaps of pairs are in the set, a patch "
            "that gives one prompt the other's answer has a mean effect of zero wherever the two LDs are alike on "
            "average, as in a model that does not do the task."
        )
    return (
        f"In the random model there is something to find: {figures}; the subspace found there has an effect of "
        f"{fixed(row['effect'])}."
    )


def distributions(by_control: Mapping[str, Row]) -> Grid:
    """How LD is distributed on pairs of different values, without a patch and under two kinds of subspaces."""
    lines = []
    for pairs, prefix in (("trained on", "train_"), ("held out", "")):
        for words, control, which in (
            ("no patch", TRAINED, "ld_clean"), ("trained", TRAINED, "ld"), ("arbitrary labels", ON_ARBITRARY, "ld"),
        ):  # fmt: skip
            row = by_control[control]
            mean = row[f"{prefix}{which}"] if prefix or which == "ld_clean" else row["ld_patched"]
            rest = [row[f"{prefix}{which}_{figure}"] for figure in ("sd", "abs", "near_zero")]
            lines.append([pairs, words, *map(fixed, (mean, *rest))])
    return Grid(
        ["pairs of different values", "patch", "mean LD", "s.d.", "mean |LD|", f"share with |LD| below {NEAR:g}"],
        lines,
    )
