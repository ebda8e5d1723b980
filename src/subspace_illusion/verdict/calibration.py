"""How often is the verdict right (E14)? Thresholds of the score, set on one half of the planted cases and measured on
the other, and the same cases as the evidence in common use sees them.

The unit is the block of a task: its components share the stream before them and the signal. Blocks go to the halves
whole, in turns, and intervals draw them whole.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta
from sklearn.metrics import roc_auc_score, roc_curve

from subspace_illusion.errors import InputError
from subspace_illusion.statistics import Bootstrap, Estimate, table
from subspace_illusion.subspace.keys import ARBITRARY_LABELS, OFF_ROUTE, RANDOM, TRAINED
from subspace_illusion.verdict.rule import CALLS, FAITHFUL, ILLUSORY, Thresholds, call, is_large
from subspace_illusion.verdict.sub_scores import NAMED, NEEDED, SUB_SCORES, named

ILLUSORY_DOSE, FAITHFUL_DOSE = 0.2, 0.8
"""Up to the one a component is not what carries the signal, from the other on it is; between, it is neither."""
MOVES = 1 / 3
"""From this share of the effect of patching the whole residual stream after the block on, a direction moves the answer
as the variable would.

A direction that does less may repeat what the component does by itself, whatever the dose is, and no dose is its truth.
"""
CONTROL_METHODS = (ARBITRARY_LABELS, RANDOM)
"""Methods that look for nothing: they count in no error rate."""
TOLERATED = 0.05
"""The share of the cases of one truth that thresholds may call the other on the half that sets them."""

NEITHER = "neither"

SCORE = "score"


def prepared(cases: pd.DataFrame, smallest_effect: float) -> pd.DataFrame:
    """The cases with what is asked of them.

    Beside their columns ``group``; ``truth`` (1 illusory, 0 faithful, NaN neither); ``judged``, whether the effect is
    large enough, does not strengthen the answer, and the way of finding the direction is no control; ``counted``,
    whether it also moves the answer as the variable would; ``setting``, whether the group sets thresholds.

    Illusory are directions of components that the signal hardly goes through, and those off the route of any component;
    faithful are others of components that most of the signal goes through. A component that carries the variable by
    itself (patched whole, without any dose, it has an effect) has no illusory cases.

    Args:
        cases: What ``plant`` gives, with ``task``.
        smallest_effect: As for ``rule.call``.
    """
    cases = cases.sort_values(["task", "block", "kind"], kind="stable").reset_index(drop=True)
    group = (cases["task"] + " " + cases["block"].astype(str)).rename("group")
    turns = cases.groupby("task")["block"].transform(lambda blocks: blocks.rank(method="dense"))
    hardly, mostly = cases["dose"] <= ILLUSORY_DOSE, cases["dose"] >= FAITHFUL_DOSE
    truth = np.where(hardly | (cases["way"] == OFF_ROUTE), 1.0, np.where(mostly, 0.0, np.nan))
    by_itself = cases[cases["dose"] == 0].groupby([group, "kind"])["whole_fldd"].first()
    carriers = by_itself[by_itself > smallest_effect].index
    carries = pd.MultiIndex.from_arrays([group, cases["kind"]]).isin(carriers)
    judged = _has_effect(cases, smallest_effect) & (cases["fldd"] > 0) & ~cases["way"].isin(CONTROL_METHODS)
    return cases.assign(
        group=group,
        truth=np.where(carries & (truth == 1), np.nan, truth),
        judged=judged,
        counted=judged & (cases["moved"] >= MOVES),
        setting=turns % 2 == 1,
    )


def set_thresholds(scores: np.ndarray, truth: np.ndarray) -> Thresholds:
    """The thresholds that call at most ``TOLERATED`` of either truth the other; what lies between is called neither.

    Raises:
        InputError: If there are no cases of one truth.
    """
    if not ((truth == 1).any() and (truth == 0).any()):
        raise InputError(
            "the planted cases that move the answer are all of one truth, so no threshold can be set: raise "
            "calibrate.steps or the number of cases"
        )
    lowest_illusory = float(np.quantile(scores[truth == 1], TOLERATED))
    highest_faithful = float(np.quantile(scores[truth == 0], 1 - TOLERATED))
    return Thresholds(min(lowest_illusory, highest_faithful), max(lowest_illusory, highest_faithful))


def sub_score_sets() -> list[tuple[str, ...]]:
    """Every set of sub-scores that a score may be the mean of."""
    return [chosen for size in range(NEEDED, len(SUB_SCORES) + 1) for chosen in combinations(SUB_SCORES, size)]


def thresholds_by_sub_scores(cases: pd.DataFrame) -> dict[str, Thresholds]:
    """Thresholds for every set of sub-scores, by its name.

    Args:
        cases: Counted cases of the half that sets them, as ``prepared`` gives them.
    """
    thresholds = {}
    for chosen in sub_score_sets():
        known = cases.dropna(subset=["truth", *chosen])
        scores = known[list(chosen)].mean(axis=1).to_numpy()
        thresholds[named(chosen)] = set_thresholds(scores, known["truth"].to_numpy())
    return thresholds


def confusion(cases: pd.DataFrame, thresholds: Mapping[str, Thresholds], smallest_effect: float) -> pd.DataFrame:
    """What cases of each dose are called.

    Args:
        cases: As ``prepared`` gives them.
        thresholds: By the sub-scores that a score is the mean of.
        smallest_effect: As for ``rule.call``.

    Returns:
        One row a truth: ``truth`` (``illusory``, ``neither``, ``faithful``), ``cases``, ``groups``, the share of each
        call, ``wrong`` (share called the other), ``groups_wrong`` (with such a case) and ``wrong_groups_most``, the end
        of the 95 % interval (Clopper and Pearson) of the share of such groups.
    """
    called = calls(cases, thresholds, smallest_effect)
    rows = []
    for words, here in (
        (ILLUSORY, cases["truth"] == 1),
        (NEITHER, cases["truth"].isna()),
        (FAITHFUL, cases["truth"] == 0),
    ):
        cases_here, called_here = cases[here], called[here]
        groups = cases_here["group"].nunique()
        row: dict[str, object] = dict(truth=words, cases=len(cases_here), groups=groups)
        row |= {verdict: float((called_here == verdict).mean()) if len(cases_here) else np.nan for verdict in CALLS}
        if words in CALLS and len(cases_here):
            wrong = called_here == {ILLUSORY: FAITHFUL, FAITHFUL: ILLUSORY}[words]
            bad = cases_here.loc[wrong, "group"].nunique()
            most = 1.0 if bad == groups else float(beta.ppf(0.975, bad + 1, groups - bad))
            row |= dict(wrong=float(wrong.mean()), groups_wrong=bad, wrong_groups_most=most)
        rows.append(row)
    return table(rows)


@dataclass(frozen=True)
class Evidence:
    """Something that a verdict could rest on instead.

    Attributes:
        name: Its name in tables.
        words: What it is.
        figure: Gives the figure of every case; large where it speaks for an illusion.
        passes: Gives whether every case would be let pass by it as it is commonly read; ``None`` where no such reading
            is common.
    """

    name: str
    words: str
    figure: Callable[[pd.DataFrame], pd.Series]
    passes: Callable[[pd.DataFrame], pd.Series] | None = None


def _above(cases: pd.DataFrame, figure: str, control: str) -> pd.Series:
    """Whether the interval of a figure lies above that of its control."""
    low, high = cases[f"{figure}_lo"].fillna(cases[figure]), cases[f"{control}_hi"].fillna(cases[control])
    return low > high


def _by_chance(cases: pd.DataFrame) -> pd.Series:
    """The interchange accuracy of the better of the two controls."""
    return cases[["placebo_accuracy", "arbitrary_labels_accuracy"]].max(axis=1, skipna=False)


OTHERS = (
    *(Evidence(name, words, lambda cases, name=name: cases[name]) for name, words in SUB_SCORES.items()),  # type: ignore[misc]
    Evidence("effect", "effect of the patch, as a share of the clean LD", lambda cases: -cases["fldd"]),
    Evidence(
        "whole_component", "effect of the whole component, whatever the direction", lambda cases: -cases["whole_fldd"]
    ),
    Evidence(
        "interchange_accuracy",
        "interchange accuracy; passes with half of what patching the whole residual stream reaches",
        lambda cases: -cases["interchange_accuracy"],
        lambda cases: (
            (cases["interchange_accuracy"] > 0) & (cases["interchange_accuracy"] >= cases["reference_accuracy"] / 2)
        ),
    ),
    Evidence(
        "placebo",
        "effect of a placebo of the same size over the patch's; passes where the patch does more",
        lambda cases: cases["placebo_fldd"] / cases["fldd"],
        lambda cases: _above(cases, "fldd", "placebo_fldd"),
    ),
    Evidence(
        "arbitrary_labels",
        "effect of DAS trained on arbitrary labels over that of DAS; passes where DAS does more",
        lambda cases: cases["arbitrary_labels_fldd"] / cases["fldd"],
        lambda cases: _above(cases, "fldd", "arbitrary_labels_fldd"),
    ),
    Evidence(
        "fit_das",
        "interchange accuracy of DAS beyond that of placebo and arbitrary labels, the controls that transformer_lens "
        "names for fit_das; passes where it lies above both",
        lambda cases: _by_chance(cases) - cases["interchange_accuracy"],
        lambda cases: (
            _above(cases, "interchange_accuracy", "placebo_accuracy")
            & _above(cases, "interchange_accuracy", "arbitrary_labels_accuracy")
        ),
    ),
)
"""Every single sub-score, and the evidence in common use."""


def area(cases: pd.DataFrame, figure: pd.Series, resamples: int, seed: int) -> dict[str, float]:
    """The area under the ROC of one figure for telling the truths apart, with its interval over groups.

    Args:
        cases: Cases whose truth is known, as ``prepared`` gives them.
        figure: Large where it speaks for an illusion; cases without it do not count.
        resamples: Draws of groups.
        seed: Of the draws.

    Returns:
        ``cases``, ``groups``, ``auc``, ``auc_lo``, ``auc_hi``; NaN where there are no cases of one truth.
    """
    known = figure.notna()
    having, x = cases[known], figure[known].to_numpy()
    truth = having["truth"].to_numpy()
    about = dict(cases=float(len(having)), groups=float(having["group"].nunique()))
    nothing = float("nan")
    if len(set(truth)) < 2:
        return about | dict(auc=nothing, auc_lo=nothing, auc_hi=nothing)
    weights = Bootstrap.of(having["group"].to_numpy(), resamples, seed).weights
    drawn = [
        roc_auc_score(truth, x, sample_weight=w) for w in weights if w[truth == 1].sum() > 0 and w[truth == 0].sum() > 0
    ]
    low, high = np.percentile(drawn[1:], [2.5, 97.5]) if len(drawn) > 1 else (nothing, nothing)
    return about | dict(auc=float(drawn[0]), auc_lo=float(low), auc_hi=float(high))


def areas(
    cases: pd.DataFrame, thresholds: Mapping[str, Thresholds], smallest_effect: float, resamples: int, seed: int
) -> pd.DataFrame:
    """The area for the score, for every single sub-score and for the evidence in common use: one row each.

    Args:
        cases: Counted cases, as ``prepared`` gives them.
        thresholds: By the sub-scores that a score is the mean of.
        smallest_effect: As for ``rule.call``.
        resamples: As for ``area``.
        seed: Likewise.

    Returns:
        ``evidence``, ``words``, the columns of ``area``; ``score_auc``, the area of the score on the cases that have
        this evidence; ``illusory_passed`` and ``faithful_passed``, the share of either truth that it would let pass as
        it is commonly read, the score as it is called.
    """

    def called_faithful(cases: pd.DataFrame) -> pd.Series:
        return calls(cases, thresholds, smallest_effect) == FAITHFUL

    known = cases[cases["truth"].notna()]
    score = Evidence(SCORE, "the illusion score; passes where it is called faithful", _score, called_faithful)
    rows: list[dict[str, object]] = []
    for evidence in (score, *OTHERS):
        figure = evidence.figure(known)
        here = known[figure.notna()]
        row: dict[str, object] = dict(evidence=evidence.name, words=evidence.words)
        row |= area(known, figure, resamples, seed) | dict(score_auc=area(here, _score(here), 0, seed)["auc"])
        if evidence.passes is not None and len(here):
            passed = evidence.passes(here)
            row |= {
                f"{words}_passed": float(passed[here["truth"] == truth].mean())
                for words, truth in ((ILLUSORY, 1), (FAITHFUL, 0))
            }
        rows.append(row)
    return table(rows)


def _score(cases: pd.DataFrame) -> pd.Series:
    return cases[SCORE]


def calls(cases: pd.DataFrame, thresholds: Mapping[str, Thresholds], smallest_effect: float) -> pd.Series:
    """What every case is called by the one rule.

    Args:
        cases: ``fldd`` and ``score`` with their intervals, and the names of the sub-scores.
        thresholds: By the sub-scores that a score is the mean of.
        smallest_effect: As for ``rule.call``.
    """
    called = [
        call(Estimate.of(row, "fldd"), Estimate.of(row, SCORE), thresholds.get(row[NAMED]), smallest_effect).verdict
        for row in cases.to_dict("records")
    ]
    return pd.Series(called, index=cases.index, dtype=object)


def _has_effect(cases: pd.DataFrame, smallest_effect: float) -> pd.Series:
    """Which cases have an effect that the rule judges."""
    effects = (Estimate.of(row, "fldd") for row in cases.to_dict("records"))
    large = [effect is not None and is_large(effect, smallest_effect) for effect in effects]
    return pd.Series(large, index=cases.index, dtype=bool)


def roc(cases: pd.DataFrame) -> pd.DataFrame:
    """The ROC of the score and of every other evidence: ``evidence``, ``false_alarms``, ``found``."""
    known = cases[cases["truth"].notna()]
    tables = []
    for evidence in (Evidence(SCORE, "", _score), *OTHERS):
        figure = evidence.figure(known)
        truth = known.loc[figure.notna(), "truth"]
        if truth.nunique() == 2:
            false_alarms, found, _ = roc_curve(truth, figure[figure.notna()])
            tables.append(pd.DataFrame(dict(evidence=evidence.name, false_alarms=false_alarms, found=found)))
    return pd.concat(tables, ignore_index=True).round(6)


def curve(cases: pd.DataFrame) -> pd.DataFrame:
    """The calibration curve: the score by dose and method: ``dose``, ``way`` (the method), ``cases``, ``groups``,
    ``score`` (median), ``lowest``, ``highest``."""
    rows = []
    for (dose, method), here in cases.groupby(["dose", "way"]):
        score = here[SCORE]
        about = dict(dose=dose, way=method, cases=len(here), groups=here["group"].nunique())
        rows.append(about | dict(score=score.median(), lowest=score.min(), highest=score.max()))
    return table(rows)


def sweep(cases: pd.DataFrame, cuts: Iterable[float]) -> pd.DataFrame:
    """What a single threshold in another place would do: ``cut``, and the share of cases of each truth on the wrong
    side of it, ``illusory_below`` and ``faithful_above``."""
    illusory, faithful = (cases.loc[cases["truth"] == truth, SCORE] for truth in (1, 0))
    rows = [
        dict(cut=cut, illusory_below=(illusory < cut).mean(), faithful_above=(faithful >= cut).mean()) for cut in cuts
    ]
    return table(rows)


def by_effect(
    cases: pd.DataFrame, thresholds: Mapping[str, Thresholds], smallest_effect: float, shares: Iterable[float]
) -> pd.DataFrame:
    """What would be measured if directions counted from another effect on than ``MOVES``.

    Args:
        cases: As ``prepared`` gives them, of the half that measures.
        thresholds: By the sub-scores that a score is the mean of.
        smallest_effect: As for ``rule.call``.
        shares: Of the effect of patching the whole residual stream.

    Returns:
        One row a share: ``moves``, the cases of either truth, the area of the score and of the effect alone, and
        the share of the cases of either truth that is called the other.
    """
    rows = []
    for share in shares:
        counted = cases[cases["judged"] & (cases["moved"] >= share) & cases["truth"].notna()]
        called, truth = calls(counted, thresholds, smallest_effect), counted["truth"]
        aucs = {
            f"{name}_auc": area(counted, figure, 0, 0)["auc"]
            for name, figure in ((SCORE, counted[SCORE]), ("effect", -counted["fldd"]))
        }
        rows.append(
            dict(moves=share, illusory=int((truth == 1).sum()), faithful=int((truth == 0).sum()))
            | aucs
            | dict(illusory_called_faithful=(called[truth == 1] == FAITHFUL).mean())
            | dict(faithful_called_illusory=(called[truth == 0] == ILLUSORY).mean())
        )
    return table(rows)


@dataclass(frozen=True)
class Calibration:
    """What the planted cases say of the score.

    Attributes:
        thresholds: By the name of the set of sub-scores.
        confusions: What cases are called, by ``measured_on``.
        areas: As ``areas`` gives them, on the measuring half.
        cases: The cases as ``prepared`` gives them, at least ``dose``, ``kind``, ``method``, ``score``, ``judged`` and
            ``counted``.
        natural: Components as the model has them, with what each is ``called``.
        about: Which model, size and tasks.
    """

    thresholds: Mapping[str, Thresholds]
    confusions: pd.DataFrame
    areas: pd.DataFrame
    cases: pd.DataFrame
    natural: pd.DataFrame
    about: Mapping[str, str]

    @property
    def measured(self) -> pd.DataFrame:
        """The confusions of the measuring half, by truth."""
        rows = self.confusions[self.confusions["measured_on"] == HALF]
        return rows.set_index("truth")

    def measured_on(self, words: str, truth: str) -> pd.Series | None:
        """The confusion of the cases of a truth, measured in another way; ``None`` where there are none."""
        rows = self.confusions[(self.confusions["measured_on"] == words) & (self.confusions["truth"] == truth)]
        return None if rows.empty else rows.iloc[0]

    def as_json(self) -> dict[str, Any]:
        """What ``from_json`` makes it again of, the cases without what no report shows."""
        return dict(
            about=dict(self.about),
            thresholds={name: asdict(limits) for name, limits in self.thresholds.items()},
            confusions=_records(self.confusions),
            areas=_records(self.areas),
            cases=_records(self.cases[list(SHOWN)]),
            natural=_records(self.natural[list(SHOWN_NATURAL)]),
        )

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "Calibration":
        """The calibration that was written.

        Raises:
            InputError: If it is none.
        """
        try:
            thresholds = {name: Thresholds(**limits) for name, limits in written["thresholds"].items()}
            names = ("confusions", "areas", "cases", "natural")
            confusions, areas, cases, natural = (pd.DataFrame(written[name]) for name in names)
            return cls(thresholds, confusions, areas, cases, natural, written["about"])
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"verdict.calibration: the file is no outcome of make calibrate ({error} is missing or wrong)"
            ) from error


SHOWN = ("task", "block", "dose", "null", "kind", "way", "truth", "score", "judged", "counted", "setting")
"""The columns of the cases that reports show."""
SHOWN_NATURAL = (
    *("task", "component", "subspace", "called", NAMED),
    *(f"{name}{end}" for name in ("score", "fldd", "whole_fldd") for end in ("", "_lo", "_hi")),
)
"""The columns of natural cases that reports show."""


def _records(found: pd.DataFrame) -> list[dict[str, Any]]:
    """A table as rows, ``None`` for what is not there."""
    rows = found.astype(object).where(found.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in rows]


HALF, EXCHANGED = "the other half", "the halves exchanged"
TRAINED_ALONE = "trained directions"
WEAKER = f"{HALF}, weaker effects alone"
"""What cases were measured on, in the confusions."""


def calibrate(
    cases: pd.DataFrame,
    natural: pd.DataFrame,
    smallest_effect: float,
    resamples: int,
    seed: int,
    about: Mapping[str, str],
) -> Calibration:
    """Sets thresholds on one half of the groups and measures them on the other.

    Beside that half, the same is told of parts of it, of its cases that are judged though they do not move the answer
    as the variable would, of the halves exchanged, of one task with the thresholds of the others, and of controls.

    Args:
        cases: As for ``prepared``.
        natural: What ``natural_case`` gives, with ``task``.
        smallest_effect: As for ``prepared``.
        resamples: Draws of groups.
        seed: Of the draws.
        about: Which model, size and tasks.

    Raises:
        InputError: If there are no cases to set thresholds on.
    """
    cases = prepared(cases, smallest_effect)
    counted, controls = cases[cases["counted"]], cases[cases["way"].isin(CONTROL_METHODS)]
    setting, measuring = counted[counted["setting"]], counted[~counted["setting"]]
    thresholds, exchanged = thresholds_by_sub_scores(setting), thresholds_by_sub_scores(measuring)
    with_null = measuring[measuring["null"] > 0]
    weaker = cases[cases["judged"] & ~cases["counted"] & ~cases["setting"]]
    measured = [
        (HALF, measuring, thresholds),
        (f"{HALF}, {TRAINED_ALONE}", _where(measuring, way=TRAINED), thresholds),
        (f"{HALF}, directions off the route", _where(measuring, way=OFF_ROUTE), thresholds),
        *((f"{HALF}, {kind}", _where(measuring, kind=kind), thresholds) for kind in measuring["kind"].unique()),
        (f"{HALF}, signals with a null part of their own", with_null, thresholds),
        (WEAKER, weaker, thresholds),
        (EXCHANGED, setting, exchanged),
        (f"{EXCHANGED}, {TRAINED_ALONE}", _where(setting, way=TRAINED), exchanged),
    ]
    tasks = counted["task"].unique()
    for task in tasks if len(tasks) > 1 else ():
        rest = counted[counted["task"] != task]
        measured.append((f"{task}, set on the other tasks", _where(counted, task=task), thresholds_by_sub_scores(rest)))
    with_effect = controls[_has_effect(controls, smallest_effect) & (controls["fldd"] > 0)]
    for method, here in with_effect.groupby("way"):
        measured.append((f"controls: {method}", here.assign(truth=np.nan), thresholds))
    tables = [
        confusion(rows, limits, smallest_effect).assign(measured_on=words)
        for words, rows, limits in measured
        if len(rows)
    ]
    confusions = pd.concat(tables, ignore_index=True).round(6)
    return Calibration(
        thresholds,
        confusions[confusions["cases"] > 0].reset_index(drop=True),
        areas(measuring, thresholds, smallest_effect, resamples, seed),
        cases,
        natural.assign(called=calls(natural, thresholds, smallest_effect)),
        about,
    )


def _where(cases: pd.DataFrame, **asked: str) -> pd.DataFrame:
    """The cases with these values in their columns."""
    for name, value in asked.items():
        cases = cases[cases[name] == value]
    return cases
