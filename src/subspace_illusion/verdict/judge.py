"""Verdicts on the subspaces of a run (E13): an estimate of the mediated share with an interval, and the word for it.

The interval is the one that planted cases of like places have (``intervals``), those of the subspace's own model and
block left out. It holds the one from planting in the component itself too, where the estimate may be worse, and always
the estimate's own 95 % interval over groups of pairs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, SubspaceKey, axes_among
from subspace_illusion.verdict.estimate import STREAM
from subspace_illusion.verdict.intervals import WIDENED, Intervals, Predicted
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY, INCONCLUSIVE, Call, Limits, Reason, call, ends, word
from subspace_illusion.verdict.seen import Seen

LEAST_GROUPS = 5
"""Groups of held-out pairs below which nothing is called: an interval over them says next to nothing."""
FEW_GROUPS = 20
"""Groups below which an interval is rough, and a verdict gets a caution."""
MOST_DIMENSIONS = 2
"""The dimensions that planted cases have at most."""
HELD_AT_LEAST = 0.85
"""The share of planted cases that intervals should hold at every kind of hook, on a model that was left out."""


class Caution(StrEnum):
    """What to bear in mind of a verdict."""

    FEW_GROUPS = "intervals over few groups"
    MANY_DIMENSIONS = "more dimensions than planted cases have"
    OPPOSED = "the component itself does not work that way"
    BY_DEFINITION = "the component's own difference by definition"
    NO_SUCH_HOOK = "nothing planted at such a hook"
    HELD_LESS = "intervals at such a hook held less than promised"
    ONE_BLOCK = "another word without one of the blocks planted in"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one subspace.

    Attributes:
        verdict: ``faithful``, ``illusory`` or ``inconclusive``.
        reason: Why.
        cautions: What to bear in mind where the share was asked.
        seen: What it rests on.
        predicted: The prediction interval of the mediated share, and where it is from; ``None`` where no planted case
            tells.
        illusory_axes: The axes that take a faithful verdict back, where the reason is that.
    """

    verdict: str
    reason: Reason
    cautions: tuple[Caution, ...]
    seen: Seen
    predicted: Predicted | None
    illusory_axes: tuple[SubspaceKey, ...] = ()

    @property
    def share(self) -> Estimate | None:
        """The estimate of the mediated share in its prediction interval; ``None`` where no planted case tells."""
        if self.predicted is None:
            return None
        return Estimate(float(self.seen.share[0]), self.predicted.low, self.predicted.high)


def judge(
    seen: Mapping[SubspaceKey, Seen],
    planted: Intervals,
    model: str | None,
    smallest_effect: float,
    limits: Limits,
    here: Mapping[str, Intervals] | None = None,
    noise: float = 0.0,
) -> dict[SubspaceKey, Verdict]:
    """Judges subspaces, each by itself and by its axes.

    A subspace of several dimensions is judged as one and along each of its axes, and it is faithful only if none of the
    axes that have an effect is illusory.

    Args:
        seen: By subspace of a component, axes among them.
        planted: Intervals from planted cases.
        model: What the planted cases call the model, where some are in it.
        smallest_effect: Share of the clean LD that an effect must exceed, in either direction.
        limits: Where the share speaks.
        here: Intervals from planting in the component itself, by component.
        noise: By how much the model's rounding moves an effect, a standard error; what was seen holds it already.

    Returns:
        The verdicts in their order.
    """
    single = {}
    for key, one in seen.items():
        others = planted.without(model, one.site.block)
        told = _verdict(one, predict(one, others, (here or {}).get(key.component)), smallest_effect, limits, noise)
        if told.reason in (Reason.ACROSS, Reason.BEYOND):
            of_itself = key.method == MEAN_DIFFERENCE
            told = replace(told, cautions=tuple(_cautions(told, others, limits, of_itself=of_itself)))
        single[key] = told
    return {key: _along_axes(key, verdict, single) for key, verdict in single.items()}


def predict(seen: Seen, planted: Intervals, here: Intervals | None) -> Predicted | None:
    """The prediction interval of a subspace's mediated share: that from planted cases elsewhere, widened to hold that
    from the component itself, and the share's own over groups."""
    share = seen.estimate("share")
    if seen.kind is None or share is None or (found := planted.predict(share.value, seen.kind)) is None:
        return None
    if here is not None and (own := here.predict(share.value, seen.kind)) is not None:
        wider = found.holding(own.low, own.high)
        found = found if wider == found else replace(wider, source=WIDENED)
    return found.holding(*ends(share))


def _verdict(seen: Seen, predicted: Predicted | None, smallest_effect: float, limits: Limits, noise: float) -> Verdict:
    """The verdict on one subspace by itself."""
    told = Verdict(INCONCLUSIVE, Reason.FEW_GROUPS, (), seen, predicted)
    if seen.groups < LEAST_GROUPS:  # whose draws are next to all there can be; no planted case has so few
        return told
    found: Call = call(seen.estimate("fldd"), told.share, smallest_effect, limits, noise)
    return replace(told, verdict=found.verdict, reason=found.reason)


def _cautions(told: Verdict, planted: Intervals, limits: Limits, *, of_itself: bool) -> Iterator[Caution]:
    """What to bear in mind of a verdict by the mediated share.

    Args:
        told: The verdict.
        planted: The intervals that it is by.
        limits: Where the share speaks.
        of_itself: Whether the subspace is the component's mean difference.
    """
    seen, kind = told.seen, told.seen.kind
    assert kind is not None  # else there is no share
    if seen.groups < FEW_GROUPS:
        yield Caution.FEW_GROUPS
    if seen.rank > MOST_DIMENSIONS:
        yield Caution.MANY_DIMENSIONS
    if not seen.share.any():  # in no draw has what it is made of the sign of the patch's effect
        yield Caution.OPPOSED
    if of_itself and kind != STREAM:
        yield Caution.BY_DEFINITION
    if not planted.planted_at(seen.site):
        yield Caution.NO_SUCH_HOOK
    if (held := planted.held_at(seen.site)) is not None and held < HELD_AT_LEAST:
        yield Caution.HELD_LESS
    fewer = (predict(seen, each, None) for each in planted.without_each(kind))
    if any(word(each.low, each.high, limits) != told.verdict for each in fewer if each is not None):
        yield Caution.ONE_BLOCK


def _along_axes(key: SubspaceKey, verdict: Verdict, single: Mapping[SubspaceKey, Verdict]) -> Verdict:
    """A verdict, taken back where it is faithful and an axis of the subspace is illusory."""
    illusory = tuple(axis for axis in axes_among(key, single) if single[axis].verdict == ILLUSORY)
    if verdict.verdict == FAITHFUL and illusory:
        return replace(verdict, verdict=INCONCLUSIVE, reason=Reason.ILLUSORY_AXIS, illusory_axes=illusory)
    return verdict
