"""E13: the answer in one paragraph, the verdicts, what they rest on, and what that is worth (E14)."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.findings.subspaces import own_finding
from subspace_illusion.report.plots.verdict import planted_figure, verdict_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture
from subspace_illusion.report.sections.calibration import in_words
from subspace_illusion.report.verdict import EVIDENCE, NO_SHARE, NOT_ASKED, interval_from, reason_of, verdict_table
from subspace_illusion.report.words import fixed, foil_of, place, shown, variable_of, with_ends
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.intervals import MISSED, level
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, LIMITS, Limits

Verdicts = Mapping[SubspaceKey, Verdict]


def answer(results: Results, found: Sequence[Finding]) -> str:
    """What patching did, in sentences written from the figures.

    Args:
        results: The results of the run.
        found: Its findings.
    """
    by_key = {finding.key: finding.estimate for finding in found}
    sentences = [*_of_v_true(results, by_key), *_of_v_mlp(results, by_key)]
    for key in results.own_subspaces:
        sentences += _of_own(key, by_key)
    return " ".join(sentences)


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
    """What each verdict rests on, one line a subspace, and where the interval of the estimate is from."""
    rows = []
    for key, verdict in verdicts.items():
        asked = verdict.reason not in NOT_ASKED
        figures = [*(verdict.seen.estimate(name) for name in EVIDENCE), verdict.share if asked else None]
        cells = [with_ends(each) for each in figures]
        source = "too little planted in such places" if verdict.predicted is None else interval_from(verdict.predicted)
        if not asked:
            cells[-1], source = NO_SHARE, ""
        rows.append([key.component, shown(key), *cells, source])
    header = ["component", "subspace", *EVIDENCE.values(), "mediated share, prediction interval", "interval from"]
    return Grid(header, rows)


def verdict_picture(verdicts: Verdicts, limits: Limits = LIMITS) -> Picture:
    """The estimate of every subspace."""
    figure = verdict_figure(verdict_table(verdicts), limits)
    alt = (
        "The estimated mediated share of each subspace in its prediction interval, on a scale from illusory to faithful"
    )
    return Picture("verdict", alt, figure)


def planted_picture(calibration: Calibration, limits: Limits = LIMITS) -> Picture:
    """What estimates of a size meant in planted cases."""
    return Picture(
        "planted",
        "The estimate of each planted case against its true mediated share",
        planted_figure(calibration, limits),
    )


def rules(calibration: Calibration, smallest_effect: float, limits: Limits = LIMITS) -> str:
    """The formula of the estimate, the rule of the verdict, where intervals are from, and how good that is."""
    return (
        "A verdict rests on the mediated share: of the patch's effect, what goes through what the component itself "
        "hands on. It is estimated by the own-difference share, own. That is the effect of moving the component's "
        "own difference between the values, what acts of it, as far as the patch moves it and no further than it "
        "really moves, over the patch's effect. In the residual stream it is sqrt(own * match), where match is "
        "of the effects of the patch and of the whole component the smaller over the larger, and 0 where their signs "
        "differ. The "
        f"prediction interval decides: the whole of it from {limits.faithful_from:g} on is {FAITHFUL}, up to "
        f"{limits.illusory_up_to:g} {ILLUSORY}, and all else {INCONCLUSIVE}. Inconclusive too is an effect whose "
        f"interval does not exceed {smallest_effect:g} of the clean logit difference in either direction, and a "
        f"subspace along one of whose axes the effect is {ILLUSORY}. A subspace that is {FAITHFUL} and does less than "
        "its component is "
        f"incomplete. Each verdict is made by itself and by one rule. {_INTERVALS} {in_words(calibration)}"
    )


_INTERVALS = (
    "Intervals reach as far to either side as planted cases with a like estimate erred in places of the same kind, or "
    "with any estimate where too few blocks have a like one, without those of the subspace's own model and block. They "
    "hold the interval from planting in the component itself too, where there is one. Of the cases of one more block, "
    "intervals from n blocks promise to hold n / (n + 1), and 90 % at most."
)
"""Where intervals are from, and what they can promise."""


def levels_grid(calibration: Calibration) -> Grid:
    """What intervals promise, by kind of place, beside what it takes to promise 90 %."""
    planted = calibration.planted
    counts = {str(kind): planted.units(kind) for kind in planted.cases["kind"].unique()}
    rows = [[kind, str(blocks), f"{level(blocks):.0%}"] for kind, blocks in counts.items()]
    enough = next(blocks for blocks in count(1) if level(blocks) >= 1 - MISSED)
    rows.append([f"needed for {1 - MISSED:.0%}", str(enough), f"{level(enough):.0%}"])
    return Grid(["kind of place", "blocks that were planted in", "promised"], rows)


def limits_grid(smallest_effect: float, limits: Limits = LIMITS) -> Grid:
    """The three figures of the rule."""
    figures = (limits.illusory_up_to, limits.faithful_from, smallest_effect)
    return Grid(
        [f"{ILLUSORY} up to", f"{FAITHFUL} from", "smallest effect, share of the clean LD"],
        [[f"{figure:g}" for figure in figures]],
    )
