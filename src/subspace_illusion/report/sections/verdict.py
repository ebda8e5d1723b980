"""E13: the answer in one paragraph, the verdicts, the score, its sub-scores, and what it is worth (E14)."""

from collections.abc import Iterator, Mapping, Sequence

from subspace_illusion.report.findings import Finding, own_finding
from subspace_illusion.report.plots.verdict import sweep_figure, verdict_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture
from subspace_illusion.report.sections.calibration import in_words
from subspace_illusion.report.verdict import reason_of, verdict_table
from subspace_illusion.report.words import fixed, foil_of, place, shown, variable_of, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import Reason
from subspace_illusion.verdict.sub_scores import NEEDED, SUB_SCORES, named

Verdicts = Mapping[SubspaceKey, Verdict]


def answer(results: Results, found: Sequence[Finding], verdicts: Verdicts) -> str:
    """The answer in one paragraph, written from the figures.

    Args:
        results: The results of the run.
        found: Its findings.
        verdicts: By component and subspace.
    """
    by_key = {finding.key: finding.estimate for finding in found}
    sentences = [*_of_v_true(results, by_key), *_of_v_mlp(results, by_key)]
    for key in results.own_subspaces:
        sentences += _of_own(key, by_key)
    of_words = {role: SubspaceKey(TRAINED, component=component) for role, component in results.roles.items()}
    of_words |= {f"{shown(key)} at {key.component}": key for key in results.own_subspaces}
    judged = [f"{words} is {verdicts[key].verdict}" for words, key in of_words.items()]
    said = " and ".join([", ".join(judged[:-1]), judged[-1]] if len(judged) > 1 else judged)
    return " ".join([*sentences, f"By the score, whose thresholds planted cases have set, {said}."])


def _of_v_true(results: Results, by_key: Mapping[str, Estimate]) -> Iterator[str]:
    """What was patched where, and what v_true does."""
    rate, accuracy = (fixed(by_key[f"v_true.{name}"].value) for name in ("flip_rate", "interchange_accuracy"))
    at = "" if results.at_end else f" at {place(results.at_end)}"
    yield (
        f"On {results.model}, patching the trained subspace of the residual stream{at} ({results.v_true}, v_true) from "
        f"sources that differ in {variable_of(results.task)} flips (LD < 0) {rate} of the held-out predictions and "
        f"makes {foil_of(results.task)} the top token in {accuracy}."
    )


def _of_v_mlp(results: Results, by_key: Mapping[str, Estimate]) -> Iterator[str]:
    """What v_mlp does, and what it is made of."""
    if results.v_mlp is None:
        return

    def figure(key: str) -> str:
        return fixed(by_key[key].value)

    yield (
        f"Patching that of the hidden activations of an MLP ({results.v_mlp}, v_mlp) takes {figure('v_mlp.effect')} "
        f"off a logit difference of {figure('clean.logit_diff')}, and makes {foil_of(results.task)} the top token in "
        f"{figure('v_mlp.interchange_accuracy')}."
    )
    whole = by_key["v_mlp.full_patch.effect"]
    if whole.low is None or whole.high is None or whole.low <= 0 <= whole.high:
        does = "does nothing that can be told from zero"
    else:
        does = "does damage too" if whole.low > 0 else "does no damage"
    yield (
        f"Patching that whole MLP {does} (effect {figure('v_mlp.full_patch.effect')}), and without the part of v_mlp "
        f"that its output matrix maps to zero the effect is {figure('v_mlp.row_only.effect')}."
    )
    if "v_mlp.lent_share" in by_key:
        yield (
            f"Of the variation that the patch writes through the row part, {figure('v_mlp.lent_share')} is lent by the "
            "null part."
        )
    if "dormant.outside" in by_key:
        yield (
            f"Patched from the other value, {figure('dormant.outside')} of the MLP's outputs along v_true lie outside "
            "the range that they have without a patch."
        )
    if "random_mlp.share_of_real" in by_key:
        yield f"MLPs with random weights in its place reach {figure('random_mlp.share_of_real')} of v_mlp's effect."


def _of_own(key: SubspaceKey, by_key: Mapping[str, Estimate]) -> Iterator[str]:
    """What one of the user's own subspaces does, and what it is made of."""
    figures = {name: by_key.get(f"{own_finding(key)}.{name}") for name in ("fldd", *_OWN)}
    fldd = figures.pop("fldd")
    if fldd is None:
        return
    more = [_OWN[name].format(with_ends(figure)) for name, figure in figures.items() if figure is not None]
    sentence = f"Patching {shown(key)} at {key.component} takes off {with_ends(fldd)} of the clean logit difference"
    yield "; ".join([sentence, *more]) + "."


_OWN = dict(
    whole_share="its whole component has {} of that effect",
    row_share="its row part alone {}",
    lent_share="of its variation {} is lent by the null part",
)
"""What is said of the user's own subspaces beside their effect."""


def verdict_grid(verdicts: Verdicts) -> Grid:
    """One row a component and subspace: the verdict, and why."""
    rows = [[key.component, shown(key), verdict.verdict, reason_of(verdict)] for key, verdict in verdicts.items()]
    return Grid(["component", "subspace", "verdict", "why"], rows)


def evidence_grid(verdicts: Verdicts) -> Grid:
    """The effect, the score and its sub-scores, one line a subspace."""
    rows = []
    for key, verdict in verdicts.items():
        scores = [verdict.sub_score(name) for name in ("fldd", "score", *SUB_SCORES)]
        cells = ["not applicable" if each is None else with_ends(each) for each in scores]
        rows.append([key.component, shown(key), *cells])
    return Grid(["component", "subspace", "effect (share of the clean LD)", "score", *SUB_SCORES], rows)


def verdict_picture(verdicts: Verdicts, calibration: Calibration) -> Picture:
    """The score of every subspace, above what scores of that size meant in planted cases."""
    figure = verdict_figure(verdict_table(verdicts), calibration)
    return Picture("verdict", "The score of each subspace, and scores of planted cases by their dose", figure)


def sweep_picture(verdicts: Verdicts, calibration: Calibration) -> Picture:
    """What other thresholds would do to planted cases and to this run's subspaces."""
    judged = {key: verdict for key, verdict in verdicts.items() if verdict.reason is not Reason.SMALL_EFFECT}
    figure = sweep_figure(verdict_table(judged), calibration)
    return Picture("verdict_sweep", "Verdicts as the threshold of the score moves", figure)


def rules(verdicts: Verdicts, calibration: Calibration, smallest_effect: float) -> str:
    """The formula of the score, the rule of the verdict, how many were made, and how often such verdicts are right."""
    components = len({key.component for key in verdicts})
    limits = calibration.thresholds[named(SUB_SCORES)]
    of_score = "; ".join(f"{name} ({words})" for name, words in SUB_SCORES.items())
    return (
        f"The score is the mean of the figures that apply, each between 0 and 1: {of_score}. "
        "Where all four apply, score = (lent + lost + apart + off) / 4; a figure that is true by algebra does not "
        "apply. Where a readout maps nothing to zero, as that of one head, or of all heads where together they are no "
        "wider than the stream, there is no null part, and neither lent nor lost says anything. Of a "
        "subspace of the residual stream, where it was measured, lost is the share that its readers miss over the "
        "share that random subspaces of their rank miss. Of two effects, apart is one minus the smaller over "
        "the larger, and 1 where they have different signs. With four figures a subspace is faithful up to "
        f"{fixed(limits.faithful)} and illusory from {fixed(limits.illusory)}; with fewer there are thresholds of "
        f"their own, and with fewer than {NEEDED} none; what lies between is inconclusive. The effect must exceed "
        f"{smallest_effect:g} of the clean logit difference in either direction. It is the whole 95 % interval, of the "
        f"effect and of the score, that must lie beyond. {len(verdicts)} verdicts were made, on {components} "
        f"component{'s' if components > 1 else ''}, each by itself and by the rule by which planted cases are called; "
        "p values corrected for that number (Benjamini and Hochberg) stand in the table of verdicts and decide "
        f"nothing. {in_words(calibration)}"
    )
